using System.Globalization;

namespace Cheops.Proto.Scopes;

/// <summary>Every reason why a text is not a scope.</summary>
public enum ScopeErrorKind
{
    /// <summary>Nothing but white space.</summary>
    Empty,
    /// <summary>Longer than <see cref="Bounds.ScopeLengthMax"/>.</summary>
    TooLong,
    /// <summary>Nested deeper than <see cref="Bounds.ScopeDepthMax"/>.</summary>
    TooDeep,
    /// <summary>The text ends where more was expected.</summary>
    UnexpectedEnd,
    /// <summary>Something stands where something else was expected.</summary>
    Unexpected,
    /// <summary>A name is longer than <see cref="Bounds.SiteNameLengthMax"/>.</summary>
    NameTooLong,
    /// <summary>A duration is not a number with <c>ms</c> or <c>s</c>, is too long, or too fine.</summary>
    BadDuration,
    /// <summary>A service is bound twice.</summary>
    ServiceBoundTwice,
    /// <summary>A bare location stands beside bindings.</summary>
    BareBesideBindings,
}

/// <summary>Why and where a text is not a scope. Answered with 400 before anything is executed.</summary>
/// <param name="Kind">The reason.</param>
/// <param name="Column">Where, counted from 0 in UTF-16 code units; from 0 to the text's length.</param>
/// <param name="Found">What stands there, as a person reads it.</param>
/// <param name="Expected">What would be right there; a hint what to do.</param>
public sealed record ScopeError(ScopeErrorKind Kind, int Column, string Found, string Expected)
{
    /// <summary>The column as people count: from 1.</summary>
    public int ColumnFromOne => Column + 1;

    /// <summary>The error as a sentence that a user understands.</summary>
    public string Message => string.Create(
        CultureInfo.InvariantCulture, $"scope, column {ColumnFromOne}: found {Found}, expected {Expected}");

    /// <summary>Two lines for a terminal: the text and a caret under the column. Long texts are cut around it.</summary>
    /// <param name="text">The text that was parsed.</param>
    public string Caret(string text)
    {
        const int shown = 72;
        var start = Math.Max(0, Math.Min(Column - shown / 2, text.Length - shown));
        var line = text.AsSpan(start, Math.Min(shown, text.Length - start)).ToString();
        var printable = string.Create(line.Length, line, static (span, source) =>
        {
            for (var i = 0; i < span.Length; i++)
                span[i] = source[i] is >= ' ' and <= '~' ? source[i] : source[i] is '\t' or '\n' or '\r' ? ' ' : '?';
        });
        return $"{printable}\n{new string(' ', Math.Clamp(Column - start, 0, shown))}^";
    }
}
