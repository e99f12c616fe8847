namespace Cheops.Tests.Simulation.Checkers;

/// <summary>Each promise: a history that keeps it, and one for each way to break it.</summary>
public sealed class CheckTests
{
    private readonly History _history = new();

    private void Ask(string operation, Told told, params string[] appliedAt)
    {
        _history.OnAsked(operation, "r", "A", "B", "C");
        foreach (var site in appliedAt) _history.OnApplied(site, "r", operation);
        _history.OnTold(operation, told);
    }

    private static void AssertBroken(IEnumerable<Violation> violations, string detail) => Assert.Equal(detail, Assert.Single(violations).Detail);

    [Fact]
    public void A_history_that_keeps_every_promise_breaks_none()
    {
        Ask("create", Told.Accepted, "A", "B", "C");
        Ask("update", Told.Accepted, "B", "A", "C");
        Ask("unknown", Told.Nothing);
        Ask("also unknown", Told.Nothing, "A", "B", "C");
        Ask("refused", Told.Refused);
        _history.OnMapped("A", "m", "1");
        _history.OnMapped("A", "m", "1");
        _history.OnMapped("B", "m", "2");
        _history.OnSeen("A", "r", "");
        foreach (var seen in new[] { "create", "create", "also unknown" }) _history.OnSeen("A", "r", seen);
        foreach (var site in new[] { "A", "B", "C" }) _history.OnRest(site, "r", "state");
        Assert.Empty(Check.Everything(_history));
    }

    [Fact]
    public void An_accepted_operation_that_a_site_never_carried_out_is_found()
    {
        Ask("x", Told.Accepted, "A", "C");
        AssertBroken(Check.ExactlyOnce(_history), "x (accepted) was not carried out at B");
    }

    [Fact]
    public void An_operation_that_nobody_was_told_of_happens_everywhere_or_nowhere()
    {
        Ask("x", Told.Nothing, "B");
        AssertBroken(Check.ExactlyOnce(_history), "x (unknown) was not carried out at A, C");
    }

    [Fact]
    public void An_operation_that_was_carried_out_twice_is_found()
    {
        Ask("x", Told.Accepted, "A", "B", "C", "B");
        AssertBroken(Check.ExactlyOnce(_history), "x was carried out 2 times at B");
    }

    [Fact]
    public void What_a_client_was_told_of_several_operations_is_true_at_every_site()
    {
        Ask("x", Told.Nothing, "A", "B", "C");
        Ask("y", Told.Refused);
        _history.OnOneOf("y", ["x"]);
        Assert.Empty(Check.Everything(_history));
        Ask("z", Told.Refused);
        _history.OnApplied("A", "r", "w");
        _history.OnOneOf("z", ["v", "w"]);
        AssertBroken(Check.OneOfThem(_history), "the client of z was told that one of v, w was carried out, and none was at B, C");
    }

    [Fact]
    public void An_operation_that_nobody_asked_for_is_found()
    {
        _history.OnApplied("A", "r", "ghost");
        AssertBroken(Check.ExactlyOnce(_history), "ghost was carried out, and nobody had asked for it");
    }

    [Fact]
    public void Sites_that_disagree_on_an_order_are_found()
    {
        foreach (var operation in new[] { "x", "y", "z" }) _history.OnApplied("A", "r", operation);
        foreach (var operation in new[] { "x", "z", "y" }) _history.OnApplied("B", "r", operation);
        AssertBroken(Check.OneOrder(_history), "r: A carried out y before z, B the other way round");
    }

    [Fact]
    public void Orders_of_different_replicants_have_nothing_to_do_with_each_other_and_sites_may_lag()
    {
        _history.OnApplied("A", "r", "x");
        _history.OnApplied("A", "s", "y");
        _history.OnApplied("B", "s", "y");
        _history.OnApplied("B", "r", "x");
        _history.OnApplied("C", "s", "y");
        Assert.Empty(Check.OneOrder(_history));
    }

    [Fact]
    public void A_refused_operation_that_was_carried_out_is_found()
    {
        Ask("x", Told.Refused, "C");
        AssertBroken(Check.RefusedNowhere(_history), "x was refused and carried out at C");
    }

    [Fact]
    public void What_a_client_was_told_first_stands()
    {
        Ask("x", Told.Refused);
        _history.OnTold("x", Told.Accepted);
        Assert.Equal(Told.Refused, Assert.Single(_history.Asked).Told);
    }

    [Fact]
    public void An_operation_outside_its_scope_is_found()
    {
        Ask("x", Told.Accepted, "A", "B", "C", "D");
        AssertBroken(Check.WithinScope(_history), "x was carried out at D, its scope names A, B, C");
    }

    [Theory]
    [InlineData("m", "1", "m", "2", "at A, m stands for 1 and 2")]
    [InlineData("m", "1", "n", "1", "at A, m and n stand for 1")]
    public void Ids_that_are_not_one_to_one_are_found(string firstMeta, string firstLocal, string meta, string local, string detail)
    {
        _history.OnMapped("A", firstMeta, firstLocal);
        _history.OnMapped("A", meta, local);
        _history.OnMapped("B", "other", firstLocal);
        AssertBroken(Check.Bijection(_history), detail);
    }

    private static History Reads(params string[] seen)
    {
        var history = new History();
        history.OnApplied("A", "r", "create");
        history.OnApplied("A", "r", "update");
        foreach (var operation in seen) history.OnSeen("A", "r", operation);
        return history;
    }

    [Fact]
    public void A_read_that_goes_back_is_found()
    {
        AssertBroken(Check.MonotoneReads(Reads("update", "create")), "A showed r as of create after update");
        AssertBroken(Check.MonotoneReads(Reads("create", "")), "A showed r as of before anything after create");
        AssertBroken(Check.MonotoneReads(Reads("delete")), "A showed delete on r before it was carried out there");
    }

    [Fact]
    public void Reads_at_different_sites_may_differ()
    {
        var history = Reads("update");
        history.OnApplied("B", "r", "create");
        history.OnSeen("B", "r", "create");
        Assert.Empty(Check.MonotoneReads(history));
    }

    [Fact]
    public void Sites_that_have_not_converged_are_found()
    {
        _history.OnRest("A", "r", "1");
        _history.OnRest("B", "r", null);
        AssertBroken(Check.Converged(_history), "r is 1 at A and absent at B");
        var pending = new History();
        pending.OnRest("A", "r", "1", pending: 3);
        AssertBroken(Check.Converged(pending), "A still has 3 operations on r to carry out");
    }
}
