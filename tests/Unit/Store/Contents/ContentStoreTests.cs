using Cheops.Store.Contents;

namespace Cheops.Tests.Unit.Store.Contents;

public sealed class MemoryContentStoreTests : ContentStoreContract
{
    protected override IContentStore Make(long capacity) => new MemoryContentStore(Time) { Capacity = capacity };

    protected override IContentStore Crash(IContentStore store) => ((MemoryContentStore)store).Crash(new Random(3));

    [Fact]
    public async Task Failures_to_order_are_told()
    {
        await using var store = new MemoryContentStore(Time);
        var hash = await KeepAsync(store, Body(10));
        store.FailReads = true;
        Assert.Equal(ContentError.Failed, (await Assert.ThrowsAsync<ContentException>(() => ReadAsync(store, hash))).Error);
        store.FailWrites = true;
        Assert.Equal(ContentError.Failed, (await Assert.ThrowsAsync<ContentException>(() => KeepAsync(store, Body(10)))).Error);
    }
}

public sealed class FileContentStoreTests : ContentStoreContract, IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-contents-").FullName;
    private long _capacity;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    protected override IContentStore Make(long capacity) => new FileContentStore(_directory, Time, _capacity = capacity);

    protected override IContentStore Crash(IContentStore store) => new FileContentStore(_directory, Time, _capacity);

    [Fact]
    public async Task Only_bodies_have_files_and_strangers_are_left_alone()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "notes.txt"), "mine");
        await File.WriteAllTextAsync(Path.Combine(_directory, "left-over.new"), "from a crash");
        await using var store = new FileContentStore(_directory, Time);
        var hash = await KeepAsync(store, Body(100));
        Assert.Equal(100, store.UsedBytes);
        Assert.Equal(["notes.txt", hash.ToString()], Names());
        await using (var writer = store.Resume(ContentHash.Of(Body(200)), 200)) await writer.AppendAsync(Body(200).AsMemory(0, 50));
        Assert.Equal(150, store.UsedBytes);
        store.Remove(hash);
        Assert.Equal(["notes.txt", ContentHash.Of(Body(200)) + ".part"], Names());
    }

    private IEnumerable<string> Names() => Directory.GetFiles(_directory).Select(f => Path.GetFileName(f)!).OrderByDescending(n => n == "notes.txt");

    [Fact]
    public async Task A_partial_body_that_was_changed_or_is_too_long_is_begun_anew()
    {
        var body = Body(1_000);
        var hash = ContentHash.Of(body);
        await File.WriteAllBytesAsync(Path.Combine(_directory, hash + ".part"), Body(500, 8));
        await using (var store = new FileContentStore(_directory, Time))
        {
            await using var writer = store.Resume(hash, 1_000);
            Assert.Equal(500, writer.Length);
            await writer.AppendAsync(body.AsMemory(500));
            var e = await Assert.ThrowsAsync<ContentException>(async () => await writer.CompleteAsync());
            Assert.Equal(ContentError.WrongHash, e.Error);
        }

        await File.WriteAllBytesAsync(Path.Combine(_directory, hash + ".part"), Body(5_000, 8));
        await using (var store = new FileContentStore(_directory, Time))
        {
            await using var writer = store.Resume(hash, 1_000);
            Assert.Equal(0, writer.Length);
            Assert.Equal(0, store.UsedBytes);
            await writer.AppendAsync(body);
            Assert.Equal(hash, await writer.CompleteAsync());
            Assert.Equal(1_000, store.UsedBytes);
        }
    }

    [Fact]
    public async Task A_directory_that_is_gone_is_a_failure_told()
    {
        await using var store = new FileContentStore(_directory, Time);
        var hash = await KeepAsync(store, Body(10));
        Directory.Delete(_directory, recursive: true);
        try
        {
            Assert.Equal(ContentError.Failed, Assert.Throws<ContentException>(() => store.Open(hash)).Error);
            Assert.Equal(ContentError.Failed, (await Assert.ThrowsAsync<ContentException>(() => KeepAsync(store, Body(5)))).Error);
            Assert.Equal(10, store.UsedBytes);
        }
        finally
        {
            Directory.CreateDirectory(_directory);
        }

        var file = Path.Combine(_directory, "file");
        await File.WriteAllTextAsync(file, "in the way");
        Assert.Equal(ContentError.Failed, Assert.Throws<ContentException>(() => new FileContentStore(file, Time)).Error);
    }
}

public sealed class ContentHashTests
{
    [Fact]
    public void A_hash_is_printed_and_read_in_both_forms()
    {
        var hash = ContentHash.Of("abc"u8);
        const string Text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        Assert.Equal(Text, hash.ToString());
        Assert.True(ContentHash.TryParse(Text, out var parsed));
        Assert.Equal(hash, parsed);
        var bytes = new byte[ContentHash.Size];
        hash.Write(bytes);
        Assert.Equal(Convert.FromHexString(Text), bytes);
        Assert.Equal(hash, ContentHash.Read(bytes));
        foreach (var wrong in new[] { "", Text[1..], Text + "0", Text.ToUpperInvariant(), "x" + Text[1..] }) Assert.False(ContentHash.TryParse(wrong, out _));
    }
}
