namespace Cheops.Tests.Simulation.Checkers;

/// <summary>
/// Which site could send to which other one, and when: what sites say of each other is held against it. Times are ticks of any
/// clock that all share; they are told in order.
/// </summary>
public sealed class Reachability
{
    private readonly Dictionary<string, Timeline> _up = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<(long From, long Until)>> _still = new(StringComparer.Ordinal);
    private readonly Dictionary<(string From, string To), Timeline> _cut = [];

    /// <summary>A site comes up, or goes down: what begins there anew does not stand still.</summary>
    public void OnSite(string site, bool isUp, long at)
    {
        Of(_up, site).Set(isUp, at);
        if (_still.TryGetValue(site, out var all)) all.RemoveAll(one => one.From >= at);
        for (var i = 0; i < all?.Count; i++) all[i] = (all[i].From, Math.Min(all[i].Until, at));
    }

    /// <summary>A site stands still.</summary>
    public void OnStill(string site, long from, long until)
    {
        if (!_still.TryGetValue(site, out var all)) _still.Add(site, all = []);
        all.Add((from, until));
    }

    /// <summary>A way is cut, or there again.</summary>
    public void OnWay(string from, string to, bool isCut, long at) => Of(_cut, (from, to)).Set(isCut, at);

    /// <summary>
    /// Whether a site could send to another one at some moment of a time. At the moment of a change it may have sent before it: one
    /// that ends as soon as it does not stand still any more sends what has become due meanwhile.
    /// </summary>
    public bool Could(string from, string to, long since, long until) => Moments(from, to, since, until).Any(at =>
        (Of(_up, from).At(at) || Of(_up, from).At(at - 1)) && !(Of(_cut, (from, to)).At(at) && Of(_cut, (from, to)).At(at - 1))
        && !Still(from).Any(one => one.From < at && at < one.Until));

    /// <summary>Whether it could all the time.</summary>
    public bool CouldAlways(string from, string to, long since, long until) => Moments(from, to, since, until).All(at =>
        Of(_up, from).At(at) && !Of(_cut, (from, to)).At(at) && !Still(from).Any(one => one.From <= at && at < one.Until));

    /// <summary>When a site began to stand still that does so, or has just ceased to, at a time; the time itself when it does not.</summary>
    /// <param name="site">The site.</param>
    /// <param name="at">The time.</param>
    /// <param name="just">For how long after it ceased that counts.</param>
    public long StillSince(string site, long at, long just)
    {
        var since = at;
        foreach (var (from, until) in Still(site).AsEnumerable().Reverse())
        {
            if (from <= since && since <= until + just) since = from;
        }

        return since;
    }

    private List<(long From, long Until)> Still(string site) => _still.GetValueOrDefault(site, []);

    // All that is true stays so from one of these moments to the next.
    private IEnumerable<long> Moments(string from, string to, long since, long until) =>
        Of(_up, from).Changes.Concat(Of(_cut, (from, to)).Changes).Concat(Still(from).SelectMany(one => new[] { one.From, one.Until })).Where(at => at > since && at <= until).Prepend(since);

    private static Timeline Of<T>(Dictionary<T, Timeline> all, T key) where T : notnull
    {
        if (!all.TryGetValue(key, out var line)) all.Add(key, line = new Timeline());
        return line;
    }

    // Something that is true or not; not so in the beginning.
    private sealed class Timeline
    {
        private readonly List<(long At, bool Is)> _changes = [];

        public IEnumerable<long> Changes => _changes.Select(one => one.At);

        public void Set(bool isSo, long at) => _changes.Add((at, isSo));

        public bool At(long at) => _changes.FindLast(one => one.At <= at).Is;
    }
}
