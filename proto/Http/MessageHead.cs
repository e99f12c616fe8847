using System.Buffers;
using System.Text;

namespace Cheops.Proto.Http;

/// <summary>Where a field line stands in its head's bytes.</summary>
/// <param name="NameStart">Offset of the name.</param>
/// <param name="NameLength">Length of the name.</param>
/// <param name="ValueStart">Offset of the value, without the white space around it.</param>
/// <param name="ValueLength">Length of the value.</param>
/// <param name="Known">Which field it is.</param>
public readonly record struct FieldLine(int NameStart, int NameLength, int ValueStart, int ValueLength, KnownField Known);

/// <summary>How a message's body is delimited (RFC 9112 6.3).</summary>
public enum BodyFraming : byte
{
    /// <summary>No body.</summary>
    None,
    /// <summary>By Content-Length.</summary>
    Length,
    /// <summary>By chunks.</summary>
    Chunked,
    /// <summary>By the end of the connection; responses only.</summary>
    UntilClose,
}

/// <summary>
/// One parsed head. Belongs to a connection and is used again for message after message: it keeps a copy of the head's
/// bytes in a pooled buffer, so that the connection's input may go on, and gives the buffer back when idle.
/// </summary>
public abstract class MessageHead
{
    internal static readonly SearchValues<byte> TokenBytes = SearchValues.Create(
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private static readonly SearchValues<byte> TokenBytesButUnderscore = SearchValues.Create(
        "!#$%&'*+-.^`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    // HTAB, SP to ~, and obs-text (RFC 9110 5.5).
    private static readonly SearchValues<byte> ValueBytes = SearchValues.Create(
        [9, .. Enumerable.Range(0x20, 0x5F).Select(b => (byte)b), .. Enumerable.Range(0x80, 0x80).Select(b => (byte)b)]);

    private byte[] _buffer = [];
    private FieldLine[] _fields = [];
    private ulong _present;

    /// <summary>
    /// Whether another site's agent sends it, which adds fields to what its client or service may send; set before parsing,
    /// and kept.
    /// </summary>
    public bool IsFromAgent { get; set; }

    /// <summary>Most bytes that the head may have.</summary>
    public int SizeMax => IsFromAgent ? Bounds.HeadSizeMax + Bounds.HeadAddedSizeMax : Bounds.HeadSizeMax;

    /// <summary>Most field lines that the head may have.</summary>
    public int FieldCountMax => IsFromAgent ? Bounds.FieldCountMax + Bounds.FieldsAddedMax : Bounds.FieldCountMax;

    /// <summary>Length of the head in bytes, the blank line included.</summary>
    public int Length { get; private set; }

    /// <summary>The head's bytes as received.</summary>
    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, Length);

    /// <summary>The field lines, in order.</summary>
    public ReadOnlySpan<FieldLine> Fields => _fields.AsSpan(0, FieldCount);

    /// <summary>The number of field lines.</summary>
    public int FieldCount { get; private set; }

    /// <summary>The sender's minor version, 0 or 1; a later one counts as 1 (RFC 9110 2.5).</summary>
    public int MinorVersion { get; private protected set; }

    /// <summary>How the body is delimited.</summary>
    public BodyFraming Framing { get; private protected set; }

    /// <summary>The body's length when <see cref="Framing"/> is <see cref="BodyFraming.Length"/>, else 0.</summary>
    public long ContentLength { get; private protected set; }

    /// <summary>Whether the connection may carry another message after this one, as far as this head tells.</summary>
    public bool KeepAlive { get; private protected set; }

    /// <summary>Whether <c>Connection</c> names fields beyond the usual options, which then do not pass.</summary>
    public bool NamesHopFields { get; private set; }

    /// <summary>Whether it is a request's head: what a client may not say, a service may.</summary>
    internal abstract bool IsRequest { get; }

    private protected bool SaysClose { get; private set; }

    private protected bool SaysKeepAlive { get; private set; }

    private protected bool SaysUpgrade { get; private set; }

    /// <summary>The name in <paramref name="line"/>.</summary>
    public ReadOnlySpan<byte> Name(scoped in FieldLine line) => _buffer.AsSpan(line.NameStart, line.NameLength);

    /// <summary>The value in <paramref name="line"/>.</summary>
    public ReadOnlySpan<byte> Value(scoped in FieldLine line) => _buffer.AsSpan(line.ValueStart, line.ValueLength);

    /// <summary>The value in <paramref name="line"/>, kept as long as the head is.</summary>
    public ReadOnlyMemory<byte> ValueMemory(scoped in FieldLine line) => _buffer.AsMemory(line.ValueStart, line.ValueLength);

    /// <summary>Whether a field is present at all: a bit test.</summary>
    public bool Has(KnownField field) => (_present & field.Bit()) != 0;

    /// <summary>Finds the first line of a field.</summary>
    public bool TryGet(KnownField field, out FieldLine line)
    {
        if (Has(field))
        {
            foreach (ref readonly var candidate in Fields)
            {
                if (candidate.Known != field) continue;
                line = candidate;
                return true;
            }
        }

        line = default;
        return false;
    }

    /// <summary>Finds the first line of a field by name, ignoring case.</summary>
    public bool TryGet(ReadOnlySpan<byte> name, out FieldLine line)
    {
        foreach (ref readonly var candidate in Fields)
        {
            if (!Ascii.EqualsIgnoreCase(Name(candidate), name)) continue;
            line = candidate;
            return true;
        }

        line = default;
        return false;
    }

    /// <summary>Whether <c>Connection</c> names the field, so that it belongs to this hop only (RFC 9110 7.6.1).</summary>
    public bool ConnectionNames(ReadOnlySpan<byte> name)
    {
        if (!NamesHopFields) return false;
        foreach (ref readonly var line in Fields)
        {
            if (line.Known != KnownField.Connection) continue;
            var list = Value(line);
            while (TryNextElement(ref list, out var option))
            {
                if (Ascii.EqualsIgnoreCase(option, name)) return true;
            }
        }

        return false;
    }

    /// <summary>Forgets the message and gives the buffers back; the head can be used again at once.</summary>
    public virtual void Reset()
    {
        if (_buffer.Length > 0) ArrayPool<byte>.Shared.Return(_buffer);
        if (_fields.Length > 0) ArrayPool<FieldLine>.Shared.Return(_fields);
        _buffer = [];
        _fields = [];
        Length = 0;
        FieldCount = 0;
        MinorVersion = 0;
        _present = 0;
        Framing = BodyFraming.None;
        ContentLength = 0;
        KeepAlive = NamesHopFields = SaysClose = SaysKeepAlive = SaysUpgrade = false;
    }

    /// <summary>
    /// Forgets the message, and gives buffers back that are larger than most messages need, so that a connection that
    /// waits for its next message holds little.
    /// </summary>
    public void Trim()
    {
        if (_buffer.Length > Bounds.HeadKeptSizeMax || _fields.Length > Bounds.FieldsKeptMax) Reset();
    }

    /// <summary>Takes the next element of a comma-separated list; empty elements are passed over (RFC 9110 5.6.1).</summary>
    internal static bool TryNextElement(ref ReadOnlySpan<byte> list, out ReadOnlySpan<byte> element)
    {
        while (!list.IsEmpty)
        {
            var comma = list.IndexOf((byte)',');
            element = (comma < 0 ? list : list[..comma]).Trim(" \t"u8);
            list = comma < 0 ? default : list[(comma + 1)..];
            if (!element.IsEmpty) return true;
        }

        element = default;
        return false;
    }

    /// <summary>Parses a whole head, blank line included, whose lines have not been looked at.</summary>
    internal HttpRefusal Parse(ReadOnlySpan<byte> head)
    {
        head.CopyTo(Begin(head.Length));
        return ParseBuffer();
    }

    /// <inheritdoc cref="Parse(ReadOnlySpan{byte})"/>
    internal HttpRefusal Parse(in ReadOnlySequence<byte> head)
    {
        head.CopyTo(Begin((int)head.Length));
        return ParseBuffer();
    }

    private Span<byte> Begin(int length)
    {
        if (_buffer.Length < length)
        {
            if (_buffer.Length > 0) ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = ArrayPool<byte>.Shared.Rent(length);
        }

        if (_fields.Length == 0) _fields = ArrayPool<FieldLine>.Shared.Rent(Bounds.FieldsKeptMax);
        Length = length;
        FieldCount = 0;
        _present = 0;
        ContentLength = 0;
        Framing = BodyFraming.None;
        KeepAlive = NamesHopFields = SaysClose = SaysKeepAlive = SaysUpgrade = false;
        return _buffer.AsSpan(0, length);
    }

    private HttpRefusal ParseBuffer()
    {
        var head = Bytes;
        var lineEnd = head.IndexOf((byte)'\n');
        if (lineEnd < 1 || head[lineEnd - 1] != '\r') return HttpRefusal.BareLineFeed;
        var refusal = ParseStartLine(head[..(lineEnd - 1)]);
        if (refusal != HttpRefusal.None) return refusal;
        refusal = ParseFields(head, lineEnd + 1);
        return refusal != HttpRefusal.None ? refusal : Conclude();
    }

    /// <summary>Parses the first line, given without its end.</summary>
    private protected abstract HttpRefusal ParseStartLine(ReadOnlySpan<byte> line);

    /// <summary>Decides framing and connection handling when all fields are there.</summary>
    private protected abstract HttpRefusal Conclude();

    private HttpRefusal ParseFields(ReadOnlySpan<byte> head, int position)
    {
        var end = head.Length - 2;
        while (position < end)
        {
            var rest = head[position..];
            var lineFeed = rest.IndexOf((byte)'\n');
            if (lineFeed < 1 || rest[lineFeed - 1] != '\r') return HttpRefusal.BareLineFeed;
            if (FieldCount == FieldCountMax) return HttpRefusal.TooManyFields;
            var refusal = ParseFieldLine(rest[..(lineFeed - 1)], position, IsRequest, out var line);
            if (refusal != HttpRefusal.None) return refusal;

            if (FieldCount == _fields.Length) GrowFields();
            _fields[FieldCount++] = line;
            if (line.Known != KnownField.Other)
            {
                refusal = Note(line);
                if (refusal != HttpRefusal.None) return refusal;
            }

            position += lineFeed + 1;
        }

        return HttpRefusal.None;
    }

    /// <summary>Parses one field line, given without its end.</summary>
    /// <param name="text">The line.</param>
    /// <param name="position">Where the line stands: the offsets of what is found count from there.</param>
    /// <param name="refusesLookalikes">Whether names are refused that some services take for a field that matters.</param>
    /// <param name="line">The parts of the line.</param>
    internal static HttpRefusal ParseFieldLine(ReadOnlySpan<byte> text, int position, bool refusesLookalikes, out FieldLine line)
    {
        line = default;
        if (text.IsEmpty || text[0] is (byte)' ' or (byte)'\t') return HttpRefusal.LineFolding;
        var colon = text.IndexOf((byte)':');
        if (colon <= 0) return HttpRefusal.InvalidFieldName;
        var name = text[..colon];
        if (name.ContainsAnyExcept(TokenBytesButUnderscore))
        {
            if (name.ContainsAnyExcept(TokenBytes))
                return name[^1] is (byte)' ' or (byte)'\t' ? HttpRefusal.SpaceBeforeColon : HttpRefusal.InvalidFieldName;
            if (refusesLookalikes && KnownFields.IsLookalike(name)) return HttpRefusal.LookalikeFieldName;
        }

        var valueStart = colon + 1;
        var valueEnd = text.Length;
        while (valueStart < valueEnd && text[valueStart] is (byte)' ' or (byte)'\t') valueStart++;
        while (valueEnd > valueStart && text[valueEnd - 1] is (byte)' ' or (byte)'\t') valueEnd--;
        var value = text[valueStart..valueEnd];
        if (value.ContainsAnyExcept(ValueBytes))
            return value.Contains((byte)'\r') ? HttpRefusal.BareCarriageReturn : HttpRefusal.InvalidFieldValue;
        line = new FieldLine(position, colon, position + valueStart, value.Length, KnownFields.Resolve(name));
        return HttpRefusal.None;
    }

    private void GrowFields()
    {
        var larger = ArrayPool<FieldLine>.Shared.Rent(_fields.Length * 2);
        Fields.CopyTo(larger);
        ArrayPool<FieldLine>.Shared.Return(_fields);
        _fields = larger;
    }

    private HttpRefusal Note(in FieldLine line)
    {
        var repeated = Has(line.Known);
        _present |= line.Known.Bit();
        return line.Known switch
        {
            KnownField.Host when repeated => HttpRefusal.RepeatedHost,
            KnownField.ContentLength when repeated => HttpRefusal.RepeatedContentLength,
            KnownField.ContentLength => NoteLength(Value(line)),
            KnownField.TransferEncoding => NoteCoding(Value(line), repeated),
            KnownField.Connection => NoteConnection(Value(line)),
            _ => HttpRefusal.None,
        };
    }

    private HttpRefusal NoteLength(ReadOnlySpan<byte> value)
    {
        // 18 digits always fit into a long.
        if (value.Length is 0 or > 18 || value.ContainsAnyExceptInRange((byte)'0', (byte)'9')) return HttpRefusal.InvalidContentLength;
        long length = 0;
        foreach (var digit in value) length = length * 10 + (digit - '0');
        ContentLength = length;
        return HttpRefusal.None;
    }

    private static HttpRefusal NoteCoding(ReadOnlySpan<byte> value, bool repeated)
    {
        if (!repeated && Ascii.EqualsIgnoreCase(value, "chunked"u8)) return HttpRefusal.None;

        // Exactly one "chunked" is all that is served. Registered codings, with "chunked" at most once and last, are
        // merely not implemented; anything else (chunked twice, chunked not last, empty elements, rubbish) is how
        // requests are smuggled.
        if (repeated) return HttpRefusal.InvalidTransferEncoding;
        var codings = 0;
        for (var rest = value; !rest.IsEmpty;)
        {
            var comma = rest.IndexOf((byte)',');
            var coding = (comma < 0 ? rest : rest[..comma]).Trim(" \t"u8);
            rest = comma < 0 ? default : rest[(comma + 1)..];
            var isLast = comma < 0;
            if (IsRegistered(coding)) codings++;
            else if (!isLast || codings == 0 || !Ascii.EqualsIgnoreCase(coding, "chunked"u8)) return HttpRefusal.InvalidTransferEncoding;
            if (!isLast && rest.IsEmpty) return HttpRefusal.InvalidTransferEncoding;
        }

        return codings > 0 ? HttpRefusal.UnsupportedTransferCoding : HttpRefusal.InvalidTransferEncoding;

        static bool IsRegistered(ReadOnlySpan<byte> coding) =>
            Ascii.EqualsIgnoreCase(coding, "gzip"u8) || Ascii.EqualsIgnoreCase(coding, "x-gzip"u8) || Ascii.EqualsIgnoreCase(coding, "deflate"u8)
            || Ascii.EqualsIgnoreCase(coding, "compress"u8) || Ascii.EqualsIgnoreCase(coding, "x-compress"u8);
    }

    private HttpRefusal NoteConnection(ReadOnlySpan<byte> value)
    {
        while (TryNextElement(ref value, out var option))
        {
            if (option.ContainsAnyExcept(TokenBytes)) return HttpRefusal.InvalidConnection;
            if (Ascii.EqualsIgnoreCase(option, "close"u8)) SaysClose = true;
            else if (Ascii.EqualsIgnoreCase(option, "keep-alive"u8)) SaysKeepAlive = true;
            else if (Ascii.EqualsIgnoreCase(option, "upgrade"u8)) SaysUpgrade = true;
            else if (IsProtected(KnownFields.Resolve(option))) return HttpRefusal.ConnectionNamesProtectedField;
            else NamesHopFields = true;
        }

        return HttpRefusal.None;
    }

    // Naming one of these in Connection would take from a request what decides where it goes, who it is for, or how
    // long it is ("hop-by-hop abuse"); no honest sender does that. Transfer-Encoding is written anew on every hop, and
    // large content networks do name it in answers.
    private static bool IsProtected(KnownField field) =>
        field is not (KnownField.Other or KnownField.KeepAlive or KnownField.ProxyConnection or KnownField.TE or KnownField.Trailer
            or KnownField.TransferEncoding or KnownField.Upgrade or KnownField.Http2Settings or KnownField.ProxyAuthorization or KnownField.Baggage or KnownField.TraceState
            or KnownField.Date);
}
