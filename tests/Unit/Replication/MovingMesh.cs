using System.Collections.Immutable;
using Cheops.Agent.Replication.State;
using Cheops.Proto.Operations;
using static Cheops.Tests.Unit.Replication.MoveStateTests;

namespace Cheops.Tests.Unit.Replication;

/// <summary>
/// Three sites whose replicant is moved to and fro by anybody, while each takes each log at its own pace and may crash: the real states
/// of groups, driven by one seed. What it judges is that everything was carried out once, in one order, where the replicant is in the end.
/// </summary>
internal sealed class MovingMesh
{
    private readonly int _seed;
    private readonly Random _random;
    private readonly string _laggard;
    private readonly Dictionary<string, Group> _groups = [];
    private readonly Dictionary<string, (string Group, int Moves)> _views = [];
    private readonly Dictionary<string, (string Group, int Moves)> _durableViews = [];
    private readonly Dictionary<UInt128, int> _moves = [];
    private readonly Dictionary<string, Queue<(Group Group, CarryOut Next)>> _todo = Three.ToDictionary(site => site, _ => new Queue<(Group, CarryOut)>());
    private readonly HashSet<(string Site, string, UInt128, bool)> _begun = [];
    private readonly Dictionary<string, List<int>> _done = Three.ToDictionary(site => site, _ => new List<int>());
    private readonly Dictionary<UInt128, List<int>> _copied = [];
    private readonly List<(string Site, Group Group, OperationId Id, int Number)> _waiting = [];
    private readonly HashSet<int> _accepted = [];
    private int _numbers;
    private int _ids = 1000;

    public MovingMesh(int seed, bool hasLaggard = false)
    {
        (_seed, _random, _laggard) = (seed, new Random(seed), hasLaggard ? Three[seed % 3] : "");
        var first = GroupOf(Two);
        foreach (var site in Two) _views[site] = _durableViews[site] = (Name(first.Sites), 0);
    }

    // What is left to be done in a group, for whoever asks why nothing goes on.
    private static IEnumerable<string> Standing(Group group) => group.States.Values.Zip(group.Sites, (state, site) =>
        $"{Name(group.Sites)} at {site}: {group.Applied[site]} of {group.Log.Count} applied, "
        + $"open {string.Join(", ", state.Open.Select(one => $"{one.Index} {one.Kind} {one.Describe()}"))}, "
        + $"moving {string.Join(", ", state.Moving.Select(move => $"{move.Index} to {Name(move.To)}"))}, "
        + $"held {string.Join(", ", state.Held.Select(one => $"{one.Opened.Index} by {one.Opened.LastAt(site)!.ClosedAt} of {Name(one.Opened.LastAt(site)!.Sites)}"))}, "
        + $"marks {string.Join(", ", group.Tables[site].Marks?.Marks.Select(mark => $"{mark.Index} {mark.Kind} {Name(mark.OtherSites)}") ?? [])}");

    private static string Name(ImmutableArray<string> sites) => string.Join('&', sites);

    private Group GroupOf(ImmutableArray<string> sites) => _groups.TryGetValue(Name(sites), out var group) ? group : _groups[Name(sites)] = new Group(sites);

    public void Run()
    {
        for (var step = 0; step < 400; step++) Step(mayBegin: true);
        for (var step = 0; step < 200_000 && !IsQuiet; step++) Step(mayBegin: false);
        Check();
    }

    private bool IsQuiet => _waiting.Count == 0 && _todo.Values.All(todo => todo.Count == 0)
        && _groups.Values.All(group => group.Applied.Values.All(applied => applied == group.Log.Count) && group.States.Values.All(state => !state.Moving.Any() && state.Held.IsEmpty));

    private void Step(bool mayBegin)
    {
        var site = Three[_random.Next(3)];
        var groups = _groups.Values.Where(group => group.Sites.Contains(site)).ToArray();
        if (groups.Length == 0) return;
        var group = groups[_random.Next(groups.Length)];
        if (mayBegin && site == _laggard && _random.Next(8) > 0) return;
        switch (_random.Next(mayBegin ? 8 : 5))
        {
            case 0 when group.Applied[site] < group.Log.Count:
                Take(site, group);
                break;
            case 1 when _todo[site].TryDequeue(out var next):
                CarryOut(site, next.Group, next.Next);
                break;
            case 2:
                foreach (var (key, opened) in group.States[site].Held)
                {
                    var last = opened.LastAt(site)!;
                    var earlier = _groups[Name(last.Sites)];
                    if (earlier.Applied[site] >= last.ClosedAt && earlier.States[site].IsOver(key, opened) && group.States[site].Release(key, opened) is { } released)
                        Enqueue(site, group, released);
                }

                break;
            case 3:
                Complete(site, group);
                break;
            case 4:
                PassOn(site);
                break;
            case 5 when _views.TryGetValue(site, out var view):
                Propose(site, _groups[view.Group], ++_numbers);
                break;
            case 6 when _views.TryGetValue(site, out var at) && _random.Next(_laggard.Length > 0 ? 2 : 8) == 0:
                var sites = _groups[at.Group].Sites;
                var changed = Three[_random.Next(3)];
                var to = sites.Contains(changed) ? sites.Remove(changed) : [.. sites.Add(changed).Order(StringComparer.Ordinal)];
                if (to.Length > 0) _groups[at.Group].Log.Add(Closing((UInt128)(_ids += 10), to, _random.Next(2) == 0));
                break;
            case 7 when _random.Next(4) == 0:
                foreach (var one in groups) one.Checkpoint(site);
                Copy(site, _views, _durableViews);
                break;
            case 7 when _random.Next(4) == 0:
                Crash(site, groups);
                break;
        }
    }

    private void Crash(string site, Group[] groups)
    {
        foreach (var one in groups) one.Crash(site);
        Copy(site, _durableViews, _views);
        _todo[site].Clear();
        _begun.RemoveWhere(one => one.Site == site);
        _waiting.RemoveAll(one => one.Site == site);
    }

    private static void Copy(string site, Dictionary<string, (string Group, int Moves)> from, Dictionary<string, (string Group, int Moves)> to)
    {
        if (from.TryGetValue(site, out var view)) to[site] = view;
        else to.Remove(site);
    }

    private void Propose(string site, Group group, int number)
    {
        var id = new OperationId((UInt128)(_ids += 10));
        group.Log.Add(new ProposedEntry(Make(id.Value, site) with { AtUnixMs = number }));
        _waiting.Add((site, group, id, number));
    }

    private void Take(string site, Group group)
    {
        var index = ++group.Applied[site];
        foreach (var effect in Apply(group.States[site], index, group.Log[index - 1]))
        {
            if (effect is CarryOut next) Enqueue(site, group, next);
            if (effect is Marked marked) group.Tables[site].Marks = marked.Moves;
            if (effect is ReplicantOpened opened && !group.States[site].LeavesAfter(Key, index) && !(_views.GetValueOrDefault(site).Moves > opened.Record.Moves))
                _views[site] = (Name(group.Sites), opened.Record.Moves);
            if (effect is ReplicantLeft or ReplicantGone && _views.TryGetValue(site, out var view) && view.Group == Name(group.Sites)) _views.Remove(site);
        }
    }

    private void Enqueue(string site, Group group, CarryOut next)
    {
        if (_begun.Add((site, Name(group.Sites), next.Operation.Id.Value, next.Decides))) _todo[site].Enqueue((group, next));
    }

    private void CarryOut(string site, Group group, CarryOut next)
    {
        var id = next.Operation.Id;
        if (next.Operation.Index <= group.Seen[site] && group.Applied[site] < group.Log.Count)
        {
            _todo[site].Enqueue((group, next));
            return;
        }

        if (group.States[site].NextHere(next.Operation) is not { } now || now.Operation != next.Operation || now.Decides != next.Decides)
        {
            _begun.Remove((site, Name(group.Sites), id.Value, next.Decides));
            return;
        }

        var number = (int)next.Operation.AtUnixMs;
        if (next.Operation.Kind == OperationKind.Create) (_done[site], number) = ([.. _copied[id.Value - 1]], 0);
        else if (next.Operation.Kind == OperationKind.Delete) (_done[site], number) = ([], 0);
        if (!next.Decides)
        {
            if (number > 0) _done[site].Add(number);
            group.Log.Add(new AppliedEntry(id, site, SiteResult.Applied, Fine));
            return;
        }

        var isAccepted = _random.Next(4) > 0;
        if (isAccepted)
        {
            _done[site].Add(number);
            Assert.True(_accepted.Add(number), $"seed {_seed}: {number} was decided twice");
        }

        group.Log.Add(new OutcomeEntry(id, site, isAccepted ? Decision.Accepted : Decision.Refused, "", Fine));
    }

    // Whoever may completes it, also twice; sometimes it is called off.
    private void Complete(string site, Group group)
    {
        var state = group.States[site];
        if (state.Moving.FirstOrDefault() is not { } move || !move.Staying.Contains(site) || !state.IsDrained(Key, move.Index, site)) return;
        var to = GroupOf(move.To);
        if (to.States[site].SettledOf(Key, move.Id) is { } settled)
        {
            group.Log.Add(new MovedEntry(move.Id, Key, settled.Kind == MoveMarkKind.Opened ? settled.Index : 0));
            return;
        }

        if (to.Applied[site] < to.Log.Count) return;
        var opening = Opening(move, isCalledOff: _random.Next(10) == 0) with { Former = state.FormerAfter(move) };
        var before = group.Tables[site].Marks?.Marks.LastOrDefault(mark => mark.Kind == MoveMarkKind.Opened && mark.Index < move.Index)?.Move.Value ?? 0;
        _moves[move.Id.Value] = _moves.GetValueOrDefault(before) + 1;
        if (opening.Record is { } record) opening = opening with { Record = record with { Moves = _moves[move.Id.Value] } };
        to.Log.Add(opening);
        if (_copied.TryGetValue(move.Id.Value, out var done)) Assert.Equal(done, _done[site]);
        if (opening.Record is not null) _copied.TryAdd(move.Id.Value, [.. _done[site]]);
    }

    private void PassOn(string site)
    {
        foreach (var one in _waiting.Where(one => one.Site == site).ToArray())
        {
            if (!one.Group.States[site].TryFind(one.Id, out var state) || state.Decision is null) continue;
            var isMoved = state.Decision == Decision.Moved;
            if (isMoved && one.Group.States[site].MoveOf(Key) is not null) continue;
            _waiting.Remove(one);
            if (!isMoved) continue;
            var last = one.Group.States[site].LastMarkOf(Key);
            if (last is not { Kind: MoveMarkKind.Closed }) Propose(site, one.Group, one.Number);
            else if (last.OtherSites.Contains(site)) Propose(site, GroupOf(last.OtherSites), one.Number);
        }
    }

    private void Check()
    {
        Assert.True(IsQuiet, $"seed {_seed}: not everything is over\n{string.Join('\n', _groups.Values.SelectMany(Standing))}");
        var last = _groups.Values.Single(group => group.States.Values.First().LastMarkOf(Key) is { Kind: MoveMarkKind.Opened or MoveMarkKind.Returned }
            || (group.States.Values.First().LastMarkOf(Key) is null && Name(group.Sites) == Name(Two)));
        foreach (var site in last.Sites)
        {
            Assert.True(_done[last.Sites[0]].SequenceEqual(_done[site]), $"seed {_seed}: {string.Join(' ', _done[last.Sites[0]])} at {last.Sites[0]}, {string.Join(' ', _done[site])} at {site}");
            Assert.True(_accepted.Order().SequenceEqual(_done[site].Order()), $"seed {_seed}: not what was accepted at {site}");
        }

        foreach (var site in Three)
            Assert.True(_views.GetValueOrDefault(site).Group == (last.Sites.Contains(site) ? Name(last.Sites) : null), $"seed {_seed}: {site} has it in {_views.GetValueOrDefault(site).Group}");
    }

    private sealed class Group(ImmutableArray<string> sites)
    {
        public ImmutableArray<string> Sites { get; } = sites;

        public List<GroupEntry> Log { get; } = [];

        public Dictionary<string, GroupState> States { get; } = sites.ToDictionary(site => site, site => new GroupState(site, sites));

        public Dictionary<string, int> Applied { get; } = sites.ToDictionary(site => site, _ => 0);

        public Dictionary<string, Table> Tables { get; } = sites.ToDictionary(site => site, _ => new Table());

        // How much of the log a site had when it was started: what stands there may be done by now.
        public Dictionary<string, int> Seen { get; } = sites.ToDictionary(site => site, _ => 0);

        public void Checkpoint(string site)
        {
            var table = Tables[site];
            (table.DurableMarks, table.ReplayFrom) = (table.Marks, (int)(States[site].OldestNeeded ?? Math.Max(Applied[site] + 1, table.ReplayFrom)));
        }

        public void Crash(string site)
        {
            var table = Tables[site];
            (table.Marks, Applied[site], Seen[site]) = (table.DurableMarks, table.ReplayFrom - 1, Log.Count);
            States[site] = new GroupState(site, Sites, key => key == Key ? table.Marks : null);
        }
    }

    private sealed class Table
    {
        public ReplicantMoves? Marks { get; set; }

        public ReplicantMoves? DurableMarks { get; set; }

        public int ReplayFrom { get; set; } = 1;
    }
}
