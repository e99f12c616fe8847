using Cheops.Agent.Replication;
using Cheops.Agent.Transport;
using Cheops.Store.Contents;
using Cheops.Tests.Unit.Collaboration;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Large bodies are kept once, also when several operations have the same one.</summary>
public sealed class ContentsTests : IAsyncDisposable
{
    private static readonly byte[] Body = "a body that several have"u8.ToArray();

    private readonly FakeTimeProvider _time = new();
    private readonly SimulatedSites _sites = new("Site1");
    private readonly WaitingStore _store;
    private readonly Deadlines _deadlines;
    private readonly Contents _contents;

    public ContentsTests()
    {
        _store = new WaitingStore(new MemoryContentStore(_time));
        _deadlines = new Deadlines(_time);
        _contents = new Contents("Site1", _store, _sites["Site1"], _deadlines, _time);
    }

    public async ValueTask DisposeAsync()
    {
        _deadlines.Dispose();
        await _sites.DisposeAsync();
    }

    private bool IsHere(ReadOnlyMemory<byte> hash) => _store.Open(ContentHash.Read(hash.Span)) is not null;

    // Unlike whoever opens it, this uses nothing.
    private bool IsListed(ReadOnlyMemory<byte> hash) => _store.List().Any(kept => kept.Hash == ContentHash.Read(hash.Span));

    private static async Task<ReadOnlyMemory<byte>> KeepAsync(NewContents kept)
    {
        await using var writer = kept.Create();
        await writer.AppendAsync(Body);
        return (await kept.KeepAsync(writer)).Hash;
    }

    [Fact]
    public async Task What_nobody_needs_any_more_is_swept_when_it_is_old_and_nothing_else()
    {
        var kept = new NewContents(_contents);
        var hash = await KeepAsync(kept);
        _time.Advance(TimeSpan.FromHours(2));
        _contents.Sweep(TimeSpan.FromHours(1));
        Assert.True(IsListed(hash), "it is to be proposed");
        _contents.Need(hash);
        kept.Dispose();
        _contents.Sweep(TimeSpan.FromHours(1));
        Assert.True(IsListed(hash), "an operation needs it");
        _contents.Release(hash, isKept: true);
        _contents.Sweep(TimeSpan.FromHours(3));
        Assert.True(IsListed(hash), "it may belong to a request under way");
        _contents.Sweep(TimeSpan.FromHours(1));
        Assert.False(IsListed(hash));
    }

    [Fact]
    public async Task A_body_stays_for_one_that_is_to_be_proposed_when_another_that_has_it_is_over()
    {
        var (first, second) = (new NewContents(_contents), new NewContents(_contents));
        var hash = await KeepAsync(first);
        _contents.Need(hash);
        first.AreKnown = true;
        first.Dispose();

        await KeepAsync(second);
        _contents.Release(hash);
        Assert.True(IsHere(hash));
        _contents.Need(hash);
        second.AreKnown = true;
        second.Dispose();
        Assert.True(IsHere(hash));
        _contents.Release(hash);
        Assert.False(IsHere(hash));
    }

    [Fact]
    public async Task Nothing_is_removed_while_one_is_completed_that_may_be_the_same()
    {
        using var first = new NewContents(_contents) { AreKnown = true };
        var hash = await KeepAsync(first);
        _contents.Need(hash);
        first.Dispose();

        var second = new NewContents(_contents) { AreKnown = true };
        _store.Completed = new TaskCompletionSource();
        var keeping = KeepAsync(second);
        _contents.Release(hash);
        _time.Advance(TimeSpan.FromHours(2));
        _contents.Sweep(TimeSpan.FromHours(1));
        _store.Completed.SetResult();
        await keeping;
        Assert.True(IsHere(hash));
        second.Dispose();
        Assert.False(IsHere(hash));
    }

    [Fact]
    public async Task What_may_have_been_proposed_stays_for_a_while()
    {
        var kept = new NewContents(_contents);
        var hash = await KeepAsync(kept);
        kept.Dispose();
        Assert.True(IsHere(hash));
        _time.Advance(TimeSpan.FromHours(2));
        _contents.Sweep(TimeSpan.FromHours(1));
        Assert.False(IsHere(hash));
    }

    /// <summary>Lets whoever completes a body wait, after it is there.</summary>
    private sealed class WaitingStore(MemoryContentStore store) : IContentStore
    {
        public TaskCompletionSource? Completed { get; set; }

        public ContentWriter Create() => new Writer(this, store.Create());

        public ContentWriter Resume(ContentHash hash, long size) => store.Resume(hash, size);

        public ContentReader? Open(ContentHash hash) => store.Open(hash);

        public void Remove(ContentHash hash) => store.Remove(hash);

        public IReadOnlyCollection<ContentInfo> List() => store.List();

        public ValueTask DisposeAsync() => store.DisposeAsync();

        private sealed class Writer(WaitingStore all, ContentWriter writer) : ContentWriter
        {
            public override long Length => writer.Length;

            public override ValueTask AppendAsync(ReadOnlyMemory<byte> data, CancellationToken cancellation = default) => writer.AppendAsync(data, cancellation);

            public override async ValueTask<ContentHash> CompleteAsync(CancellationToken cancellation = default)
            {
                var hash = await writer.CompleteAsync(cancellation);
                if (all.Completed is { } completed) await completed.Task;
                return hash;
            }

            public override ValueTask DisposeAsync() => writer.DisposeAsync();
        }
    }
}
