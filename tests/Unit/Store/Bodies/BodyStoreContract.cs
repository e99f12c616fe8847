using Cheops.Proto;
using Cheops.Store.Bodies;
using CsCheck;

namespace Cheops.Tests.Unit.Store.Bodies;

/// <summary>What every body store promises.</summary>
public abstract class BodyStoreContract
{
    /// <summary>A store with room for <paramref name="capacity"/> bytes (of which only those past memory count on disk).</summary>
    protected abstract IBodyStore Make(long capacity = long.MaxValue);

    private static byte[] Pattern(int size, int seed) => [.. Enumerable.Range(0, size).Select(i => (byte)(i * 31 + seed))];

    [Fact]
    public void What_was_appended_is_read_at_any_offset() =>
        Gen.Int[0, 200_000].Array[0, 12].Sample(
            sizes =>
            {
                CheckAsync(sizes).GetAwaiter().GetResult();
                return true;
            },
            iter: 60,
            threads: 1);

    private async Task CheckAsync(int[] sizes)
    {
        var pieces = sizes.Select(Pattern).ToArray();
        var whole = pieces.SelectMany(p => p).ToArray();
        await using var spool = Make().Create();
        foreach (var piece in pieces) await spool.AppendAsync(piece, default);
        Assert.Equal(whole.Length, spool.Length);

        foreach (var offset in new[] { 0, whole.Length / 3, Math.Max(0, whole.Length - 1), whole.Length })
        {
            var read = new MemoryStream();
            var buffer = new byte[70_000];
            for (int n; (n = await spool.ReadAsync(offset + read.Length, buffer, default)) > 0;) read.Write(buffer, 0, n);
            Assert.True(whole.AsSpan(offset).SequenceEqual(read.ToArray()));
        }
    }

    [Fact]
    public async Task A_full_store_refuses_and_keeps_what_it_held()
    {
        const int Kept = 3 * Bounds.BodyMemorySizeMax;
        await using var spool = Make(Kept).Create();
        var first = Pattern(Bounds.BodyMemorySizeMax, 1);
        await spool.AppendAsync(first, default);
        var e = await Assert.ThrowsAsync<BodyStoreException>(async () => await spool.AppendAsync(new byte[Kept + 1], default));
        Assert.Equal(BodyStoreError.Full, e.Error);
        Assert.Equal(first.Length, spool.Length);

        var read = new byte[first.Length];
        Assert.Equal(first.Length, await spool.ReadAsync(0, read, default));
        Assert.True(first.AsSpan().SequenceEqual(read));
        await spool.AppendAsync(Pattern(1000, 2), default);
        Assert.Equal(first.Length + 1000, spool.Length);
    }

    [Fact]
    public async Task A_forgotten_body_gives_its_room_back()
    {
        const int Room = 2 * Bounds.BodyMemorySizeMax;
        var store = Make(Room);
        for (var round = 0; round < 5; round++)
        {
            await using var spool = store.Create();
            await spool.AppendAsync(new byte[Room], default);
        }
    }

    [Fact]
    public async Task Reading_past_the_end_gives_nothing()
    {
        await using var spool = Make().Create();
        await spool.AppendAsync(Pattern(10, 0), default);
        Assert.Equal(0, await spool.ReadAsync(10, new byte[5], default));
        Assert.Equal(0, await spool.ReadAsync(99, new byte[5], default));
    }
}

public sealed class MemoryBodyStoreTests : BodyStoreContract
{
    protected override IBodyStore Make(long capacity) => new MemoryBodyStore(capacity);

    [Fact]
    public async Task Ordered_read_failures_are_told()
    {
        var store = new MemoryBodyStore();
        await using var spool = store.Create();
        await spool.AppendAsync(new byte[1], default);
        store.FailReads = true;
        var e = await Assert.ThrowsAsync<BodyStoreException>(async () => await spool.ReadAsync(0, new byte[1], default));
        Assert.Equal(BodyStoreError.Failed, e.Error);
    }
}

public sealed class FileBodyStoreTests : BodyStoreContract, IDisposable
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    protected override IBodyStore Make(long capacity) => new FileBodyStore(_directory, spillTotalMax: capacity);

    [Fact]
    public async Task Spilled_files_have_no_name_and_are_counted()
    {
        var store = new FileBodyStore(_directory, memorySizeMax: 10);
        await using (var spool = store.Create())
        {
            await spool.AppendAsync(new byte[8], default);
            Assert.Equal(0, store.SpilledBytes);
            Assert.False(Directory.Exists(_directory), "nothing is on disk while the body is small");
            await spool.AppendAsync(new byte[100], default);
            Assert.Equal(100, store.SpilledBytes);
            Assert.Empty(Directory.GetFileSystemEntries(_directory));
        }

        Assert.Equal(0, store.SpilledBytes);
    }

    [Fact]
    public async Task A_directory_that_cannot_be_written_is_a_failure_told()
    {
        File.WriteAllText(_directory, "in the way");
        await using var spool = new FileBodyStore(_directory, memorySizeMax: 1).Create();
        var e = await Assert.ThrowsAsync<BodyStoreException>(async () => await spool.AppendAsync(new byte[2], default));
        Assert.Equal(BodyStoreError.Failed, e.Error);
        Assert.Equal(0, spool.Length);
    }

    public void Dispose()
    {
        if (Directory.Exists(_directory)) Directory.Delete(_directory, recursive: true);
        if (File.Exists(_directory)) File.Delete(_directory);
    }
}
