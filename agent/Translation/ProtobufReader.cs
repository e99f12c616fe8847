namespace Cheops.Agent.Translation;

/// <summary>
/// Reads the fields of one protobuf message, of which the end may be missing: what is there is read as far as it goes.
/// Nothing is allocated, and no length is believed beyond the bytes that are there.
/// </summary>
internal ref struct ProtobufReader(ReadOnlySpan<byte> message)
{
    private ReadOnlySpan<byte> _rest = message;

    /// <summary>Bytes that are not read yet.</summary>
    public readonly int Left => _rest.Length;

    /// <summary>Reads the next field.</summary>
    /// <param name="number">Its number.</param>
    /// <param name="bytes">The content of a length-delimited field; empty for other ones.</param>
    /// <param name="isWhole">Whether all of the content is there.</param>
    /// <returns>False at the end, and where it is no protobuf.</returns>
    public bool TryRead(out int number, out ReadOnlySpan<byte> bytes, out bool isWhole)
    {
        number = 0;
        bytes = default;
        isWhole = true;
        if (!TryVarint(out var tag) || tag >> 3 is 0 or > 0x1FFF_FFFF) return false;
        number = (int)(tag >> 3);
        switch (tag & 7)
        {
            case 0:
                return TryVarint(out _);
            case 1:
                return TrySkip(8);
            case 2 when TryVarint(out var length):
                isWhole = length <= (ulong)_rest.Length;
                bytes = isWhole ? _rest[..(int)length] : _rest;
                _rest = _rest[bytes.Length..];
                return true;
            case 5:
                return TrySkip(4);
            default:
                return false;
        }
    }

    private bool TrySkip(int size)
    {
        if (_rest.Length < size) return false;
        _rest = _rest[size..];
        return true;
    }

    // At most ten bytes; bits past the 64th are none.
    private bool TryVarint(out ulong value)
    {
        value = 0;
        for (var i = 0; i < 10 && i < _rest.Length; i++)
        {
            var b = _rest[i];
            value |= (ulong)(b & 0x7F) << (7 * i);
            if (b >= 0x80) continue;
            if (i == 9 && b > 1) return false;
            _rest = _rest[(i + 1)..];
            return true;
        }

        return false;
    }
}
