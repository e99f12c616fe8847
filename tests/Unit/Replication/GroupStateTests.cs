using System.Collections.Immutable;
using Cheops.Agent.Replication.State;
using Cheops.Proto.Operations;
using CsCheck;

namespace Cheops.Tests.Unit.Replication;

/// <summary>The state machine of a group: order, decisions, and that every site comes to the same.</summary>
public sealed class GroupStateTests
{
    private static readonly ImmutableArray<string> Sites = ["Site1", "Site2", "Site3"];
    private static readonly ServiceResult Fine = new(201, "", "");

    private static Operation Make(int number, string name, OperationKind kind = OperationKind.Create, string origin = "Site1") => new()
    {
        Id = new OperationId((UInt128)number),
        Kind = kind,
        Repetition = Repetition.Lookup,
        Origin = origin,
        Replicant = new ReplicantKey("shop", "/items", name),
        Resource = "items",
        Method = "POST",
        Target = "/items",
    };

    private static List<Effect> Apply(GroupState state, long index, GroupEntry entry)
    {
        var effects = new List<Effect>();
        state.Apply(index, entry, effects);
        return effects;
    }

    [Fact]
    public void The_site_where_it_came_in_decides_and_the_others_follow()
    {
        var here = new GroupState("Site1", Sites);
        var there = new GroupState("Site2", Sites);
        var proposed = new ProposedEntry(Make(1, "a"));
        Assert.True(Assert.IsType<CarryOut>(Assert.Single(Apply(here, 1, proposed))).Decides);
        Assert.Empty(Apply(there, 1, proposed));
        var outcome = new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", new ServiceResult(201, "a", ""));
        Assert.DoesNotContain(Apply(here, 2, outcome), effect => effect is CarryOut);
        Assert.False(Apply(there, 2, outcome).OfType<CarryOut>().Single().Decides);
        Assert.Equal("Site1=applied; Site2=pending; Site3=pending", there.Open.Single().Describe());
    }

    [Fact]
    public void A_refusal_is_carried_out_nowhere_and_lets_the_next_one_pass()
    {
        var there = new GroupState("Site2", Sites);
        Apply(there, 1, new ProposedEntry(Make(1, "a")));
        Apply(there, 2, new ProposedEntry(Make(2, "a", OperationKind.Update, "Site2")));
        var effects = Apply(there, 3, new OutcomeEntry(new OperationId(1), "Site1", Decision.Refused, "", new ServiceResult(409, "", "taken")));
        Assert.Equal(2u, (uint)effects.OfType<CarryOut>().Single().Operation.Id.Value);
        Assert.Equal(1u, (uint)effects.OfType<Finished>().Single().Operation.Id.Value);
        Assert.Equal("Site1=refused; Site2=refused; Site3=refused", effects.OfType<Finished>().Single().Operation.Describe());
    }

    [Fact]
    public void A_proposal_that_is_made_again_is_the_same_operation()
    {
        var state = new GroupState("Site1", Sites);
        Apply(state, 1, new ProposedEntry(Make(1, "a")));
        Assert.Empty(Apply(state, 2, new ProposedEntry(Make(1, "a"))));
        Assert.Equal((1, 1L), (state.OpenCount, state.Open.Single().Index));

        // Also when it is decided by then.
        Apply(state, 3, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", Fine));
        Assert.Empty(Apply(state, 4, new ProposedEntry(Make(1, "a"))));
        Assert.Equal((1, Decision.Accepted), (state.OpenCount, state.Open.Single().Decision));
    }

    [Fact]
    public void What_a_site_recorded_before_it_has_claimed_the_decision_anew_does_not_count()
    {
        var state = new GroupState("Site2", Sites);
        Apply(state, 1, new ProposedEntry(Make(1, "a")));

        // It was started anew, and looks once more.
        Apply(state, 2, new DeciderEntry(new OperationId(1), "Site1", "Site1"));
        var claim = state.Open.Single().Claim;
        Assert.Empty(Apply(state, 3, new OutcomeEntry(new OperationId(1), "Site1", Decision.Refused, "", Fine)));
        Assert.Null(state.Open.Single().Decision);
        Apply(state, 4, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", Fine, claim));
        Assert.Equal(Decision.Accepted, state.Open.Single().Decision);
    }

    [Fact]
    public void A_second_outcome_and_one_of_another_site_change_nothing()
    {
        var state = new GroupState("Site3", Sites);
        Apply(state, 1, new ProposedEntry(Make(1, "a")));
        Assert.Empty(Apply(state, 2, new OutcomeEntry(new OperationId(1), "Site2", Decision.Accepted, "", Fine)));
        Apply(state, 3, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", Fine));
        Assert.Empty(Apply(state, 4, new OutcomeEntry(new OperationId(1), "Site1", Decision.Refused, "", Fine)));
        Assert.Equal(Decision.Accepted, state.Open.Single().Decision);
    }

    [Fact]
    public void A_silent_site_is_replaced_and_its_late_word_does_not_count()
    {
        var state = new GroupState("Site2", Sites);
        Apply(state, 1, new ProposedEntry(Make(1, "a")));
        Assert.True(Apply(state, 2, new DeciderEntry(new OperationId(1), "Site1", "Site2")).OfType<CarryOut>().Single().Decides);
        Assert.Empty(Apply(state, 3, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", Fine)));
        Assert.Empty(Apply(state, 4, new DeciderEntry(new OperationId(1), "Site1", "Site3")));
        Apply(state, 5, new OutcomeEntry(new OperationId(1), "Site2", Decision.Accepted, "", Fine, Claim: 2));
        Assert.Equal("Site1=pending; Site2=applied; Site3=pending", state.Open.Single().Describe());
    }

    [Fact]
    public void Who_was_replaced_tells_what_it_did_of_what_is_refused_in_its_place_and_nobody_else_waits()
    {
        var (state, replaced) = (new GroupState("Site3", Sites), new GroupState("Site1", Sites));
        GroupEntry[] entries =
        [
            new ProposedEntry(Make(1, "a")), new ProposedEntry(Make(2, "a", origin: "Site3")), new DeciderEntry(new OperationId(1), "Site1", "Site2"),
            new DeciderEntry(new OperationId(1), "Site2", "Site3"), new DeciderEntry(new OperationId(1), "Site3", "Site2"),
            new OutcomeEntry(new OperationId(1), "Site2", Decision.Refused, "", new ServiceResult(409, "", "taken"), Claim: 5),
        ];
        List<Effect> effects = [], there = [];
        foreach (var (index, entry) in entries.Index())
        {
            (effects, there) = (Apply(state, index + 1, entry), Apply(replaced, index + 1, entry));
            if (entry is DeciderEntry { Before: "Site3" }) Assert.DoesNotContain(effects, effect => effect is CarryOut);
        }

        // Site3 had decided for a while too, and nothing passes what it may have done.
        Assert.Equal(1u, (uint)effects.OfType<CarryOut>().Single().Operation.Id.Value);
        Assert.Equal(1u, (uint)there.OfType<CarryOut>().Single(one => !one.Decides).Operation.Id.Value);
        Assert.Equal("Site1=pending; Site2=refused; Site3=pending", state.Open.First().Describe());
        var next = Apply(state, 7, new AppliedEntry(new OperationId(1), "Site3", SiteResult.Skipped, Fine));
        Assert.Equal(2u, (uint)next.OfType<CarryOut>().Single(one => one.Decides).Operation.Id.Value);
        Apply(state, 8, new AppliedEntry(new OperationId(1), "Site1", SiteResult.InDoubt, Fine));
        Assert.Equal("Site1=in-doubt; Site2=refused; Site3=refused", state.Open.First().Describe());
        Apply(state, 9, new ResolvedEntry(new OperationId(1), "Site1", Resolve.Skip));
        Assert.Equal(2u, (uint)state.Open.Single().Id.Value);
    }

    [Fact]
    public void What_failed_stays_open_and_is_resolved_by_a_person()
    {
        var state = new GroupState("Site1", Sites);
        Apply(state, 1, new ProposedEntry(Make(1, "a")));
        Apply(state, 2, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", Fine));
        Apply(state, 3, new AppliedEntry(new OperationId(1), "Site2", SiteResult.Failed, new ServiceResult(403, "", "quota")));
        Apply(state, 4, new AppliedEntry(new OperationId(1), "Site3", SiteResult.Applied, Fine));
        Assert.True(state.Open.Single().IsDiverged);
        Apply(state, 5, new ResolvedEntry(new OperationId(1), "Site2", Resolve.Retry));
        Assert.Equal(SiteStep.Pending, state.Open.Single().StepAt("Site2"));
        Apply(state, 6, new AppliedEntry(new OperationId(1), "Site2", SiteResult.Applied, Fine));
        Assert.Empty(state.Open);
        Assert.Equal("Site1=applied; Site2=applied; Site3=applied", state.RecentlyFinished.Single().Describe());
    }

    [Fact]
    public void What_is_in_doubt_holds_the_replicant_until_a_person_decides()
    {
        var state = new GroupState("Site1", Sites);
        Apply(state, 1, new ProposedEntry(Make(1, "a")));
        Apply(state, 2, new ProposedEntry(Make(2, "a", OperationKind.Update)));
        Assert.DoesNotContain(Apply(state, 3, new AppliedEntry(new OperationId(1), "Site1", SiteResult.InDoubt, Fine)), effect => effect is CarryOut);
        var effects = Apply(state, 4, new ResolvedEntry(new OperationId(1), "Site1", Resolve.Skip));
        Assert.Equal(2u, (uint)effects.OfType<CarryOut>().Single().Operation.Id.Value);
    }

    [Fact]
    public void What_a_person_knows_as_executed_where_it_was_to_be_decided_is_accepted_and_followed()
    {
        var state = new GroupState("Site2", Sites);
        Apply(state, 1, new ProposedEntry(Make(1, "a")));
        Apply(state, 2, new AppliedEntry(new OperationId(1), "Site1", SiteResult.InDoubt, Fine));
        var effects = Apply(state, 3, new ResolvedEntry(new OperationId(1), "Site1", Resolve.Done, "17"));
        Assert.Equal("17", effects.OfType<ReplicantMade>().Single().LocalId);
        Assert.False(effects.OfType<CarryOut>().Single().Decides);
        Assert.Equal(SiteStep.Applied, state.Open.Single().StepAt("Site1"));
    }

    [Fact]
    public void A_create_that_nobody_can_name_is_accepted_only_with_its_ids()
    {
        var state = new GroupState("Site2", Sites);
        Apply(state, 1, new ProposedEntry(Make(1, "")));
        Apply(state, 2, new AppliedEntry(new OperationId(1), "Site1", SiteResult.InDoubt, Fine));
        Assert.Empty(Apply(state, 3, new ResolvedEntry(new OperationId(1), "Site1", Resolve.Done)));
        Assert.Null(state.Open.Single().Decision);
        var made = Apply(state, 4, new ResolvedEntry(new OperationId(1), "Site1", Resolve.Done, "17", "m")).OfType<ReplicantMade>().Single();
        Assert.Equal(("m", "17"), (made.Operation.Key.MetaId, made.LocalId));
    }

    [Fact]
    public void What_a_person_knows_as_executed_where_it_followed_is_applied_there()
    {
        var state = new GroupState("Site2", Sites);
        Apply(state, 1, new ProposedEntry(Make(1, "a")));
        Apply(state, 2, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", Fine));
        Apply(state, 3, new AppliedEntry(new OperationId(1), "Site3", SiteResult.InDoubt, Fine));
        var effects = Apply(state, 4, new ResolvedEntry(new OperationId(1), "Site3", Resolve.Done, "9"));
        Assert.Equal(("Site3", "9"), effects.OfType<ReplicaMade>().Select(made => (made.Site, made.LocalId)).Single());
        Assert.Equal("Site1=applied; Site2=pending; Site3=applied", state.Open.Single().Describe());
    }

    [Fact]
    public void A_deleted_name_that_was_made_anew_keeps_its_record()
    {
        var behind = new GroupState("Site2", Sites);
        Apply(behind, 1, new ProposedEntry(Make(1, "a", OperationKind.Delete)));
        Apply(behind, 2, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", Fine));
        Apply(behind, 3, new ProposedEntry(Make(2, "a")));
        Apply(behind, 4, new OutcomeEntry(new OperationId(2), "Site1", Decision.Accepted, "", Fine));
        Assert.DoesNotContain(Apply(behind, 5, new AppliedEntry(new OperationId(1), "Site2", SiteResult.Applied, Fine)), effect => effect is ReplicantGone);
    }

    [Fact]
    public void A_snapshot_gives_back_what_is_open()
    {
        var state = new GroupState("Site1", Sites);
        Apply(state, 1, new ProposedEntry(Make(1, "a")));
        Apply(state, 2, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", new ServiceResult(201, "77", "")));
        var reader = new EntryReader(state.Open.Single().Export());
        var imported = OperationState.Import(ref reader, Make(1, "a"), Sites);
        Assert.Equal(("Site1=applied; Site2=pending; Site3=pending", 1L, "77"), (imported?.Describe(), imported?.Index, imported?.AnswerAt("Site1")?.LocalId));
        var other = new GroupState("Site2", Sites);
        other.Import(imported!);
        Assert.Equal(SiteStep.Pending, other.AllHere().Single().Operation.StepAt("Site2"));
    }

    // Sites take the log at their own pace and do what it asks of them; what they record is appended in any order.
    [Fact]
    public void Every_site_carries_out_each_accepted_operation_once_in_log_order()
    {
        Gen.Int[0, int.MaxValue].Sample(seed => Mesh.Run(seed), iter: 2_000);
    }

    private sealed class Mesh(int seed)
    {
        private readonly Random _random = new(seed);
        private readonly List<GroupEntry> _log = [];
        private readonly GroupState[] _states = [.. Sites.Select(site => new GroupState(site, Sites))];
        private readonly int[] _applied = new int[3];
        private readonly Queue<CarryOut>[] _todo = [new(), new(), new()];
        // What was begun is not begun again: the state asks for it as long as it is not recorded.
        private readonly HashSet<(UInt128, bool)>[] _begun = [[], [], []];
        private readonly List<UInt128>[] _done = [[], [], []];
        private readonly HashSet<UInt128> _refused = [];

        public static void Run(int seed)
        {
            var mesh = new Mesh(seed);
            for (var step = 0; step < 300; step++) mesh.Step(mayPropose: step < 150);
            for (var step = 0; step < 3_000 && !mesh.IsQuiet; step++) mesh.Step(mayPropose: false);
            mesh.Check(seed);
        }

        private bool IsQuiet => _applied.All(applied => applied == _log.Count) && _todo.All(todo => todo.Count == 0);

        private void Step(bool mayPropose)
        {
            var site = _random.Next(3);
            switch (_random.Next(mayPropose ? 4 : 3))
            {
                case 0 when _applied[site] < _log.Count:
                    var effects = Apply(_states[site], _applied[site] + 1, _log[_applied[site]]);
                    _applied[site]++;
                    foreach (var next in effects.OfType<CarryOut>().Where(next => _begun[site].Add((next.Operation.Id.Value, next.Decides)))) _todo[site].Enqueue(next);
                    break;
                case 1 when _todo[site].TryDequeue(out var next):
                    CarryOut(site, next);
                    break;
                case 2 when _todo[site].Count > 1:
                    _todo[site].Enqueue(_todo[site].Dequeue());
                    break;
                case 3:
                    var kind = (OperationKind)_random.Next(1, 4);
                    _log.Add(new ProposedEntry(Make(_log.Count + 1, "abc"[_random.Next(3)].ToString(), kind, Sites[_random.Next(3)])));
                    break;
            }
        }

        private void CarryOut(int site, CarryOut next)
        {
            var id = next.Operation.Id;
            if (next.Decides)
            {
                var accepted = _random.Next(4) > 0;
                if (accepted) _done[site].Add(id.Value);
                else _refused.Add(id.Value);
                _log.Add(new OutcomeEntry(id, Sites[site], accepted ? Decision.Accepted : Decision.Refused, "", Fine));
            }
            else
            {
                _done[site].Add(id.Value);
                _log.Add(new AppliedEntry(id, Sites[site], SiteResult.Applied, Fine));
            }
        }

        private void Check(int seed)
        {
            Assert.True(IsQuiet, $"seed {seed}: not everything was carried out");
            var accepted = _log.OfType<ProposedEntry>().Select(entry => entry.Operation).Where(one => !_refused.Contains(one.Id.Value)).ToArray();
            for (var site = 0; site < 3; site++)
            {
                Assert.Empty(_states[site].Open);
                Assert.Equal(accepted.Length, _done[site].Count);
                foreach (var name in accepted.GroupBy(one => one.Replicant.MetaId))
                {
                    var order = _done[site].Where(id => name.Any(one => one.Id.Value == id));
                    Assert.Equal(name.Select(one => one.Id.Value), order);
                }
            }
        }
    }
}
