using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Cheops.Proto.Http;

/// <summary>Writes heads and chunk heads. Nothing is allocated.</summary>
public static class HeadWriter
{
    // Connection-specific fields (RFC 9110 7.6.1) and what the agent decides anew on each hop.
    private static readonly ulong HopByHop =
        KnownField.Connection.Bit() | KnownField.KeepAlive.Bit() | KnownField.ProxyConnection.Bit() | KnownField.TE.Bit()
        | KnownField.TransferEncoding.Bit() | KnownField.Upgrade.Bit() | KnownField.Http2Settings.Bit() | KnownField.ProxyAuthorization.Bit();

    /// <summary>
    /// Writes a request as it goes to the next hop: our version, its target, its own and the added fields. One that may
    /// pass nobody any more (<see cref="RequestHead.MaxForwards"/>) must not be written.
    /// </summary>
    /// <param name="output">Where it goes.</param>
    /// <param name="head">The request.</param>
    /// <param name="target">The target, byte for byte.</param>
    /// <param name="edits">What is taken out and put in.</param>
    /// <param name="defaultHost">What Host says when the client, being an old one, names none.</param>
    public static void WriteRequest(IBufferWriter<byte> output, RequestHead head, ReadOnlySpan<byte> target, HeadEdits edits, ReadOnlySpan<byte> defaultHost = default) =>
        WriteRequest(output, head, target, edits, head.Framing, head.ContentLength, defaultHost);

    /// <summary>Writes a request as it goes to the next hop, with another body than the client's.</summary>
    /// <param name="output">Where it goes.</param>
    /// <param name="head">The request.</param>
    /// <param name="target">The target, byte for byte.</param>
    /// <param name="edits">What is taken out and put in.</param>
    /// <param name="framing">How the body is delimited.</param>
    /// <param name="length">Its length in bytes, where it is delimited by that.</param>
    /// <param name="defaultHost">What Host says when the client, being an old one, names none.</param>
    public static void WriteRequest(
        IBufferWriter<byte> output, RequestHead head, ReadOnlySpan<byte> target, HeadEdits edits, BodyFraming framing, long length, ReadOnlySpan<byte> defaultHost = default)
    {
        var to = new SpanWriter(output.GetSpan(head.Length + target.Length + defaultHost.Length + edits.Added.Written.Length + 160));
        to.Write(head.MethodBytes);
        to.Write(" "u8);
        to.Write(target);
        to.Write(" HTTP/1.1\r\n"u8);

        // Host goes first (RFC 9110 7.2), and says what the target's authority said.
        to.Write("Host: "u8);
        to.Write(head.Authority.IsEmpty ? defaultHost : head.Authority);
        to.Write("\r\n"u8);
        var counted = head.MaxForwards is null ? 0 : KnownField.MaxForwards.Bit();
        WriteFields(ref to, head, HopByHop | KnownField.Host.Bit() | KnownField.ContentLength.Bit() | counted | edits.Removed, edits.RemovedNames);
        if (head.MaxForwards is { } hops) to.WriteNumberField("Max-Forwards: "u8, hops - 1);

        // The length is written anew: however oddly it was spelt, the next hop reads the same number.
        if (framing == BodyFraming.Chunked) to.Write("Transfer-Encoding: chunked\r\n"u8);
        else if (framing == BodyFraming.Length) to.WriteNumberField("Content-Length: "u8, length);
        if (head.TakesTrailers) to.Write(head.IsUpgrade ? "TE: trailers\r\nConnection: TE, upgrade\r\n"u8 : "TE: trailers\r\nConnection: TE\r\n"u8);
        else if (head.IsUpgrade) to.Write("Connection: upgrade\r\n"u8);
        if (head.IsUpgrade && head.TryGet(KnownField.Upgrade, out var upgrade)) WriteUpgrade(ref to, head.Value(upgrade));

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
        var length = head.IsBodiless ? KnownField.ContentLength.Bit() : 0;
        WriteFields(ref to, head, HopByHop | length | edits.Removed, edits.RemovedNames);
        if (framing == BodyFraming.Chunked) to.Write("Transfer-Encoding: chunked\r\n"u8);
        WriteConnection(ref to, head, connection);

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

    // 426 says by Upgrade what the client must ask for (RFC 9110 15.5.22): the field is as much for it as that of 101.
    private static void WriteConnection(ref SpanWriter to, ResponseHead head, ReadOnlySpan<byte> connection)
    {
        var upgrades = head.IsSwitching || (head.Status == 426 && head.Has(KnownField.Upgrade));
        if (!upgrades && connection.IsEmpty) return;
        to.Write("Connection: "u8);
        to.Write(connection);
        if (upgrades) to.Write(connection.IsEmpty ? "upgrade"u8 : ", upgrade"u8);
        to.Write("\r\n"u8);
        if (!upgrades) return;
        foreach (ref readonly var line in head.Fields)
        {
            if (line.Known == KnownField.Upgrade) WriteUpgrade(ref to, head.Value(line));
        }
    }

    private static void WriteUpgrade(ref SpanWriter to, ReadOnlySpan<byte> protocols)
    {
        to.Write("Upgrade: "u8);
        to.Write(protocols);
        to.Write("\r\n"u8);
    }

    private static void WriteFields(ref SpanWriter to, MessageHead head, ulong removed, List<byte[]> removedNames)
    {
        // Runs of lines that pass are copied at once: most heads are one run or two.
        var bytes = head.Bytes;
        var runStart = -1;
        var runEnd = -1;
        foreach (ref readonly var line in head.Fields)
        {
            var passes = (line.Known.Bit() & removed) == 0 || line.Known == KnownField.Other;
            if (passes && head.NamesHopFields) passes = !head.ConnectionNames(head.Name(line));
            if (passes && removedNames.Count > 0) passes = !Names(removedNames, head.Name(line));
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

    private static bool Names(List<byte[]> names, ReadOnlySpan<byte> name)
    {
        foreach (var candidate in names)
        {
            if (Ascii.EqualsIgnoreCase(name, candidate)) return true;
        }

        return false;
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

        public void WriteNumberField(ReadOnlySpan<byte> name, long number)
        {
            Write(name);
            WriteNumber(number);
            Write("\r\n"u8);
        }

        public void WriteNumber(long number)
        {
            Utf8Formatter.TryFormat(number, _to[Written..], out var written);
            Written += written;
        }
    }
}
