using System.Globalization;

namespace Cheops.Proto.Scopes;

/// <summary>The tokens of scope-lang, taken on demand. Copying it is looking ahead. The first error stays.</summary>
internal ref struct ScopeScanner(ReadOnlySpan<char> text)
{
    private readonly ReadOnlySpan<char> _text = text;

    /// <summary>The first error, or null.</summary>
    public ScopeError? Error { get; private set; }

    /// <summary>Where the scanner stands, from 0.</summary>
    public int Column { get; private set; }

    /// <summary>Whether only white space is left.</summary>
    public bool AtEnd
    {
        get
        {
            SkipSpace();
            return Column == _text.Length;
        }
    }

    /// <summary>The next character after white space; NUL at the end (which no token starts with).</summary>
    public char Peek
    {
        get
        {
            SkipSpace();
            return Column < _text.Length ? _text[Column] : '\0';
        }
    }

    public static bool IsNameCharacter(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-';

    public bool CheckLength()
    {
        if (_text.Length <= Bounds.ScopeLengthMax)
            return true;
        Fail(ScopeErrorKind.TooLong, Bounds.ScopeLengthMax, $"{_text.Length} characters", $"at most {Bounds.ScopeLengthMax}");
        return false;
    }

    public void SkipSpace()
    {
        while (Column < _text.Length && _text[Column] is ' ' or '\t' or '\r' or '\n')
            Column++;
    }

    public bool Take(char token)
    {
        if (Peek != token)
            return false;
        Column++;
        return true;
    }

    /// <summary>A name of any length, or empty when none starts here.</summary>
    public ReadOnlySpan<char> TakeName()
    {
        if (!char.IsAsciiLetter(Peek))
            return default;
        var start = Column;
        while (Column < _text.Length && IsNameCharacter(_text[Column]))
            Column++;
        return _text[start..Column];
    }

    /// <summary>The operator that starts with the <c>&amp;</c> the scanner stands at.</summary>
    public ReplicationOperator TakeReplication()
    {
        SkipSpace();
        Column++;
        var second = Column < _text.Length ? _text[Column] : '\0';
        if (second is '&' or '~')
            Column++;
        return second switch { '&' => ReplicationOperator.Strong, '~' => ReplicationOperator.Mergeable, _ => ReplicationOperator.Eventual };
    }

    public bool TakeReplicationIf(ReplicationOperator wanted)
    {
        if (Peek != '&')
            return false;
        var ahead = this;
        if (ahead.TakeReplication() != wanted)
            return false;
        Column = ahead.Column;
        return true;
    }

    /// <summary>A decimal number with its unit, white space allowed between the two, exact to 100 ns.</summary>
    public bool TakeDuration(out TimeSpan duration)
    {
        SkipSpace();
        duration = default;
        var start = Column;
        var number = TakeNumber();
        if (number.IsEmpty)
            return FailDuration(start, "a round-trip time such as 10ms or 0.5s");
        var unit = TakeName();
        long ticksPerUnit = unit switch { "ms" => TimeSpan.TicksPerMillisecond, "s" => TimeSpan.TicksPerSecond, _ => 0 };
        if (ticksPerUnit == 0)
        {
            Column -= unit.Length;
            return FailDuration(Column, "'ms' or 's' after the number");
        }

        const long ticksMax = Bounds.ScopeDurationMaxMs * TimeSpan.TicksPerMillisecond;
        if (number.Length > 20 || !decimal.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
            || value > ticksMax / ticksPerUnit)
            return FailDuration(start, $"at most {Bounds.ScopeDurationMaxMs / 1000}s, in at most 20 characters");
        var ticks = value * ticksPerUnit;
        if (ticks != decimal.Truncate(ticks))
            return FailDuration(start, "no finer than 0.0001ms");
        duration = TimeSpan.FromTicks((long)ticks);
        return true;
    }

    public void FailHere(ScopeErrorKind kind, string expected)
    {
        SkipSpace();
        if (Column == _text.Length && kind != ScopeErrorKind.Empty)
            kind = ScopeErrorKind.UnexpectedEnd;
        Fail(kind, Column, DescribeHere(), expected);
    }

    public void Fail(ScopeErrorKind kind, int column, string found, string expected) =>
        Error ??= new ScopeError(kind, column, found, expected);

    private bool FailDuration(int column, string expected)
    {
        Column = column;
        Fail(AtEnd ? ScopeErrorKind.UnexpectedEnd : ScopeErrorKind.BadDuration, Column, DescribeHere(), expected);
        return false;
    }

    // Digits with at most one point that stands between digits.
    private ReadOnlySpan<char> TakeNumber()
    {
        var start = Column;
        while (Column < _text.Length && char.IsAsciiDigit(_text[Column]))
            Column++;
        if (Column == start || Column + 1 >= _text.Length || _text[Column] != '.' || !char.IsAsciiDigit(_text[Column + 1]))
            return _text[start..Column];
        Column++;
        while (Column < _text.Length && char.IsAsciiDigit(_text[Column]))
            Column++;
        return _text[start..Column];
    }

    private readonly string DescribeHere()
    {
        if (Column == _text.Length)
            return "the end";
        var c = _text[Column];
        if (c is < ' ' or > '~')
            return string.Create(CultureInfo.InvariantCulture, $"the character U+{(int)c:X4}");
        if (!IsNameCharacter(c))
            return $"'{c}'";
        var end = Column;
        while (end < _text.Length && end - Column < 24 && IsNameCharacter(_text[end]))
            end++;
        return $"'{_text[Column..end]}'";
    }
}
