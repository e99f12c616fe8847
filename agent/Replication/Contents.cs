using System.Globalization;
using System.Text;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Store.Contents;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Replication;

/// <summary>No site that is left has a body: it was at sites that were removed, or have lost their data.</summary>
/// <param name="detail">Which body, and who was asked; for a person.</param>
internal sealed class ContentLostException(string detail) : IOException(detail);

/// <summary>
/// Large bodies of operations: kept here by their content, fetched once from a site that has them, gone when no open
/// operation needs them.
/// </summary>
internal sealed class Contents(string site, IContentStore store, IMesh mesh, Deadlines deadlines, TimeProvider time)
{
    /// <summary>The service name under which agents hand bodies to each other; no application's can be called so.</summary>
    public const string LinkService = "cheops.contents";

    private readonly Lock _gate = new();
    private readonly Dictionary<ContentHash, int> _needed = [];
    private readonly Dictionary<ContentHash, Task> _fetches = [];
    private int _completing;

    /// <summary>Begins to keep a body.</summary>
    public ContentWriter Create() => store.Create();

    /// <summary>Makes a body durable, and needs it from then on until it is released.</summary>
    /// <exception cref="ContentException">The disk failed.</exception>
    public async Task<ContentHash> KeepAsync(ContentWriter writer, CancellationToken cancellation)
    {
        // Which body it is is known only in the end: until then none is removed, since it may be the same.
        lock (_gate) _completing++;
        try
        {
            var hash = await writer.CompleteAsync(cancellation);
            lock (_gate) _needed[hash] = _needed.GetValueOrDefault(hash) + 1;
            return hash;
        }
        finally
        {
            lock (_gate) _completing--;
        }
    }

    /// <summary>An open operation needs a body.</summary>
    /// <param name="hash">Thirty-two bytes; nothing happens for none.</param>
    public void Need(ReadOnlyMemory<byte> hash)
    {
        if (hash.IsEmpty) return;
        var of = ContentHash.Read(hash.Span);
        lock (_gate) _needed[of] = _needed.GetValueOrDefault(of) + 1;
    }

    /// <summary>An operation needs its body no more.</summary>
    /// <param name="hash">Thirty-two bytes; nothing happens for none.</param>
    /// <param name="isKept">Whether the body stays until somebody needs it again, or it is swept.</param>
    public void Release(ReadOnlyMemory<byte> hash, bool isKept = false)
    {
        if (hash.IsEmpty) return;
        var of = ContentHash.Read(hash.Span);
        lock (_gate)
        {
            var left = _needed.GetValueOrDefault(of) - 1;
            if (left > 0)
            {
                _needed[of] = left;
                return;
            }

            _needed.Remove(of);
            if (!isKept && _completing == 0) store.Remove(of);
        }
    }

    /// <summary>Forgets what no open operation needs, such as a body whose operation was never proposed.</summary>
    /// <param name="olderThan">Younger ones may belong to a request under way.</param>
    public void Sweep(TimeSpan olderThan)
    {
        var before = time.GetUtcNow() - olderThan;
        foreach (var kept in store.List())
        {
            lock (_gate)
            {
                if (kept.At < before && _completing == 0 && !_needed.ContainsKey(kept.Hash)) store.Remove(kept.Hash);
            }
        }
    }

    /// <summary>Opens a body, fetched first from another site if it is not here.</summary>
    /// <param name="hash">Which.</param>
    /// <param name="size">Its bytes.</param>
    /// <param name="sites">Who may have it; this site may be among them.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="ContentLostException">None of them has it: all were asked.</exception>
    /// <exception cref="IOException">No site that can be reached has it.</exception>
    public async Task<ContentReader> OpenAsync(ContentHash hash, long size, IEnumerable<string> sites, CancellationToken cancellation)
    {
        if (store.Open(hash) is { } here) return here;
        Task fetch;
        lock (_gate)
        {
            if (!_fetches.TryGetValue(hash, out fetch!) || fetch.IsCompleted)
                _fetches[hash] = fetch = FetchAsync(hash, size, [.. sites.Where(other => other != site)], cancellation);
        }

        try
        {
            await fetch;
        }
        finally
        {
            lock (_gate)
            {
                if (_fetches.TryGetValue(hash, out var current) && current == fetch) _fetches.Remove(hash);
            }
        }

        return store.Open(hash) ?? throw new IOException($"the body {hash} was fetched, and is gone again");
    }

    private async Task FetchAsync(ContentHash hash, long size, string[] sites, CancellationToken cancellation)
    {
        var reasons = new List<string>();
        var isLost = true;
        foreach (var from in sites)
        {
            try
            {
                await using var writer = store.Resume(hash, size);
                if (writer.Length < size) await FetchAsync(hash, writer, from, cancellation);
                await writer.CompleteAsync(cancellation);
                return;
            }
            catch (ContentLostException e)
            {
                reasons.Add(e.Message);
            }
            catch (IOException e)
            {
                isLost = false;
                reasons.Add($"{from}: {e.Message}");
            }
        }

        if (isLost) throw new ContentLostException($"no site that is left has its body {hash}{(reasons.Count > 0 ? $" ({string.Join("; ", reasons)})" : "")}: it was at a site that was removed, or has lost its data");
        throw new IOException($"the body {hash} is at no site that can be reached ({string.Join("; ", reasons)})");
    }

    private async Task FetchAsync(ContentHash hash, ContentWriter writer, string from, CancellationToken cancellation)
    {
        var head = Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture, $"GET /{hash} HTTP/1.1\r\nHost: {LinkService}\r\nRange: bytes={writer.Length}-\r\n\r\n"));
        await using var connection = new UpstreamConnection(mesh.OpenStream(from, new StreamOpening { Service = LinkService }));
        await connection.ExchangeAsync(head, null, HttpMethod.Get, Bounds.BodyStallTimeMaxMs, deadlines, piece =>
            connection.Answer.Status == 206 ? writer.AppendAsync(piece, cancellation) : default);
        if (connection.Answer.Status == 404) throw new ContentLostException($"{from} has it not");
        if (connection.Answer.Status != 206) throw new IOException($"answered {connection.Answer.Status}");
    }

    /// <summary>Hands a body to another site's agent, from where it asks on.</summary>
    public async ValueTask ServeAsync(Exchange exchange, Failures failures)
    {
        var name = Encoding.ASCII.GetString(exchange.Target).TrimStart('/');
        await using var content = ContentHash.TryParse(name, out var hash) ? store.Open(hash) : null;
        if (content is null)
        {
            await exchange.RespondAsync(failures.NoContent(name));
            return;
        }

        var start = Math.Clamp(RangeStartOf(exchange.Request), 0, content.Size);
        var fields = new FieldLines().Add("Content-Range"u8, string.Create(CultureInfo.InvariantCulture, $"bytes {start}-{content.Size - 1}/{content.Size}"));
        await exchange.RespondAsync(206, fields, new ContentBody(content, start), content.Size - start);
    }

    private static long RangeStartOf(RequestHead head)
    {
        if (!head.TryGet("range"u8, out var line)) return 0;
        var value = Encoding.ASCII.GetString(head.Value(line));
        return value.StartsWith("bytes=", StringComparison.Ordinal) && value.EndsWith('-')
            && long.TryParse(value[6..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var start) ? start : 0;
    }
}
