using System.Collections.Immutable;
using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;
using CsCheck;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Replicants that move between groups: one order at every site, whatever each has seen of each log.</summary>
public sealed class MoveStateTests
{
    internal static readonly ReplicantKey Key = new("shop", "/items", "a");
    internal static readonly ImmutableArray<string> Two = ["Site1", "Site2"];
    internal static readonly ImmutableArray<string> Three = ["Site1", "Site2", "Site3"];
    internal static readonly ServiceResult Fine = new(200, "", "");

    internal static Operation Make(UInt128 id, string origin, OperationKind kind = OperationKind.Update) => new()
    {
        Id = new OperationId(id),
        Kind = kind,
        Repetition = Repetition.Idempotent,
        Origin = origin,
        Replicant = Key,
        Resource = "items",
        Method = "PUT",
        Target = "/items/a",
    };

    internal static ClosingEntry Closing(UInt128 id, ImmutableArray<string> to, bool deletes = false) => new(Make(id, "Site1", OperationKind.Move), to, deletes);

    internal static OpeningEntry Opening(MoveState move, bool isCalledOff = false)
    {
        var isNew = move.To.Any(site => !move.From.Contains(site));
        var record = new ReplicantRecord { Key = Key, Resource = "items", Group = GroupId.Of(move.To.AsSpan()), CreatedBy = new OperationId(1) };
        return new OpeningEntry(
            move.Id, Key, GroupId.Of(move.From.AsSpan()), move.From, move.Index, isCalledOff ? null : record, "",
            isNew && !isCalledOff ? [Make(move.Id.Value + 1, move.Staying[0], OperationKind.Create)] : []);
    }

    internal static List<Effect> Apply(GroupState state, long index, GroupEntry entry)
    {
        var effects = new List<Effect>();
        state.Apply(index, entry, effects);
        return effects;
    }

    [Fact]
    public void What_is_proposed_after_the_closing_is_passed_on_and_what_was_before_is_carried_out()
    {
        var state = new GroupState("Site1", Two);
        Apply(state, 1, new ProposedEntry(Make(1, "Site1")));
        Apply(state, 2, Closing(2, Three));
        Assert.DoesNotContain(Apply(state, 3, new ProposedEntry(Make(3, "Site1"))), effect => effect is CarryOut);
        Assert.True(state.TryFind(new OperationId(3), out var passedOn));
        Assert.Equal((Decision.Moved, "Site1=moved; Site2=moved"), (passedOn.Decision, passedOn.Describe()));
        Assert.False(state.IsDrained(Key, 2, "Site1"));
        Apply(state, 4, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", Fine));
        Assert.True(state.IsDrained(Key, 2, "Site1"));
        Assert.False(state.IsDrained(Key, 2, "Site2"));
    }

    [Fact]
    public void Of_two_moves_the_first_counts()
    {
        var state = new GroupState("Site1", Two);
        Apply(state, 1, Closing(2, Three));
        Assert.Empty(Apply(state, 2, Closing(3, ["Site1"])));
        Assert.Equal(2u, (uint)state.MoveOf(Key)!.Id.Value);
        Apply(state, 3, new MovedEntry(new OperationId(2), Key, 1));
        Assert.Empty(Apply(state, 4, Closing(4, ["Site1"])));
        Assert.Empty(state.Moving);
    }

    [Fact]
    public void A_move_that_is_called_off_leaves_the_replicant_where_it_was()
    {
        var (before, after) = (new GroupState("Site1", Two), new GroupState("Site1", Three));
        Apply(before, 1, Closing(2, Three));
        var move = before.MoveOf(Key)!;
        Apply(after, 1, Opening(move, isCalledOff: true));
        Apply(after, 2, Opening(move));
        Assert.Equal(MoveMarkKind.CalledOff, after.SettledOf(Key, move.Id)!.Kind);
        Assert.Empty(after.Open);
        Apply(before, 2, new MovedEntry(move.Id, Key, 0));
        Assert.True(Apply(before, 3, new ProposedEntry(Make(3, "Site1"))).OfType<CarryOut>().Single().Decides);
    }

    [Fact]
    public void A_second_opening_of_a_move_does_nothing_and_only_the_new_site_carries_the_copy_out()
    {
        var before = new GroupState("Site1", Two);
        Apply(before, 1, Closing(2, Three));
        var move = before.MoveOf(Key)!;
        var (there, added) = (new GroupState("Site1", Three), new GroupState("Site3", Three));
        Assert.DoesNotContain(Apply(there, 1, Opening(move)), effect => effect is CarryOut);
        Assert.False(Apply(added, 1, Opening(move)).OfType<CarryOut>().Single().Decides);
        Assert.Empty(Apply(added, 2, Opening(move)));
        Assert.Equal("Site1=applied; Site2=applied; Site3=pending", added.Open.Single().Describe());
    }

    [Fact]
    public void Operations_wait_in_the_new_group_until_those_of_the_old_one_are_done_here()
    {
        var before = new GroupState("Site1", Two);
        Apply(before, 1, Closing(2, Three));
        var after = new GroupState("Site1", Three);
        Apply(after, 1, Opening(before.MoveOf(Key)!));
        Assert.DoesNotContain(Apply(after, 2, new ProposedEntry(Make(5, "Site1"))), effect => effect is CarryOut);
        Assert.Equal((Key, 1), (after.Held.Single().Key, after.Held.Single().Opened.ClosedAt));
        Assert.Equal(5u, (uint)after.Release(Key, after.Held.Single().Opened)!.Operation.Id.Value);
        Assert.Empty(after.Held);
    }

    [Fact]
    public void A_group_in_which_nothing_was_proposed_is_drained_when_the_one_before_it_is()
    {
        var first = new GroupState("Site1", Two);
        Apply(first, 1, Closing(2, Three));
        var between = new GroupState("Site1", Three);
        Apply(between, 1, Opening(first.MoveOf(Key)!));
        Apply(between, 2, Closing(20, ["Site1", "Site3"]));
        Assert.False(between.IsDrained(Key, 2, "Site1"));
        Assert.Equal(1, between.Held.Single().Opened.ClosedAt);
        between.Release(Key, between.Held.Single().Opened);
        Assert.True(between.IsDrained(Key, 2, "Site1"));
        Assert.Empty(between.Held);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_site_that_is_removed_keeps_or_deletes_its_replica_when_it_has_done_the_rest(bool deletes)
    {
        var state = new GroupState("Site3", Three);
        Apply(state, 1, new ProposedEntry(Make(1, "Site1")));
        Apply(state, 2, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", Fine));
        Apply(state, 3, Closing(2, Two, deletes));
        Assert.DoesNotContain(Apply(state, 4, new MovedEntry(new OperationId(2), Key, 8)), effect => effect is ReplicantLeft or CarryOut { Operation.Kind: OperationKind.Delete });
        var effects = Apply(state, 5, new AppliedEntry(new OperationId(1), "Site3", SiteResult.Applied, Fine));
        if (!deletes)
        {
            Assert.Equal(Key, Assert.Single(effects.OfType<ReplicantLeft>()).Key);
            return;
        }

        Assert.DoesNotContain(effects, effect => effect is ReplicantLeft);
        Assert.Equal((OperationKind.Delete, 2u), effects.OfType<CarryOut>().Select(next => (next.Operation.Kind, (uint)next.Operation.Id.Value)).Single());
        Assert.Single(Apply(state, 6, new AppliedEntry(new OperationId(2), "Site3", SiteResult.Applied, Fine)).OfType<ReplicantGone>());
    }

    [Fact]
    public void Marks_that_the_table_has_of_later_entries_change_nothing_when_entries_are_applied_again()
    {
        var kept = new ReplicantMoves(Key, []);
        var first = new GroupState("Site1", Two);
        GroupEntry[] entries =
        [
            new ProposedEntry(Make(1, "Site1")), Closing(2, Three), new ProposedEntry(Make(3, "Site2")), new MovedEntry(new OperationId(2), Key, 0),
            new ProposedEntry(Make(4, "Site2")), Closing(5, Three), new ProposedEntry(Make(6, "Site1")),
        ];
        for (var i = 0; i < entries.Length; i++)
        {
            foreach (var marked in Apply(first, i + 1, entries[i]).OfType<Marked>()) kept = marked.Moves;
        }

        var again = new GroupState("Site1", Two, key => key == Key ? kept : null);
        for (var i = 0; i < entries.Length; i++) Apply(again, i + 1, entries[i]);
        foreach (var id in new UInt128[] { 1, 3, 4, 6 })
        {
            Assert.True(first.TryFind(new OperationId(id), out var one) && again.TryFind(new OperationId(id), out var other) && one.Decision == other.Decision, $"operation {id}");
        }

        Assert.Equal(first.MoveOf(Key)!.Index, again.MoveOf(Key)!.Index);
    }

    [Fact]
    public void What_opens_it_says_where_each_site_had_it_last()
    {
        var state = new GroupState("Site1", ["Site1", "Site3"]);
        FormerSite[] before = [new("Site2", Two, 7), new("Site3", Three, 9), new("Site4", ["Site1", "Site4"], 5)];
        Apply(state, 1, Opening(new MoveState(4, Closing(10, ["Site1", "Site3"]), ["Site1"])) with { Former = [.. before] });
        Apply(state, 2, Closing(20, ["Site1"]));
        Assert.Equal(["Site2 7", "Site4 5", "Site3 2"], state.FormerAfter(state.MoveOf(Key)!).Select(one => $"{one.Site} {one.ClosedAt}"));

        // Moves that are called off do not make the group forget it.
        for (var index = 3; index < 3 + (2 * Bounds.MoveMarksKept); index += 2)
        {
            Apply(state, index, new MovedEntry(state.MoveOf(Key)!.Id, Key, 0));
            Apply(state, index + 1, Closing((UInt128)(20 + index), Three));
        }

        Assert.Equal(["Site2 7", "Site4 5"], state.FormerAfter(state.MoveOf(Key)!).Select(one => $"{one.Site} {one.ClosedAt}"));
    }

    // In the group where it has to do it the site may not know yet that it was left out, or what of.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_copy_of_a_site_that_is_added_again_waits_until_it_has_done_what_it_was_left_with(bool deletes)
    {
        var (left, again) = (new GroupState("Site2", Two), new GroupState("Site2", Three));
        var opening = Opening(new MoveState(4, Closing(10, Three), ["Site1", "Site3"])) with { Former = [new FormerSite("Site2", Two, 2)] };
        Assert.DoesNotContain(Apply(again, 1, opening), effect => effect is CarryOut);
        var (key, opened) = again.Held.Single();
        Assert.Equal("Site1 & Site2", string.Join(" & ", again.WaitsFor(again.Open.Single())!.Sites));

        Apply(left, 1, new ProposedEntry(Make(1, "Site2")));
        Apply(left, 2, Closing(2, ["Site1"], deletes));
        Assert.False(left.IsOver(key, opened));
        Apply(left, 3, new OutcomeEntry(new OperationId(1), "Site2", Decision.Accepted, "", Fine));
        Assert.False(left.IsOver(key, opened));
        Apply(left, 4, new MovedEntry(new OperationId(2), Key, 1));
        Assert.Equal(!deletes, left.IsOver(key, opened));
        Apply(left, 5, new AppliedEntry(new OperationId(2), "Site2", SiteResult.Applied, Fine));
        Assert.True(left.IsOver(key, opened));
        Assert.Equal(OperationKind.Create, again.Release(key, opened)!.Operation.Kind);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_site_that_is_back_in_the_same_group_before_its_leaving_is_over_does_what_it_was_left_with_first(bool deletes)
    {
        var state = new GroupState("Site2", Two);
        Apply(state, 1, new ProposedEntry(Make(1, "Site1")));
        Apply(state, 2, Closing(2, ["Site1"], deletes));
        Apply(state, 3, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "", Fine));
        Apply(state, 4, new AppliedEntry(new OperationId(1), "Site2", SiteResult.Applied, Fine));
        Apply(state, 5, Opening(new MoveState(9, Closing(10, Two), ["Site1"])) with { Former = state.FormerAfter(state.MoveOf(Key)!) });
        Assert.Empty(state.AllHere());
        var effects = Apply(state, 6, new MovedEntry(new OperationId(2), Key, 8));
        if (deletes)
        {
            Assert.Equal(OperationKind.Delete, effects.OfType<CarryOut>().Single().Operation.Kind);
            effects = Apply(state, 7, new AppliedEntry(new OperationId(2), "Site2", SiteResult.Applied, Fine));
        }

        // What the table has is what came back.
        Assert.DoesNotContain(effects, effect => effect is ReplicantLeft or ReplicantGone);
        Assert.Equal(OperationKind.Create, effects.OfType<CarryOut>().Single().Operation.Kind);
        Assert.Empty(state.Held);
    }

    [Fact]
    public void A_site_that_is_back_in_the_same_group_waits_for_the_group_before_as_it_did_then()
    {
        var state = new GroupState("Site2", Two);
        Apply(state, 1, Opening(new MoveState(4, Closing(10, Two), Three)));
        Apply(state, 2, Closing(20, ["Site1"]));
        var former = state.FormerAfter(state.MoveOf(Key)!);
        Apply(state, 3, new MovedEntry(new OperationId(20), Key, 8));
        Apply(state, 4, Opening(new MoveState(9, Closing(30, Two), ["Site1"])) with { Former = former });
        Assert.Empty(state.AllHere());
        Assert.Equal(4, state.Held.Single().Opened.ClosedAt);
        Assert.Equal(OperationKind.Create, state.Release(Key, state.Held.Single().Opened)!.Operation.Kind);
    }

    // Sites take each log at their own pace; the replicant is moved to and fro, by anybody, and moves are completed by anybody.
    [Fact]
    public void Every_site_of_the_last_group_has_carried_out_everything_once_in_one_order() =>
        Gen.Int[0, int.MaxValue].Sample(seed => new MovingMesh(seed).Run(), iter: 1_000);

    // One of them is far behind most of the time, and the replicant moves more often.
    [Fact]
    public void So_it_is_where_a_site_lags_behind() =>
        Gen.Int[0, int.MaxValue].Sample(seed => new MovingMesh(seed, hasLaggard: true).Run(), iter: 1_000);

    // In each of them a site is added again that has not done, and mostly does not know yet, what it was left with. What went wrong:
    // 1. it did that after the copy; 2. the deletion came into the queue behind the copy, in the same group, also in the last;
    // 3. it took the leaving for over before it knew of the deletion; 4. it let go of the replicant when it was back.
    [Theory]
    [InlineData(216553129, true)]
    [InlineData(447130503, true)]
    [InlineData(185020253, true)]
    [InlineData(921258475, true)]
    [InlineData(23010920, false)]
    public void A_seed_that_failed_once_does_not_fail_again(int seed, bool hasLaggard) => new MovingMesh(seed, hasLaggard).Run();
}
