using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Replication;
using Cheops.Agent.Transport;
using Cheops.Store.Contents;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Replication;

/// <summary>
/// A large body that comes from another site: what broke off is gone on with from there, and only what has its hash is taken. Both
/// ends are real; between them is memory.
/// </summary>
public sealed class FetchTests : IAsyncLifetime, IDisposable
{
    private const int BrokenAt = 200_000;

    private readonly byte[] _body = new byte[500_000];
    private readonly ContentHash _hash;
    private readonly MemoryContentStore _here = new(new FakeTimeProvider());
    private readonly Links _links = new();
    private readonly Contents _contents;

    public FetchTests()
    {
        new Random(1).NextBytes(_body);
        _hash = ContentHash.Of(_body);
        _contents = new Contents("Site1", _here, _links, _links.Deadlines, _links.Time);
    }

    public async Task InitializeAsync()
    {
        foreach (var site in (string[])["Site2", "Site3", "Site4"]) await _links[site].KeepAsync(_body);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _links.Dispose();

    private async Task<byte[]> FetchAsync(params string[] sites)
    {
        await using var reader = await _contents.OpenAsync(_hash, _body.Length, sites, CancellationToken.None);
        var bytes = new byte[_body.Length];
        Assert.Equal(bytes.Length, await reader.ReadAsync(0, bytes));
        return bytes;
    }

    // What was sent arrives, and then the source ends.
    private async ValueTask BreakAsync(long offset)
    {
        if (offset < BrokenAt) return;
        var waited = Stopwatch.StartNew();
        while (_here.UsedBytes < offset)
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(60), $"{_here.UsedBytes} of {offset} bytes arrive within 60 s");
            await Task.Delay(1);
        }

        throw new ContentException(ContentError.Failed, "it breaks off");
    }

    [Fact]
    public async Task What_broke_off_is_gone_on_with_from_there()
    {
        _links["Site2"].Reading = BreakAsync;
        await Assert.ThrowsAsync<IOException>(() => FetchAsync("Site1", "Site2"));
        var broken = _here.UsedBytes;
        Assert.InRange(broken, BrokenAt, _body.Length - 1);
        Assert.Null(_here.Open(_hash));

        _links["Site2"].Reading = null;
        Assert.Equal(_body, await FetchAsync("Site1", "Site2"));
        Assert.Equal([0, broken], _links["Site2"].Begun);

        // Here it is now: nobody is asked again.
        Assert.Equal(_body, await FetchAsync("Site1", "Site2"));
        Assert.Equal(2, _links["Site2"].Begun.Count);
    }

    [Fact]
    public async Task Another_site_goes_on_with_it_at_once()
    {
        _links["Site2"].Reading = BreakAsync;
        Assert.Equal(_body, await FetchAsync("Site2", "Site3"));
        Assert.Equal([0], _links["Site2"].Begun);
        Assert.InRange(Assert.Single(_links["Site3"].Begun), BrokenAt, _body.Length - 1);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(BrokenAt + 100_000)]
    public async Task Wrong_bytes_are_noticed_and_nothing_of_them_stays(int at)
    {
        // A part of them may have come from a site that gives the right ones.
        _links["Site2"].Reading = BreakAsync;
        _links["Site3"].Lies = at;
        var refused = await Assert.ThrowsAsync<IOException>(() => FetchAsync(at < BrokenAt ? ["Site3"] : ["Site2", "Site3"]));
        Assert.Contains("have the hash", refused.Message, StringComparison.Ordinal);
        Assert.Null(_here.Open(_hash));
        Assert.Equal(0, _here.UsedBytes);

        // From the next one it comes whole, and from its beginning.
        Assert.Equal(_body, await FetchAsync("Site3", "Site4"));
        Assert.Equal([0], _links["Site4"].Begun);
    }

    [Fact]
    public async Task A_site_that_has_it_not_is_passed_over_and_when_none_has_it_that_is_told()
    {
        _links["Site2"].Remove(_hash);
        Assert.Equal(_body, await FetchAsync("Site2", "Site3"));
        Assert.Empty(_links["Site2"].Begun);

        _here.Remove(_hash);
        await Assert.ThrowsAsync<ContentLostException>(() => FetchAsync("Site2"));
    }

    /// <summary>Links to sites that have bodies.</summary>
    private sealed class Links : IMesh, IRequestLog, IDisposable
    {
        private readonly ConcurrentDictionary<string, Source> _sources = new();

        public FakeTimeProvider Time { get; } = new();

        public Deadlines Deadlines => field ??= new Deadlines(Time);

        public Source this[string site] => _sources.GetOrAdd(site, name => new Source(name, this));

        public ImmutableArray<SiteStatus> Sites => [];

        public Func<InboundStream, Task> StreamHandler
        {
            set => throw new NotSupportedException();
        }

        public Channel OpenStream(string site, StreamOpening opening)
        {
            var (ours, theirs) = MemoryTransport.Pair();
            var context = new ServerContext(this[site], Deadlines, new InterceptionCounters(), Time, site, [], this);
            _ = new ServerConnection(theirs, new ExchangeOrigin { Service = opening.Service, Scheme = "http", Link = new InboundStream("Site1", opening, theirs) }, context).RunAsync();
            return ours;
        }

        public void Failed(Exchange exchange)
        {
            // That it breaks off is meant.
        }

        public void Unexpected(Exchange exchange, Exception error)
        {
            // Whoever asks notices it.
        }

        public void Dispose() => Deadlines.Dispose();
    }

    /// <summary>A site's bodies, as its agent hands them out; they can be broken off and be wrong.</summary>
    private sealed class Source : IContentStore, IExchangeHandler
    {
        private readonly string _site;
        private readonly MemoryContentStore _store;
        private readonly Contents _contents;

        public Source(string site, Links links)
        {
            (_site, _store) = (site, new MemoryContentStore(links.Time));
            _contents = new Contents(site, this, links, links.Deadlines, links.Time);
        }

        public async Task KeepAsync(byte[] body)
        {
            await using var writer = _store.Create();
            await writer.AppendAsync(body);
            await writer.CompleteAsync();
        }

        /// <summary>Called before it is read from an offset on.</summary>
        public Func<long, ValueTask>? Reading { get; set; }

        /// <summary>Which byte is wrong; null for none.</summary>
        public long? Lies { get; set; }

        /// <summary>From where on it was asked for, each time.</summary>
        public List<long> Begun { get; } = [];

        public ValueTask HandleAsync(Exchange exchange) => _contents.ServeAsync(exchange, new Failures(_site));

        public ContentWriter Create() => _store.Create();

        public ContentWriter Resume(ContentHash hash, long size) => _store.Resume(hash, size);

        public ContentReader? Open(ContentHash hash) => _store.Open(hash) is { } reader ? new Reader(this, reader) : null;

        public void Remove(ContentHash hash) => _store.Remove(hash);

        public IReadOnlyCollection<ContentInfo> List() => _store.List();

        public ValueTask DisposeAsync() => _store.DisposeAsync();

        private sealed class Reader(Source source, ContentReader reader) : ContentReader
        {
            private bool _isBegun;

            public override long Size => reader.Size;

            public override async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellation = default)
            {
                if (!_isBegun) source.Begun.Add(offset);
                _isBegun = true;
                if (source.Reading is { } reading) await reading(offset);
                var count = await reader.ReadAsync(offset, destination, cancellation);
                if (source.Lies is { } at && at >= offset && at < offset + count) destination.Span[(int)(at - offset)] ^= 1;
                return count;
            }

            public override ValueTask DisposeAsync() => reader.DisposeAsync();
        }
    }
}
