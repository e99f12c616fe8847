using Cheops.Proto;
using Cheops.Store.Contents;
using CsCheck;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Store.Contents;

/// <summary>What every content store promises.</summary>
public abstract class ContentStoreContract
{
    /// <summary>The store's clock.</summary>
    protected FakeTimeProvider Time { get; } = new(DateTimeOffset.UnixEpoch.AddYears(50));

    /// <summary>An empty store with room for so many bytes.</summary>
    protected abstract IContentStore Make(long capacity = long.MaxValue);

    /// <summary>Stops the store as a crash does, and opens what is left of it.</summary>
    protected abstract IContentStore Crash(IContentStore store);

    protected static byte[] Body(int size, int seed = 1)
    {
        var bytes = new byte[size];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    protected static async Task<ContentHash> KeepAsync(IContentStore store, byte[] body)
    {
        await using var writer = store.Create();
        await writer.AppendAsync(body);
        return await writer.CompleteAsync();
    }

    protected static async Task<byte[]?> ReadAsync(IContentStore store, ContentHash hash)
    {
        await using var reader = store.Open(hash);
        if (reader is null) return null;
        var read = new MemoryStream();
        var buffer = new byte[10_000];
        for (int n; (n = await reader.ReadAsync(read.Length, buffer)) > 0;) read.Write(buffer, 0, n);
        Assert.Equal(reader.Size, read.Length);
        return read.ToArray();
    }

    private static async Task<ContentError> RefusalAsync(Func<Task> action) => (await Assert.ThrowsAsync<ContentException>(action)).Error;

    [Fact]
    public void What_was_kept_is_read_under_its_hash() => Gen.Int[0, 100_000].Array[0, 6].Sample(
        sizes => Task.Run(async () =>
        {
            await using var store = Make();
            var pieces = sizes.Select((size, i) => Body(size, i)).ToArray();
            var whole = pieces.SelectMany(p => p).ToArray();
            ContentHash hash;
            await using (var writer = store.Create())
            {
                foreach (var piece in pieces) await writer.AppendAsync(piece);
                Assert.Equal(whole.Length, writer.Length);
                hash = await writer.CompleteAsync();
            }

            Assert.Equal(ContentHash.Of(whole), hash);
            Assert.Equal(whole, await ReadAsync(store, hash));
            Assert.Equal(new ContentInfo(hash, whole.Length, Time.GetUtcNow()), Assert.Single(store.List()));
            store.Remove(hash);
        }).GetAwaiter().GetResult(),
        iter: 20,
        threads: 1);

    [Fact]
    public async Task A_body_is_kept_once_and_forgotten_once()
    {
        await using var store = Make(10_000);
        var body = Body(6_000);
        var hash = await KeepAsync(store, Body(4_000, 2));
        store.Remove(hash);
        Assert.Null(store.Open(hash));
        hash = await KeepAsync(store, body);
        Assert.Equal(ContentError.Full, await RefusalAsync(() => KeepAsync(store, Body(6_000, 3))));
        await using (var same = store.Create())
        {
            await same.AppendAsync(body.AsMemory(0, 4_000));
            Assert.Equal(ContentError.Full, await RefusalAsync(async () => await same.AppendAsync(body.AsMemory(4_000))));
            Assert.Equal(4_000, same.Length);
        }

        Assert.Single(store.List());
        Assert.Equal(body, await ReadAsync(store, hash));
        store.Remove(hash);
        store.Remove(hash);
        Assert.Empty(store.List());
        for (var i = 0; i < 5; i++) store.Remove(await KeepAsync(store, Body(10_000, i)));
    }

    [Fact]
    public async Task The_same_body_again_takes_no_more_room()
    {
        await using var store = Make(25_000);
        var body = Body(10_000);
        for (var i = 0; i < 5; i++)
        {
            Time.Advance(TimeSpan.FromHours(1));
            Assert.Equal(ContentHash.Of(body), await KeepAsync(store, body));
            Assert.Equal(Time.GetUtcNow(), Assert.Single(store.List()).At);
        }

        await KeepAsync(store, Body(15_000));
    }

    [Fact]
    public async Task What_is_not_completed_leaves_nothing()
    {
        await using var store = Make(10_000);
        for (var i = 0; i < 3; i++)
        {
            await using var writer = store.Create();
            await writer.AppendAsync(Body(9_000));
        }

        Assert.Empty(store.List());
        Assert.Null(store.Open(ContentHash.Of(Body(9_000))));
        await KeepAsync(store, Body(10_000));
    }

    [Fact]
    public async Task A_body_whose_hash_is_known_is_gone_on_with()
    {
        await using var store = Make(30_000);
        var body = Body(30_000);
        var hash = ContentHash.Of(body);
        for (var at = 0; at < body.Length; at += 10_000)
        {
            await using var writer = store.Resume(hash, body.Length);
            Assert.Equal(at, writer.Length);
            await writer.AppendAsync(body.AsMemory(at, 10_000));
            Assert.Null(store.Open(hash));
            if (at == 20_000) Assert.Equal(hash, await writer.CompleteAsync());
        }

        Assert.Equal(body, await ReadAsync(store, hash));
        await using var again = store.Resume(hash, body.Length);
        Assert.Equal(body.Length, again.Length);
        Assert.Equal(hash, await again.CompleteAsync());
        Assert.Single(store.List());
    }

    [Fact]
    public async Task What_is_not_what_was_promised_is_removed()
    {
        await using var store = Make(10_000);
        var body = Body(10_000);
        var hash = ContentHash.Of(body);
        await using (var writer = store.Resume(hash, body.Length))
        {
            await writer.AppendAsync(Body(10_000, 9));
            Assert.Equal(ContentError.WrongHash, await RefusalAsync(async () => await writer.CompleteAsync()));
        }

        await using (var writer = store.Resume(hash, body.Length))
        {
            Assert.Equal(0, writer.Length);
            await writer.AppendAsync(body.AsMemory(0, 9_000));
            Assert.Equal(ContentError.WrongHash, await RefusalAsync(async () => await writer.CompleteAsync()));
        }

        await using (var writer = store.Resume(hash, body.Length))
        {
            await writer.AppendAsync(body);
            Assert.Equal(ContentError.TooLarge, await RefusalAsync(async () => await writer.AppendAsync(new byte[1])));
            await writer.CompleteAsync();
        }

        Assert.Equal(body, await ReadAsync(store, hash));
    }

    [Fact]
    public async Task One_hash_has_one_writer()
    {
        await using var store = Make(10_000);
        var hash = ContentHash.Of(Body(10));
        await using (store.Resume(hash, 10))
        {
            Assert.Equal(ContentError.Busy, Assert.Throws<ContentException>(() => store.Resume(hash, 10)).Error);
            store.Remove(hash);
            await using var other = store.Resume(ContentHash.Of(Body(11)), 11);
        }

        await using var again = store.Resume(hash, 10);
        Assert.Equal(ContentError.TooLarge, Assert.Throws<ContentException>(() => store.Resume(hash, Bounds.ContentSizeMax + 1)).Error);
    }

    [Fact]
    public async Task A_partial_body_can_be_forgotten()
    {
        await using var store = Make(10_000);
        var hash = ContentHash.Of(Body(10_000));
        await using (var writer = store.Resume(hash, 10_000)) await writer.AppendAsync(Body(10_000).AsMemory(0, 9_000));
        store.Remove(hash);
        await KeepAsync(store, Body(10_000, 5));
        await using var again = store.Resume(hash, 10_000);
        Assert.Equal(0, again.Length);
    }

    [Fact]
    public async Task A_body_received_twice_at_once_is_kept_once()
    {
        await using var store = Make(20_000);
        var body = Body(10_000);
        await using (var known = store.Resume(ContentHash.Of(body), body.Length))
        {
            await known.AppendAsync(body);
            var hash = await KeepAsync(store, body);
            Assert.Equal(hash, await known.CompleteAsync());
        }

        Assert.Single(store.List());
        await KeepAsync(store, Body(10_000, 2));
    }

    [Fact]
    public async Task An_open_body_stays_readable_when_it_is_removed()
    {
        await using var store = Make();
        var hash = await KeepAsync(store, Body(5_000));
        Time.Advance(TimeSpan.FromDays(1));
        await using var reader = store.Open(hash)!;
        Assert.Equal(Time.GetUtcNow(), Assert.Single(store.List()).At);
        store.Remove(hash);
        var buffer = new byte[6_000];
        Assert.Equal(4_000, await reader.ReadAsync(1_000, buffer));
        Assert.Equal(Body(5_000).AsSpan(1_000), buffer.AsSpan(0, 4_000));
        Assert.Equal(0, await reader.ReadAsync(5_000, buffer));
        Assert.Equal(0, await reader.ReadAsync(9_000, buffer));
    }

    [Fact]
    public async Task A_crash_loses_nothing_completed_and_lets_the_rest_be_gone_on_with()
    {
        var store = Make(200_000);
        var completed = new List<ContentHash>();
        var body = Body(40_000, 99);
        var hash = ContentHash.Of(body);
        for (var round = 0; round < 4; round++)
        {
            completed.Add(await KeepAsync(store, Body(3_000, round)));
            var forgotten = store.Create();
            await forgotten.AppendAsync(Body(20_000));
            var writer = store.Resume(hash, body.Length);
            await writer.AppendAsync(body.AsMemory((int)writer.Length, 9_000));
            store = Crash(store);
            await forgotten.DisposeAsync();
            await writer.DisposeAsync();
            Assert.Equal(completed.ToHashSet(), store.List().Select(i => i.Hash).ToHashSet());
        }

        await using (var writer = store.Resume(hash, body.Length))
        {
            await writer.AppendAsync(body.AsMemory((int)writer.Length));
            Assert.Equal(hash, await writer.CompleteAsync());
        }

        Assert.Equal(body, await ReadAsync(store, hash));
        for (var i = 0; i < completed.Count; i++) Assert.Equal(Body(3_000, i), await ReadAsync(store, completed[i]));
        await store.DisposeAsync();
    }
}
