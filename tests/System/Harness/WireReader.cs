using System.Globalization;
using System.Text;

namespace Cheops.Tests.System.Harness;

/// <summary>A head as it was on the wire.</summary>
internal sealed class WireHead(string startLine, IReadOnlyList<(string Name, string Value)> fields)
{
    public string StartLine { get; } = startLine;

    public IReadOnlyList<(string Name, string Value)> Fields { get; } = fields;

    /// <summary>Of an answer.</summary>
    public int Status => int.Parse(StartLine.Split(' ')[1], CultureInfo.InvariantCulture);

    public string? this[string name] =>
        Fields.Where(field => field.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Select(field => field.Value).FirstOrDefault();

    internal bool BodyRead { get; set; }
}

/// <summary>Reads HTTP/1.1 messages from a stream, both sides: as little as tests need, and nothing forgiven.</summary>
internal sealed class WireReader(Stream stream)
{
    private readonly byte[] _buffer = new byte[128 * 1024];
    private int _start;
    private int _end;

    /// <summary>The next head; null when the other end closed before one began.</summary>
    public async Task<WireHead?> ReadHeadAsync()
    {
        var first = await ReadLineAsync();
        if (first is null) return null;
        var fields = new List<(string, string)>();
        while (await ReadLineAsync() is { Length: > 0 } line)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            fields.Add((line[..colon], line[(colon + 1)..].Trim()));
        }

        return new WireHead(first, fields);
    }

    /// <summary>One line without its end; null at the end of the stream.</summary>
    public async Task<string?> ReadLineAsync()
    {
        var line = new List<byte>();
        while (true)
        {
            if (_start == _end && !await FillAsync()) return line.Count == 0 ? null : throw new IOException("the stream ended within a line");
            var one = _buffer[_start++];
            if (one == '\n') return Encoding.ASCII.GetString([.. line.Take(line.Count - 1)]);
            line.Add(one);
        }
    }

    public async Task<byte[]> ReadBodyAsync(WireHead head)
    {
        using var kept = new MemoryStream();
        await SkipBodyAsync(head, part => kept.Write(part.Span));
        return kept.ToArray();
    }

    /// <summary>Reads a body to its end; an incomplete one is an <see cref="IOException"/>.</summary>
    public async Task<long> SkipBodyAsync(WireHead head, Action<ReadOnlyMemory<byte>>? seen = null)
    {
        if (head.BodyRead) return 0;
        head.BodyRead = true;
        if (head["Transfer-Encoding"] is null) return await TakeAsync(long.Parse(head["Content-Length"] ?? "0", CultureInfo.InvariantCulture), seen);
        long total = 0;
        while (true)
        {
            var size = long.Parse((await ReadLineAsync() ?? throw new IOException("the body is incomplete")).Split(';')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            total += await TakeAsync(size, seen);
            var end = await ReadLineAsync();
            if (size != 0) continue;
            while (end is { Length: > 0 }) end = await ReadLineAsync();
            return total;
        }
    }

    /// <summary>One byte; the end of the stream is an <see cref="IOException"/>.</summary>
    public async Task<byte> ReadByteAsync() =>
        _start < _end || await FillAsync() ? _buffer[_start++] : throw new IOException("the stream ended");

    /// <summary>Some bytes, as they come; empty at the end.</summary>
    public async Task<ReadOnlyMemory<byte>> ReadSomeAsync()
    {
        if (_start == _end && !await FillAsync()) return default;
        var part = _buffer.AsMemory(_start.._end);
        _start = _end;
        return part;
    }

    private async Task<long> TakeAsync(long size, Action<ReadOnlyMemory<byte>>? seen)
    {
        for (var left = size; left > 0;)
        {
            if (_start == _end && !await FillAsync()) throw new IOException($"the body ended {left} bytes early");
            var count = (int)Math.Min(left, _end - _start);
            seen?.Invoke(_buffer.AsMemory(_start, count));
            _start += count;
            left -= count;
        }

        return size;
    }

    private async Task<bool> FillAsync()
    {
        _start = 0;
        _end = await stream.ReadAsync(_buffer);
        return _end > 0;
    }
}
