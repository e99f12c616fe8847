using System.Collections.Immutable;

namespace Cheops.Agent.Profiles;

/// <summary>
/// How a workflow's id travels through a service beyond what every service gets (<c>traceparent</c>, <c>baggage</c>,
/// <c>X-Request-ID</c>, <c>Scope</c>). Field names are in lower case.
/// </summary>
public sealed record Correlation
{
    /// <summary>Nothing beyond what every service gets.</summary>
    public static Correlation None { get; } = new();

    /// <summary>Fields to put the id in, unless the client set them.</summary>
    public ImmutableArray<CorrelationField> Send { get; init; } = [];

    /// <summary>
    /// Fields that the service's callers carry on. One of them with a value that belongs to no workflow tells that the
    /// request belongs to none, so nothing else is tried.
    /// </summary>
    public ImmutableArray<string> Match { get; init; } = [];

    /// <summary>Fields of the service's answer that name the id it chose itself.</summary>
    public ImmutableArray<string> Learn { get; init; } = [];

    /// <summary>How long a workflow is remembered after its answer, since services go on working for it.</summary>
    public TimeSpan Keep { get; init; } = TimeSpan.FromMilliseconds(Proto.Bounds.WorkflowKeepMs);
}

/// <summary>A field to put a workflow's id in.</summary>
/// <param name="Name">The field's name in lower case.</param>
/// <param name="Format">How the id is written there.</param>
/// <param name="IsVerbatim">Whether the service carries any value on (<c>propagate</c>), not only one in this format.</param>
public sealed record CorrelationField(string Name, IdFormat Format, bool IsVerbatim = false);

/// <summary>How an id is written: a text with <c>&lt;uuid&gt;</c> (8-4-4-4-12) or <c>&lt;hex&gt;</c> (32 digits) in it once.</summary>
/// <param name="Prefix">What stands before the id.</param>
/// <param name="IsUuid">Whether it is written as a UUID.</param>
/// <param name="Suffix">What stands after the id.</param>
public sealed record IdFormat(string Prefix, bool IsUuid, string Suffix)
{
    /// <summary>The 32 digits alone.</summary>
    public static IdFormat Plain { get; } = new("", false, "");

    /// <summary>Reads a format; null when it is none.</summary>
    public static IdFormat? Parse(string text)
    {
        foreach (var (placeholder, isUuid) in new[] { ("<uuid>", true), ("<hex>", false) })
        {
            var at = text.IndexOf(placeholder, StringComparison.Ordinal);
            if (at < 0)
                continue;
            var format = new IdFormat(text[..at], isUuid, text[(at + placeholder.Length)..]);
            return text.Length <= 64 && IsPlain(format.Prefix) && IsPlain(format.Suffix) ? format : null;
        }

        return null;
    }

    /// <summary>Writes an id of 32 lower-case hexadecimal digits.</summary>
    public string Write(string hex) => IsUuid
        ? $"{Prefix}{hex.AsSpan(0, 8)}-{hex.AsSpan(8, 4)}-{hex.AsSpan(12, 4)}-{hex.AsSpan(16, 4)}-{hex.AsSpan(20)}{Suffix}"
        : $"{Prefix}{hex}{Suffix}";

    /// <summary>The format as text.</summary>
    public override string ToString() => $"{Prefix}{(IsUuid ? "<uuid>" : "<hex>")}{Suffix}";

    // Letters that a field's value may have anywhere, and that no format of ids makes ambiguous.
    private static bool IsPlain(string text) => text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or ':' or '/' or '=');
}
