using System.Globalization;
using System.Text;
using Cheops.Proto;

namespace Cheops.Agent.Planning;

/// <summary>
/// What each location of a plan did, for the <c>Cheops-Plan</c> response header: a structured field list
/// (RFC 8941) such as <c>Site1;outcome=refused;status=404, Site2;outcome=answered;status=200</c>.
/// </summary>
/// <remarks>
/// A member is a token (a site) or a string (a location that is not a single site). <c>outcome</c> is <c>answered</c>
/// (below 400), <c>refused</c> (4xx), <c>failed</c> (5xx), <c>unreached</c> or <c>lost</c>; <c>status</c> is there when
/// an application answered. Past <see cref="Bounds.PlanTrailCountMax"/> members a last one counts the rest:
/// <c>*;more=3</c>.
/// </remarks>
public sealed class PlanTrail
{
    /// <summary>The header's name.</summary>
    public const string HeaderName = "Cheops-Plan";

    private readonly StringBuilder _text = new();
    private int _count;

    /// <summary>How many locations were tried.</summary>
    public int Count => _count;

    /// <summary>Adds what a location did.</summary>
    public void Add(Plan location, AttemptOutcome outcome)
    {
        if (++_count > Bounds.PlanTrailCountMax)
            return;
        if (_count > 1)
            _text.Append(", ");
        AppendName(location);
        _text.Append(";outcome=").Append(OutcomeOf(outcome));
        if (outcome.Kind == AttemptKind.Answered)
            _text.Append(";status=").Append(CultureInfo.InvariantCulture, $"{outcome.Status}");
    }

    /// <summary>The header's value; empty when nothing was tried.</summary>
    public override string ToString() => _count <= Bounds.PlanTrailCountMax
        ? _text.ToString()
        : string.Create(CultureInfo.InvariantCulture, $"{_text}, *;more={_count - Bounds.PlanTrailCountMax}");

    // Names are tokens by their grammar, and a plan's text has neither quotes nor backslashes.
    private void AppendName(Plan location)
    {
        if (location is SitePlan site)
        {
            _text.Append(site.Site);
            return;
        }

        const int shown = 128;
        var text = location.ToString();
        _text.Append('"').Append(text.Length <= shown ? text : string.Concat(text.AsSpan(0, shown), "...")).Append('"');
    }

    private static string OutcomeOf(AttemptOutcome outcome) => outcome.Kind switch
    {
        AttemptKind.NotReached => "unreached",
        AttemptKind.Lost => "lost",
        _ => outcome.Status switch { < 400 => "answered", < 500 => "refused", _ => "failed" },
    };
}
