namespace Cheops.Agent.Translation;

/// <summary>What <see cref="JsonTokenizer"/> found.</summary>
internal enum JsonTokenKind : byte
{
    /// <summary>The input is used up; what of it begins a token is held until more comes.</summary>
    None,
    /// <summary>A left brace.</summary>
    StartObject,
    /// <summary>A right brace.</summary>
    EndObject,
    /// <summary>A left bracket.</summary>
    StartArray,
    /// <summary>A right bracket.</summary>
    EndArray,
    /// <summary>A colon.</summary>
    Colon,
    /// <summary>A comma.</summary>
    Comma,
    /// <summary>A member's name with its quotes.</summary>
    Name,
    /// <summary>A string with its quotes.</summary>
    String,
    /// <summary>A number.</summary>
    Number,
    /// <summary><c>true</c>, <c>false</c> or <c>null</c>.</summary>
    Literal,
    /// <summary>A name longer than <see cref="Proto.Bounds.JsonTokenSizeMax"/>; only its beginning is told.</summary>
    LongName,
    /// <summary>A string or number longer than <see cref="Proto.Bounds.JsonTokenSizeMax"/>; only its beginning is told.</summary>
    LongValue,
    /// <summary>From here on it is no JSON, or nested too deeply: nothing more is read of it.</summary>
    Malformed,
}

/// <summary>One token of a JSON text.</summary>
internal readonly ref struct JsonToken
{
    /// <summary>What it is.</summary>
    public required JsonTokenKind Kind { get; init; }

    /// <summary>Its bytes as they came.</summary>
    public ReadOnlySpan<byte> Bytes { get; init; }

    /// <summary>Where it begins in the input; 0 when it began in an earlier one.</summary>
    public required int Start { get; init; }

    /// <summary>Where the input goes on after it; for <see cref="JsonTokenKind.Malformed"/>, at the first byte that is not understood.</summary>
    public required int End { get; init; }

    /// <summary>Whether <see cref="Bytes"/> began in an earlier input, so that whoever copies the input has not copied them.</summary>
    public bool IsHeld { get; init; }
}
