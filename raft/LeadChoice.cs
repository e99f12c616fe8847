using Cheops.Proto;

namespace Cheops.Raft;

/// <summary>
/// Where a group's lead belongs, as its leader knows it from who has sent it operations lately: at the site that clearly
/// sends most of them. Pure; safe for use by many at once.
/// </summary>
/// <remarks>
/// What was sent fades, so that sites that send alike, or take turns, never have enough for a move. A leader stays for a while,
/// longer where a person asked for it.
/// </remarks>
/// <param name="options">Its times.</param>
internal sealed class LeadChoice(GroupOptions options)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, double> _sent = new(StringComparer.Ordinal);
    private TimeSpan _fadedAt;
    private TimeSpan _staysUntil;

    /// <summary>A site has sent an operation.</summary>
    /// <param name="site">Which.</param>
    /// <param name="now">Time since any fixed moment; never goes back.</param>
    public void Count(string site, TimeSpan now)
    {
        lock (_gate)
        {
            Fade(now);
            _sent[site] = _sent.GetValueOrDefault(site) + 1;
        }
    }

    /// <summary>The lead stays where it is for a while: it has just come there, or could not be given away.</summary>
    public void Stay(TimeSpan now) => StayUntil(now + options.LeadTimeMin);

    /// <summary>A person has asked for the lead to be where it is.</summary>
    public void Asked(TimeSpan now) => StayUntil(now + options.LeadAskedTime);

    /// <summary>The site that should lead instead; null when the leader should stay.</summary>
    /// <param name="leader">Who leads.</param>
    /// <param name="now">The time.</param>
    public string? Better(string leader, TimeSpan now)
    {
        lock (_gate)
        {
            if (now < _staysUntil) return null;
            Fade(now);
            if (_sent.Count == 0) return null;
            var (best, most) = _sent.MaxBy(one => one.Value);
            var total = _sent.Values.Sum();
            var isClear = total >= Bounds.GroupLeadOperationsMin && 100 * most >= Bounds.GroupLeadPercentMin * total;
            return isClear && !string.Equals(best, leader, StringComparison.Ordinal) ? best : null;
        }
    }

    private void StayUntil(TimeSpan time)
    {
        lock (_gate)
        {
            if (time > _staysUntil) _staysUntil = time;
        }
    }

    private void Fade(TimeSpan now)
    {
        var factor = Math.Exp((_fadedAt - now) / options.LeadWindow);
        foreach (var site in _sent.Keys) _sent[site] *= factor;
        _fadedAt = now;
    }
}
