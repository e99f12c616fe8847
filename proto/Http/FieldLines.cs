using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Cheops.Proto.Http;

/// <summary>
/// Field lines to be added to a head, encoded as they are collected. Used again for message after message.
/// </summary>
public sealed class FieldLines
{
    private readonly ArrayBufferWriter<byte> _lines = new(256);

    /// <summary>The lines, each with its CR LF.</summary>
    public ReadOnlySpan<byte> Written => _lines.WrittenSpan;

    /// <summary>Adds a field. The value must be free of control characters: what others send is checked before.</summary>
    public FieldLines Add(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        _lines.Write(name);
        _lines.Write(": "u8);
        _lines.Write(value);
        _lines.Write("\r\n"u8);
        return this;
    }

    /// <summary>Adds a field whose value is text in ASCII; a control or other character is replaced by <c>?</c>.</summary>
    public FieldLines Add(ReadOnlySpan<byte> name, string value)
    {
        _lines.Write(name);
        _lines.Write(": "u8);
        var span = _lines.GetSpan(value.Length);
        for (var i = 0; i < value.Length; i++) span[i] = value[i] is >= ' ' and <= '~' ? (byte)value[i] : (byte)'?';
        _lines.Advance(value.Length);
        _lines.Write("\r\n"u8);
        return this;
    }

    /// <summary>Adds lines that were encoded before, each with its CR LF.</summary>
    public FieldLines AddEncoded(ReadOnlySpan<byte> lines)
    {
        _lines.Write(lines);
        return this;
    }

    /// <summary>Forgets all lines.</summary>
    public void Clear() => _lines.ResetWrittenCount();

    /// <summary>Encodes one line once, to be added often.</summary>
    public static byte[] Encode(string name, string value) => Encoding.ASCII.GetBytes($"{name}: {value}\r\n");
}

/// <summary>What a head becomes on its way: which fields are taken out and which are put in.</summary>
public sealed class HeadEdits
{
    /// <summary>Fields to take out, as a mask of <see cref="KnownFields.Bit"/>, beyond those that never pass a hop.</summary>
    public ulong Removed { get; set; }

    /// <summary>A further field to take out, by name; null for none.</summary>
    public byte[]? RemovedName { get; set; }

    /// <summary>Fields to put in.</summary>
    public FieldLines Added { get; } = new();

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Removed = 0;
        RemovedName = null;
        Added.Clear();
    }
}

/// <summary>Writes heads and chunk heads. Nothing is allocated.</summary>
public static class HeadWriter
{
    // Connection-specific fields (RFC 9110 7.6.1) and what the agent decides anew on each hop.
    private static readonly ulong HopByHop =
        KnownField.Connection.Bit() | KnownField.KeepAlive.Bit() | KnownField.ProxyConnection.Bit() | KnownField.TE.Bit()
        | KnownField.TransferEncoding.Bit() | KnownField.Upgrade.Bit() | KnownField.Http2Settings.Bit() | KnownField.ProxyAuthorization.Bit();

    /// <summary>Writes a request as it goes to the next hop: our version, its target, its own and the added fields.</summary>
    /// <param name="output">Where it goes.</param>
    /// <param name="head">The request.</param>
    /// <param name="target">The target, byte for byte.</param>
    /// <param name="edits">What is taken out and put in.</param>
    public static void WriteRequest(IBufferWriter<byte> output, RequestHead head, ReadOnlySpan<byte> target, HeadEdits edits)
    {
        var to = new SpanWriter(output.GetSpan(head.Length + target.Length + edits.Added.Written.Length + 96));
        to.Write(head.MethodBytes);
        to.Write(" "u8);
        to.Write(target);
        to.Write(" HTTP/1.1\r\n"u8);

        // Host goes first (RFC 9110 7.2), and says what the target's authority said.
        if (head.Has(KnownField.Host) || head.Authority.Length > 0)
        {
            to.Write("Host: "u8);
            to.Write(head.Authority);
            to.Write("\r\n"u8);
        }

        WriteFields(ref to, head, HopByHop | KnownField.Host.Bit() | edits.Removed, edits.RemovedName);
        if (head.Framing == BodyFraming.Chunked) to.Write("Transfer-Encoding: chunked\r\n"u8);
        if (head.IsUpgrade && head.TryGet(KnownField.Upgrade, out var upgrade))
        {
            to.Write("Connection: upgrade\r\nUpgrade: "u8);
            to.Write(head.Value(upgrade));
            to.Write("\r\n"u8);
        }

        to.Write(edits.Added.Written);
        to.Write("\r\n"u8);
        output.Advance(to.Written);
    }

    /// <summary>Writes a response as it goes to the previous hop.</summary>
    /// <param name="output">Where it goes.</param>
    /// <param name="head">The response.</param>
    /// <param name="edits">What is taken out and put in.</param>
    /// <param name="framing">How the body will be delimited towards the client.</param>
    /// <param name="connection">What <c>Connection</c> says: <c>close</c>, <c>keep-alive</c> (to an HTTP/1.0 client), or empty.</param>
    public static void WriteResponse(
        IBufferWriter<byte> output, ResponseHead head, HeadEdits edits, BodyFraming framing, ReadOnlySpan<byte> connection)
    {
        var to = new SpanWriter(output.GetSpan(head.Length + edits.Added.Written.Length + 128));
        to.Write("HTTP/1.1 "u8);
        to.WriteNumber(head.Status);
        to.Write(" "u8);
        to.Write(head.Reason);
        to.Write("\r\n"u8);
        WriteFields(ref to, head, HopByHop | edits.Removed, edits.RemovedName);
        if (framing == BodyFraming.Chunked) to.Write("Transfer-Encoding: chunked\r\n"u8);
        if (head.IsSwitching && head.TryGet(KnownField.Upgrade, out var upgrade))
        {
            to.Write("Connection: upgrade\r\nUpgrade: "u8);
            to.Write(head.Value(upgrade));
            to.Write("\r\n"u8);
        }
        else if (!connection.IsEmpty)
        {
            to.Write("Connection: "u8);
            to.Write(connection);
            to.Write("\r\n"u8);
        }

        to.Write(edits.Added.Written);
        to.Write("\r\n"u8);
        output.Advance(to.Written);
    }

    /// <summary>Writes the head of an answer of our own.</summary>
    /// <param name="output">Where it goes.</param>
    /// <param name="status">The status code.</param>
    /// <param name="added">Its fields, Content-Length among them.</param>
    public static void WriteOwnResponse(IBufferWriter<byte> output, int status, FieldLines added)
    {
        var reason = Reasons.Of(status);
        var to = new SpanWriter(output.GetSpan(reason.Length + added.Written.Length + 32));
        to.Write("HTTP/1.1 "u8);
        to.WriteNumber(status);
        to.Write(" "u8);
        to.Write(reason);
        to.Write("\r\n"u8);
        to.Write(added.Written);
        to.Write("\r\n"u8);
        output.Advance(to.Written);
    }

    /// <summary>Most bytes that <see cref="WriteChunkHead"/> writes.</summary>
    public const int ChunkHeadSizeMax = 18;

    /// <summary>Writes the size line of a chunk.</summary>
    /// <returns>The number of bytes written.</returns>
    public static int WriteChunkHead(Span<byte> to, long size)
    {
        Utf8Formatter.TryFormat(size, to, out var written, new StandardFormat('x'));
        "\r\n"u8.CopyTo(to[written..]);
        return written + 2;
    }

    private static void WriteFields(ref SpanWriter to, MessageHead head, ulong removed, byte[]? removedName)
    {
        // Runs of lines that pass are copied at once: most heads are one run or two.
        var bytes = head.Bytes;
        var runStart = -1;
        var runEnd = -1;
        foreach (ref readonly var line in head.Fields)
        {
            var passes = (line.Known.Bit() & removed) == 0 || line.Known == KnownField.Other;
            if (passes && head.NamesHopFields) passes = !head.ConnectionNames(head.Name(line));
            if (passes && removedName is not null) passes = !Ascii.EqualsIgnoreCase(head.Name(line), removedName);
            if (!passes)
            {
                if (runStart >= 0) to.Write(bytes[runStart..runEnd]);
                runStart = -1;
                continue;
            }

            if (runStart < 0) runStart = line.NameStart;
            runEnd = line.ValueStart + line.ValueLength;
            runEnd += bytes[runEnd..].IndexOf((byte)'\n') + 1;
        }

        if (runStart >= 0) to.Write(bytes[runStart..runEnd]);
    }

    private ref struct SpanWriter(Span<byte> to)
    {
        private readonly Span<byte> _to = to;

        public int Written { get; private set; }

        public void Write(ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(_to[Written..]);
            Written += bytes.Length;
        }

        public void WriteNumber(int number)
        {
            Utf8Formatter.TryFormat(number, _to[Written..], out var written);
            Written += written;
        }
    }
}

/// <summary>Reason phrases of the status codes that Cheops itself answers with.</summary>
public static class Reasons
{
    /// <summary>The phrase for <paramref name="status"/>; its class' name for a code that is not used here.</summary>
    public static ReadOnlySpan<byte> Of(int status) => status switch
    {
        100 => "Continue"u8,
        200 => "OK"u8,
        204 => "No Content"u8,
        400 => "Bad Request"u8,
        401 => "Unauthorized"u8,
        403 => "Forbidden"u8,
        404 => "Not Found"u8,
        405 => "Method Not Allowed"u8,
        408 => "Request Timeout"u8,
        409 => "Conflict"u8,
        413 => "Content Too Large"u8,
        414 => "URI Too Long"u8,
        417 => "Expectation Failed"u8,
        421 => "Misdirected Request"u8,
        422 => "Unprocessable Content"u8,
        431 => "Request Header Fields Too Large"u8,
        500 => "Internal Server Error"u8,
        501 => "Not Implemented"u8,
        502 => "Bad Gateway"u8,
        503 => "Service Unavailable"u8,
        504 => "Gateway Timeout"u8,
        505 => "HTTP Version Not Supported"u8,
        507 => "Insufficient Storage"u8,
        < 400 => "OK"u8,
        < 500 => "Client Error"u8,
        _ => "Server Error"u8,
    };
}
