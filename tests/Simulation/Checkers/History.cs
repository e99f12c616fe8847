namespace Cheops.Tests.Simulation.Checkers;

/// <summary>What a client was told of its operation.</summary>
public enum Told
{
    /// <summary>Nothing, or that nobody knows yet: it may have been carried out, and may still be.</summary>
    Nothing,
    /// <summary>It was carried out.</summary>
    Accepted,
    /// <summary>It was refused, or surely not executed: nothing happened anywhere.</summary>
    Refused,
}

/// <summary>An operation as its client sees it.</summary>
/// <param name="Id">Its name in the history.</param>
/// <param name="Replicant">The replicant it is on.</param>
/// <param name="Sites">The sites that its scope names, and no others.</param>
/// <param name="At">When it was asked for, as a number of the history.</param>
public sealed record Asked(string Id, string Replicant, IReadOnlySet<string> Sites, long At)
{
    /// <summary>Sites beyond those, such as one that is gone for good, where it may have been carried out or not.</summary>
    public IReadOnlySet<string> MayBeAt { get; init; } = new HashSet<string>();

    /// <summary>What the client was told.</summary>
    public Told Told { get; init; }

    /// <summary>When it was told, as a number of the history; <see cref="long.MaxValue"/> for never.</summary>
    public long ToldAt { get; init; } = long.MaxValue;
}

/// <summary>A site's service carried an operation out.</summary>
/// <param name="At">When, as a number of the history.</param>
/// <param name="Site">Where.</param>
/// <param name="Replicant">The replicant that it changed.</param>
/// <param name="Operation">The operation.</param>
public sealed record Applied(long At, string Site, string Replicant, string Operation);

/// <summary>A site was given a replica as a copy of another one's.</summary>
/// <param name="At">When, as a number of the history.</param>
/// <param name="Site">Where.</param>
/// <param name="Replicant">The replicant.</param>
/// <param name="Operation">An operation whose effect the copy shows; in their order.</param>
public sealed record Copied(long At, string Site, string Replicant, string Operation);

/// <summary>A site takes a local id for a replica.</summary>
/// <param name="At">When, as a number of the history.</param>
/// <param name="Site">The site.</param>
/// <param name="MetaId">The replicant's meta-id.</param>
/// <param name="LocalId">The replica's id there.</param>
public sealed record Mapped(long At, string Site, string MetaId, string LocalId);

/// <summary>A client read a replicant at a site.</summary>
/// <param name="At">When it was answered, as a number of the history.</param>
/// <param name="Site">Where it was read.</param>
/// <param name="Replicant">The replicant.</param>
/// <param name="Operation">The operation whose effect was seen last; empty for none.</param>
public sealed record Seen(long At, string Site, string Replicant, string Operation);

/// <summary>What a site holds of a replicant when everything has come to rest.</summary>
/// <param name="Site">The site.</param>
/// <param name="Replicant">The replicant.</param>
/// <param name="State">Its state, in any form that can be compared; null for none.</param>
/// <param name="Pending">Operations that the site still has to carry out.</param>
public sealed record AtRest(string Site, string Replicant, string? State, int Pending);

/// <summary>A client was told what is true when one of several operations was carried out, at each site of the scope.</summary>
/// <param name="Operation">The operation of which it was told that.</param>
/// <param name="Operations">Those of which one was carried out; it may be among them.</param>
public sealed record OneOf(string Operation, IReadOnlyList<string> Operations);

/// <summary>
/// What happened in a run, in the order in which it was recorded: each record gets the next number. Thread-safe, so that
/// campaigns on real processes can use it as well as a simulation.
/// </summary>
public sealed class History
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Asked> _asked = [];
    private readonly List<Applied> _applied = [];
    private readonly Dictionary<string, SortedSet<string>> _appliedAt = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IReadOnlySet<string>> _firstSites = new(StringComparer.Ordinal);
    private readonly List<Copied> _copied = [];
    private readonly List<Mapped> _mapped = [];
    private readonly List<Seen> _seen = [];
    private readonly List<AtRest> _atRest = [];
    private readonly List<OneOf> _oneOf = [];
    private long _number;

    /// <summary>The operations that clients asked for.</summary>
    public IReadOnlyList<Asked> Asked => Read(() => _asked.Values.OrderBy(one => one.At).ToList());

    /// <summary>What services carried out.</summary>
    public IReadOnlyList<Applied> Applied => Read(() => _applied.ToList());

    /// <summary>What copies showed.</summary>
    public IReadOnlyList<Copied> Copied => Read(() => _copied.ToList());

    /// <summary>The local ids that were taken.</summary>
    public IReadOnlyList<Mapped> Mapped => Read(() => _mapped.ToList());

    /// <summary>What clients read.</summary>
    public IReadOnlyList<Seen> Seen => Read(() => _seen.ToList());

    /// <summary>What the sites hold in the end.</summary>
    public IReadOnlyList<AtRest> AtRest => Read(() => _atRest.ToList());

    /// <summary>Whether a site's service has carried an operation out; at once, however long the history is.</summary>
    public bool HasApplied(string site, string operation)
    {
        lock (_gate) return _appliedAt.TryGetValue(operation, out var sites) && sites.Contains(site);
    }

    /// <summary>The sites whose services have carried an operation out, in order; at once, however long the history is.</summary>
    public IReadOnlyList<string> AppliedAt(string operation)
    {
        lock (_gate) return _appliedAt.TryGetValue(operation, out var sites) ? [.. sites] : [];
    }

    /// <summary>What a client was told of its operation; nothing of one that no client asked for.</summary>
    public Told ToldOf(string operation)
    {
        lock (_gate) return _asked.TryGetValue(operation, out var asked) ? asked.Told : Told.Nothing;
    }

    /// <summary>The sites that an operation was asked for at, as its client said; null of one that no client asked for.</summary>
    public IReadOnlySet<string>? SitesOf(string operation)
    {
        lock (_gate) return _asked.GetValueOrDefault(operation)?.Sites;
    }

    /// <summary>The sites of the first operation that was asked for on a replicant; null when there is none.</summary>
    public IReadOnlySet<string>? FirstSitesOf(string replicant)
    {
        lock (_gate) return _firstSites.GetValueOrDefault(replicant);
    }

    /// <summary>Where one of several operations was carried out, as a client was told.</summary>
    public IReadOnlyList<OneOf> OneOf => Read(() => _oneOf.ToList());

    private List<T> Read<T>(Func<List<T>> read)
    {
        lock (_gate) return read();
    }

    private long Note(Action<long> note)
    {
        lock (_gate)
        {
            note(++_number);
            return _number;
        }
    }

    /// <summary>A client asks for an operation.</summary>
    public long OnAsked(string operation, string replicant, params string[] sites) =>
        Note(at =>
        {
            _asked.Add(operation, new Asked(operation, replicant, sites.ToHashSet(), at));
            _firstSites.TryAdd(replicant, _asked[operation].Sites);
        });

    /// <summary>A client is told what became of its operation. What it was told first stands, unless that was nothing.</summary>
    public long OnTold(string operation, Told told) => Note(at =>
    {
        if (_asked[operation].Told == Told.Nothing) _asked[operation] = _asked[operation] with { Told = told, ToldAt = at };
    });

    /// <summary>A client was told what is true when one of some operations was carried out: that what it removes is gone, or what it makes is there.</summary>
    public long OnOneOf(string operation, IEnumerable<string> operations) => Note(_ => _oneOf.Add(new OneOf(operation, [.. operations])));

    /// <summary>It is known by now for which sites an operation counts, other than its client had said.</summary>
    public long OnCounted(string operation, IEnumerable<string> sites, IEnumerable<string> mayBeAt) =>
        Note(_ => _asked[operation] = _asked[operation] with { Sites = sites.ToHashSet(), MayBeAt = mayBeAt.ToHashSet() });

    /// <summary>A site was given a replica that shows these operations.</summary>
    public void OnCopied(string site, string replicant, params IEnumerable<string> operations)
    {
        foreach (var operation in operations) Note(at => _copied.Add(new Copied(at, site, replicant, operation)));
    }

    /// <summary>A person has taken back a copy, since nobody could tell whether it was made: it is made again.</summary>
    public long OnUndoneCopy(string site, string replicant) => Note(_ => _copied.RemoveAll(one => one.Site == site && one.Replicant == replicant));

    /// <summary>A service carried an operation out.</summary>
    public long OnApplied(string site, string replicant, string operation) => Note(at =>
    {
        _applied.Add(new Applied(at, site, replicant, operation));
        if (!_appliedAt.TryGetValue(operation, out var sites)) _appliedAt.Add(operation, sites = new(StringComparer.Ordinal));
        sites.Add(site);
    });

    /// <summary>A person has taken back what an operation did at a site, since nobody could tell whether it had: it is tried again.</summary>
    public long OnUndone(string site, string operation) => Note(_ =>
    {
        _applied.RemoveAll(one => one.Site == site && one.Operation == operation);
        if (_appliedAt.TryGetValue(operation, out var sites)) sites.Remove(site);
        _seen.RemoveAll(one => one.Site == site && one.Operation == operation);
    });

    /// <summary>A site took a local id for a replica.</summary>
    public long OnMapped(string site, string metaId, string localId) => Note(at => _mapped.Add(new Mapped(at, site, metaId, localId)));

    /// <summary>A client read a replicant.</summary>
    public long OnSeen(string site, string replicant, string operation) => Note(at => _seen.Add(new Seen(at, site, replicant, operation)));

    /// <summary>Everything has come to rest: what a site holds.</summary>
    public long OnRest(string site, string replicant, string? state, int pending = 0) => Note(_ => _atRest.Add(new AtRest(site, replicant, state, pending)));
}
