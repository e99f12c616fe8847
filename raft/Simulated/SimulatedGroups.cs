using System.Collections.Immutable;
using Cheops.Proto.Operations;

namespace Cheops.Raft.Simulated;

/// <summary>What goes wrong among simulated sites, beside what is ordered.</summary>
public sealed record SimulatedFaults
{
    /// <summary>Longest time that a message takes.</summary>
    public TimeSpan DelayMax { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>Of a thousand proposals, those under which the leader is lost: committed or not, the proposer is not told.</summary>
    public int LeaderLostPerMille { get; init; }

    /// <summary>
    /// Whether a site that starts does not know how far the group was committed: all that it had applied comes after the replay.
    /// </summary>
    public bool ForgetsCommit { get; init; }

    /// <summary>How long a proposal, a barrier or a founding may take.</summary>
    public TimeSpan ProposeTimeMax { get; init; } = TimeSpan.FromSeconds(10);
}

/// <summary>
/// The groups of several simulated sites: a model of what hosts promise, in which nothing depends on threads, chance or
/// time but what is handed in. What a majority of a group's voters reach is committed; every site learns of it later, each
/// at its own pace. Leaders are lost, sites are cut off and crash, to order or by chance.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="chance">Decides delays and faults.</param>
/// <param name="faults">What goes wrong; nothing when null.</param>
/// <param name="options">How long leaders stay; the defaults when null. Its other times are the real host's.</param>
public sealed class SimulatedGroups(TimeProvider time, Random chance, SimulatedFaults? faults = null, GroupOptions? options = null)
{
    private readonly GroupOptions _options = options ?? new GroupOptions();
    private readonly Dictionary<GroupId, SharedGroup> _groups = [];
    private readonly Dictionary<string, SimulatedGroupHost> _hosts = new(StringComparer.Ordinal);
    private readonly HashSet<string> _everThere = new(StringComparer.Ordinal);
    private readonly HashSet<string> _cutOff = new(StringComparer.Ordinal);
    private readonly HashSet<(string, string)> _cut = [];

    internal Lock Gate { get; } = new();

    internal TimeProvider Time => time;

    internal IEnumerable<SharedGroup> All => _groups.Values;

    /// <summary>What goes wrong from now on.</summary>
    public SimulatedFaults Faults { get; set; } = faults ?? new SimulatedFaults();

    /// <summary>A site comes up: its host replays what the site knew before.</summary>
    /// <param name="site">Its name.</param>
    /// <param name="machines">Gives the machine of a group, once for each group at a start.</param>
    public SimulatedGroupHost Join(string site, Func<GroupFounding, IGroupMachine> machines)
    {
        var host = new SimulatedGroupHost(this, site, machines);
        SharedGroup[] groups;
        lock (Gate)
        {
            _hosts[site] = host;
            _everThere.Add(site);
            groups = [.. _groups.Values.Where(g => g.Known.ContainsKey(site) && (!g.IsStranger(site) || g.Known[site] > 0))];
        }

        foreach (var group in groups) host.Open(group);
        CatchUp();
        return host;
    }

    /// <summary>
    /// What a site that is down had made durable is lost, or its end: it counts in none of its groups before the others have let it
    /// in again. A group that no other site is of is gone.
    /// </summary>
    /// <param name="site">Its name.</param>
    /// <param name="keptPerMille">How much of each group's log is left; 0 when it knows of no group any more.</param>
    public void Lose(string site, int keptPerMille = 0)
    {
        lock (Gate)
        {
            foreach (var group in _groups.Values.Where(g => g.Voters.Contains(site)).ToArray())
            {
                if (group.Voters.Length > 1) group.Lose(site, keptPerMille);
                else _groups.Remove(group.Founding.Id);
            }
        }
    }

    /// <summary>Cuts a site off from all others, or lets it come back.</summary>
    public void CutOff(string site, bool isCut)
    {
        lock (Gate)
        {
            if (isCut) _cutOff.Add(site);
            else _cutOff.Remove(site);
        }

        CatchUp();
    }

    /// <summary>Cuts two sites off from each other, or lets them meet again.</summary>
    public void Cut(string one, string other, bool isCut)
    {
        var pair = string.CompareOrdinal(one, other) < 0 ? (one, other) : (other, one);
        lock (Gate)
        {
            if (isCut) _cut.Add(pair);
            else _cut.Remove(pair);
        }

        CatchUp();
    }

    internal void Leave(SimulatedGroupHost host)
    {
        lock (Gate)
        {
            if (_hosts.GetValueOrDefault(host.Site) == host) _hosts.Remove(host.Site);
        }
    }

    internal Task DelayAsync(CancellationToken cancellation) => Task.Delay(NextDelay(), time, cancellation);

    internal bool Reaches(string a, string b) => string.Equals(a, b, StringComparison.Ordinal)
        ? _hosts.ContainsKey(a)
        : _hosts.ContainsKey(a) && _hosts.ContainsKey(b) && !_cutOff.Contains(a) && !_cutOff.Contains(b)
            && !_cut.Contains(string.CompareOrdinal(a, b) < 0 ? (a, b) : (b, a));

    internal bool HasMajority(SharedGroup group, string site) =>
        !group.IsStranger(site) && group.Voters.Count(v => !group.IsStranger(v) && Reaches(site, v)) > group.Voters.Length / 2;

    internal bool IsLeaderLost() => chance.Next(1000) < Faults.LeaderLostPerMille;

    internal bool Tosses() => chance.Next(2) == 0;

    /// <summary>Whether a site was ever there: then all others have met it.</summary>
    internal bool WasThere(string site)
    {
        lock (Gate) return _everThere.Contains(site);
    }

    /// <summary>Founds a group, or finds the one that is there. The gate is held.</summary>
    internal SharedGroup? FindOrFound(GroupFounding founding, string site)
    {
        if (_groups.TryGetValue(founding.Id, out var group)) return group.IsStranger(site) ? null : group;
        // Two sites must both be there; of more, a majority.
        var there = founding.Sites.Count(s => Reaches(site, s));
        if (there < (founding.Sites.Length == 2 ? 2 : (founding.Sites.Length / 2) + 1)) return null;
        if (founding.Witness is { } witness && !_everThere.Contains(witness)) return null;
        group = new SharedGroup(founding, new LeadChoice(_options));
        foreach (var voter in founding.Voters) group.Known[voter] = 0;
        _groups.Add(founding.Id, group);
        return group;
    }

    /// <summary>Opens a group at every voter that is there.</summary>
    internal void OpenEverywhere(SharedGroup group)
    {
        SimulatedGroupHost[] hosts;
        lock (Gate) hosts = [.. group.Voters.Where(v => _hosts.ContainsKey(v) && !group.IsStranger(v)).Select(v => _hosts[v])];
        foreach (var host in hosts) host.Open(group);
    }

    /// <summary>The host of a site, when another one reaches it.</summary>
    internal SimulatedGroupHost? HostReached(string from, string site)
    {
        lock (Gate) return Reaches(from, site) ? _hosts[site] : null;
    }

    /// <summary>A site leaves the groups of another one: each where the rest is a majority that is reached.</summary>
    internal ImmutableArray<SiteRemoval> RemoveFromAll(string site, string asked)
    {
        lock (Gate)
        {
            return [.. _groups.Values.Where(g => g.Founding.Voters.Contains(site) && g.Voters.Contains(asked)).Select(g => RemoveFrom(g, site, asked))];
        }
    }

    private SiteRemoval RemoveFrom(SharedGroup group, string site, string asked)
    {
        var (sites, voters) = (group.Founding.Sites, group.Voters);
        if (!voters.Contains(site)) return new SiteRemoval(sites, "");
        var there = voters.Count(v => !string.Equals(v, site, StringComparison.Ordinal) && !group.IsStranger(v) && Reaches(asked, v));
        if (there < Math.Min(voters.Length - 1, (voters.Length / 2) + 1)) return new SiteRemoval(sites, $"group {group.Founding.Id} has no majority without {site}");
        group.Remove(site);
        return new SiteRemoval(sites, "");
    }

    /// <summary>Every site that can be told what is committed is told, each after its own delay.</summary>
    internal void CatchUp()
    {
        List<(SimulatedGroup Group, long Index)> told = [];
        List<(SharedGroup Group, string Site)> strangers = [];
        lock (Gate)
        {
            foreach (var group in _groups.Values)
            {
                strangers.AddRange(group.Strangers.Where(s => MayLetIn(group, s)).Select(s => (group, s)));
                told.AddRange(group.Voters
                    .Where(v => HasMajority(group, v) && _hosts[v].FindHere(group.Founding.Id) is not null)
                    .Select(v => (_hosts[v].FindHere(group.Founding.Id)!, group.LastIndex)));
            }
        }

        foreach (var (group, index) in told) _ = TellAsync(group, index);
        foreach (var (group, site) in strangers) _ = LetInAsync(group, site);
    }

    // A majority of all voters without the stranger; of two, the other one.
    private bool MayLetIn(SharedGroup group, string stranger)
    {
        var least = group.Voters.Length == 2 ? 1 : (group.Voters.Length / 2) + 1;
        return _hosts.ContainsKey(stranger) && group.Voters.Any(v =>
            !group.IsStranger(v) && Reaches(v, stranger) && group.Voters.Count(other => !group.IsStranger(other) && Reaches(v, other)) >= least);
    }

    private async Task LetInAsync(SharedGroup group, string stranger)
    {
        await DelayAsync(CancellationToken.None);
        SimulatedGroupHost host;
        lock (Gate)
        {
            if (!group.IsStranger(stranger) || !MayLetIn(group, stranger)) return;
            host = _hosts[stranger];
            group.LetIn(stranger);
        }

        host.LetIn(group);
        CatchUp();
    }

    private async Task TellAsync(SimulatedGroup group, long index)
    {
        await DelayAsync(CancellationToken.None);
        bool isReached;
        lock (Gate) isReached = HasMajority(group.Shared, group.Site);
        if (isReached) group.Learn(index);
    }

    private TimeSpan NextDelay()
    {
        lock (Gate) return TimeSpan.FromTicks(1 + chance.NextInt64(Faults.DelayMax.Ticks));
    }
}

/// <summary>What all sites of a simulated group share. Guarded by the gate of its <see cref="SimulatedGroups"/>.</summary>
internal sealed class SharedGroup(GroupFounding founding, LeadChoice choice)
{
    private readonly List<byte[]?> _entries = [];

    public GroupFounding Founding => founding;

    /// <summary>Where its lead belongs.</summary>
    public LeadChoice Choice => choice;

    public ImmutableArray<string> Voters { get; private set; } = founding.Voters;

    public Dictionary<string, long> Known { get; } = new(StringComparer.Ordinal);

    /// <summary>Voters that have lost their data and are not let in again yet.</summary>
    public SortedSet<string> Strangers { get; } = new(StringComparer.Ordinal);

    /// <summary>The entries by which voters were let in again, each the last one of its site.</summary>
    public Dictionary<string, long> LetInAt { get; } = new(StringComparer.Ordinal);

    public bool IsStranger(string site) => Strangers.Contains(site);

    public string? Leader { get; private set; }

    public long Term { get; private set; }

    public int Generation { get; private set; } = 1;

    public long LastIndex => _entries.Count;

    public byte[]? this[long index] => _entries[(int)index - 1];

    /// <summary>Another leader begins its term, with an entry of its own.</summary>
    public void Elect(string site)
    {
        (Leader, Term) = (site, Term + 1);
        _entries.Add(null);
    }

    public long Commit(ReadOnlyMemory<byte> entry)
    {
        _entries.Add(entry.ToArray());
        return LastIndex;
    }

    public void Lose(string site, int keptPerMille)
    {
        Strangers.Add(site);
        Known[site] = Known.GetValueOrDefault(site) * keptPerMille / 1000;
        if (string.Equals(Leader, site, StringComparison.Ordinal)) Leader = null;
    }

    public void LetIn(string site)
    {
        Strangers.Remove(site);
        Generation++;
        _entries.Add(null);
        LetInAt[site] = LastIndex;
    }

    public void Remove(string site)
    {
        Voters = Voters.Remove(site);
        Strangers.Remove(site);
        Generation++;
        _entries.Add(null);
        if (string.Equals(Leader, site, StringComparison.Ordinal)) Leader = null;
    }
}
