namespace Cheops.Tests.Simulation.Checkers;

/// <summary>A promise that a history breaks.</summary>
/// <param name="Promise">Which one.</param>
/// <param name="Detail">How, for a person.</param>
public sealed record Violation(string Promise, string Detail);

/// <summary>The promises of replication. Each looks at a whole history and knows nothing of how it came about.</summary>
public static class Check
{
    /// <summary>All promises, of a history whose run has come to rest.</summary>
    public static IEnumerable<Violation> Everything(History history) =>
        ExactlyOnce(history).Concat(OneOfThem(history)).Concat(OneOrder(history)).Concat(RefusedNowhere(history)).Concat(WithinScope(history)).Concat(Bijection(history)).Concat(MonotoneReads(history)).Concat(Converged(history));

    /// <summary>
    /// What was accepted was carried out at every site of its scope, what nobody was told of at every one or at none, and
    /// nothing twice at any.
    /// </summary>
    public static IEnumerable<Violation> ExactlyOnce(History history)
    {
        const string promise = "exactly once";
        var counts = history.Applied.GroupBy(one => (one.Operation, one.Site)).ToDictionary(group => group.Key, group => group.Count());
        foreach (var ((operation, site), count) in counts.Where(one => one.Value > 1))
            yield return new Violation(promise, $"{operation} was carried out {count} times at {site}");
        foreach (var asked in history.Asked.Where(one => one.Told != Told.Refused))
        {
            var missing = asked.Sites.Where(site => !counts.ContainsKey((asked.Id, site))).Order().ToList();
            if (missing.Count > 0 && (asked.Told == Told.Accepted || missing.Count < asked.Sites.Count))
                yield return new Violation(promise, $"{asked.Id} ({(asked.Told == Told.Accepted ? "accepted" : "unknown")}) was not carried out at {string.Join(", ", missing)}");
        }

        foreach (var unknown in counts.Keys.Select(key => key.Operation).Except(history.Asked.Select(asked => asked.Id)).Order())
            yield return new Violation(promise, $"{unknown} was carried out, and nobody had asked for it");
    }

    /// <summary>Where a client was told that something is there, or gone, whichever operation made it so was carried out at every site of the scope.</summary>
    public static IEnumerable<Violation> OneOfThem(History history)
    {
        var sites = history.Asked.ToDictionary(asked => asked.Id, asked => asked.Sites);
        var applied = history.Applied.Select(one => (one.Site, one.Operation)).ToHashSet();
        foreach (var one in history.OneOf)
        {
            var missing = sites[one.Operation].Where(site => !one.Operations.Any(operation => applied.Contains((site, operation)))).Order().ToList();
            if (missing.Count > 0)
                yield return new Violation("told the truth", $"the client of {one.Operation} was told that one of {string.Join(", ", one.Operations)} was carried out, and none was at {string.Join(", ", missing)}");
        }
    }

    /// <summary>Any two sites carried out what both did of a replicant in the same order.</summary>
    public static IEnumerable<Violation> OneOrder(History history)
    {
        foreach (var replicant in history.Applied.GroupBy(one => one.Replicant))
        {
            var orders = replicant.GroupBy(one => one.Site).ToDictionary(site => site.Key, site => site.Select(one => one.Operation).Distinct().ToList());
            foreach (var (first, second) in Pairs(orders.Keys))
            {
                var there = orders[second].Index().ToDictionary(one => one.Item, one => one.Index);
                var common = orders[first].Where(there.ContainsKey).ToList();
                foreach (var (before, after) in common.Zip(common.Skip(1)).Where(pair => there[pair.First] > there[pair.Second]))
                    yield return new Violation("one order", $"{replicant.Key}: {first} carried out {before} before {after}, {second} the other way round");
            }
        }
    }

    /// <summary>What was refused was carried out nowhere.</summary>
    public static IEnumerable<Violation> RefusedNowhere(History history)
    {
        var refused = history.Asked.Where(one => one.Told == Told.Refused).ToDictionary(one => one.Id, one => one.MayBeAt);
        return history.Applied.Where(one => refused.TryGetValue(one.Operation, out var mayBeAt) && !mayBeAt.Contains(one.Site))
            .Select(one => new Violation("refused means nowhere", $"{one.Operation} was refused and carried out at {one.Site}"));
    }

    /// <summary>Nothing was carried out at a site that its scope excludes.</summary>
    public static IEnumerable<Violation> WithinScope(History history)
    {
        var operations = history.Asked.ToDictionary(one => one.Id);
        return history.Applied.Where(one => operations.TryGetValue(one.Operation, out var asked) && !asked.Sites.Contains(one.Site) && !asked.MayBeAt.Contains(one.Site))
            .Select(one => new Violation("within its scope", $"{one.Operation} was carried out at {one.Site}, its scope names {string.Join(", ", operations[one.Operation].Sites.Order())}"));
    }

    /// <summary>At each site a meta-id stands for one local id, and a local id for one meta-id.</summary>
    public static IEnumerable<Violation> Bijection(History history)
    {
        foreach (var site in history.Mapped.GroupBy(one => one.Site))
        {
            foreach (var meta in site.GroupBy(one => one.MetaId).Where(ids => ids.Select(one => one.LocalId).Distinct().Skip(1).Any()))
                yield return new Violation("ids one to one", $"at {site.Key}, {meta.Key} stands for {string.Join(" and ", meta.Select(one => one.LocalId).Distinct())}");
            foreach (var local in site.GroupBy(one => one.LocalId).Where(ids => ids.Select(one => one.MetaId).Distinct().Skip(1).Any()))
                yield return new Violation("ids one to one", $"at {site.Key}, {string.Join(" and ", local.Select(one => one.MetaId).Distinct())} stand for {local.Key}");
        }
    }

    /// <summary>Who reads a replicant at one site never sees an older state than was read there before.</summary>
    public static IEnumerable<Violation> MonotoneReads(History history)
    {
        const string promise = "reads never go back";
        var applied = history.Applied.Select(one => (one.At, one.Site, one.Replicant, one.Operation)).Concat(history.Copied.Select(one => (one.At, one.Site, one.Replicant, one.Operation)))
            .OrderBy(one => one.At).GroupBy(one => (one.Site, one.Replicant)).ToDictionary(group => group.Key, group => group.ToList());
        foreach (var reads in history.Seen.GroupBy(one => (one.Site, one.Replicant)))
        {
            var order = applied.GetValueOrDefault(reads.Key, []);
            var latest = -1;
            foreach (var read in reads.OrderBy(one => one.At))
            {
                var place = read.Operation.Length == 0 ? -1 : order.FindLastIndex(one => one.Operation == read.Operation && one.At < read.At);
                if (place < 0 && read.Operation.Length > 0)
                    yield return new Violation(promise, $"{read.Site} showed {read.Operation} on {read.Replicant} before it was carried out there");
                else if (place < latest)
                    yield return new Violation(promise, $"{read.Site} showed {read.Replicant} as of {(place < 0 ? "before anything" : read.Operation)} after {order[latest].Operation}");
                else
                    latest = place;
            }
        }
    }

    /// <summary>At rest all sites that hold a replicant hold the same, and nothing is left to do.</summary>
    public static IEnumerable<Violation> Converged(History history)
    {
        foreach (var site in history.AtRest.Where(one => one.Pending > 0))
            yield return new Violation("convergence", $"{site.Site} still has {site.Pending} operations on {site.Replicant} to carry out");
        foreach (var replicant in history.AtRest.GroupBy(one => one.Replicant))
        {
            foreach (var (first, second) in replicant.Zip(replicant.Skip(1)).Where(pair => pair.First.State != pair.Second.State))
                yield return new Violation("convergence", $"{replicant.Key} is {first.State ?? "absent"} at {first.Site} and {second.State ?? "absent"} at {second.Site}");
        }
    }

    private static IEnumerable<(T, T)> Pairs<T>(IEnumerable<T> all)
    {
        var list = all.ToList();
        return list.SelectMany((first, at) => list.Skip(at + 1).Select(second => (first, second)));
    }
}
