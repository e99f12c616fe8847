namespace Cheops.Tests.Simulation.Checkers;

/// <summary>Lies about an operation on number3, which is at A and B.</summary>
public sealed partial class ReplicationJudgeTests
{
    [Fact]
    public void An_operation_that_services_have_carried_out_is_told_so()
    {
        Ask("A");
        Operation("none", "A=pending", "B=pending");
        AssertTrue();
        Operation("accepted", "A=applied", "B=pending");
        AssertTrue();
        Operation("accepted", "A=applied", "B=in-doubt");
        AssertTrue();
        Operation("accepted", "A=applied", "B=failed");
        AssertTrue();
        Operation("accepted", "A=applied", "B=removed");
        AssertTrue();
        _history.OnApplied("B", "number3", "op");
        Operation("accepted", "A=applied", "B=pending");
        AssertTrue();
        Operation("accepted", "A=applied", "B=applied");
        AssertTrue();
    }

    [Fact]
    public void An_operation_that_is_told_as_applied_and_is_not_is_found()
    {
        Ask("A");
        Operation("accepted", "A=applied", "B=applied");
        AssertLie("A tells that op is applied at B, whose service has not carried it out");
        _history.OnApplied("B", "number3", "op");
        _history.OnUndone("A", "op");
        Operation("accepted", "A=applied", "B=applied");
        AssertLie("A tells that op is applied at A, whose service has not carried it out");
    }

    [Fact]
    public void An_operation_that_is_told_as_failed_and_is_carried_out_is_found()
    {
        Ask("A", "B");
        Operation("accepted", "A=applied", "B=failed");
        AssertLie("A tells that op has failed at B, whose service has carried it out");
    }

    [Fact]
    public void An_operation_that_is_accepted_and_was_carried_out_nowhere_is_found()
    {
        Ask();
        Operation("accepted", "A=pending", "B=pending");
        AssertLie("A tells that op is accepted, and no service has carried it out");
        Operation("none", "A=pending", "B=in-doubt");
        AssertTrue();
    }

    [Theory]
    [InlineData("refused")]
    [InlineData("notExecuted")]
    public void An_operation_that_is_refused_and_was_carried_out_is_found(string decision)
    {
        Ask();
        Operation(decision, "A=skipped", "B=skipped");
        AssertTrue();
        _history.OnApplied("B", "number3", "op");
        Operation(decision, "A=skipped", "B=skipped");
        AssertLie($"A tells that op is {decision}, and the service of B has carried it out");

        // Whoever decided first may have done it, until it has told.
        Operation(decision, "A=skipped", "B=pending");
        AssertTrue();
        Operation(decision, "A=skipped", "B=in-doubt");
        AssertTrue();
        _history.OnUndone("B", "op");
        Operation(decision, "A=skipped", "B=skipped");
        AssertTrue();
        _history.OnApplied("C", "number3", "op");
        Operation(decision, "A=skipped", "B=skipped");
        AssertLie($"A tells that op is {decision}, and the service of C has carried it out");
    }

    [Fact]
    public void An_operation_that_is_left_out_where_it_was_carried_out_is_found()
    {
        Ask("A");
        Operation("accepted", "A=applied", "B=skipped");
        AssertTrue();
        _history.OnApplied("B", "number3", "op");
        Operation("accepted", "A=applied", "B=skipped");
        AssertLie("A tells that op is left out at B, whose service has carried it out");

        // In the group that the thing has left it is left out everywhere.
        Operation("moved", "A=skipped", "B=skipped");
        AssertTrue();
    }

    [Theory]
    [InlineData(Told.Accepted, "refused", "accepted")]
    [InlineData(Told.Accepted, "notExecuted", "accepted")]
    [InlineData(Told.Refused, "accepted", "refused")]
    public void An_operation_that_is_decided_otherwise_than_its_client_was_told_is_found(Told told, string decision, string client)
    {
        void Tell() => Operation(decision, decision == "accepted" ? "A=applied" : "A=skipped", "B=skipped");
        Ask(decision == "accepted" ? ["A"] : []);
        Tell();
        AssertTrue();
        _history.OnTold("op", told);
        Operation("none", "A=pending", "B=pending");
        AssertTrue();
        Operation("moved", "A=skipped", "B=skipped");
        AssertTrue();
        Tell();
        AssertLie($"A tells that op is {decision}, and its client was told that it is {client}");
    }

    [Fact]
    public void An_operation_that_is_decided_as_its_client_was_told_is_true()
    {
        Ask("A");
        _history.OnTold("op", Told.Accepted);
        Operation("accepted", "A=applied", "B=pending");
        AssertTrue();
        _history.OnUndone("A", "op");
        _history.OnAsked("op2", "number3", "A", "B");
        _history.OnTold("op2", Told.Refused);
        Operation("refused", "A=skipped", "B=skipped")["id"] = "op2";
        AssertTrue();
    }

    [Fact]
    public void An_operation_of_other_sites_than_it_was_asked_for_at_is_found()
    {
        Ask();
        Operation("none", "B=pending", "A=pending");
        AssertTrue();
        Operation("none", "A=pending", "B=pending", "C=pending");
        AssertLie("A tells that op is one of A & B & C, and it was asked for at A & B");
        Operation("none", "A=pending");
        AssertLie("A tells that op is one of A, and it was asked for at A & B");
        _sitesMayChange = true;
        Operation("none", "A=pending");
        AssertTrue();
    }

    [Fact]
    public void What_was_gone_already_is_removed_without_a_service_doing_anything()
    {
        Ask();
        Operation("accepted", "A=applied", "B=applied")["kind"] = "delete";
        AssertTrue();
    }

    [Fact]
    public void What_no_client_asked_for_is_not_looked_for_in_what_services_did()
    {
        Operation("accepted", "A=applied", "B=applied")["id"] = "of a move";
        AssertTrue();
    }

    [Theory]
    [InlineData(false, "not finished", "accepted", "A=applied", "B=applied")]
    [InlineData(true, "finished", "accepted", "A=applied", "B=pending")]
    [InlineData(true, "finished", "accepted", "A=applied", "B=in-doubt")]
    [InlineData(true, "finished", "none", "A=removed", "B=removed")]
    public void An_operation_that_is_told_as_finished_or_not_against_its_steps_is_found(bool isFinished, string word, string decision, string a, string b)
    {
        Operation(decision, a, b)["id"] = "1";
        AssertTrue();
        var told = Operation(decision, a, b);
        (told["id"], told["finished"]) = ("1", isFinished);
        AssertLie($"A tells that 1 is {word} ({decision}; {a}; {b})");
    }

    [Theory]
    [InlineData(false, "not diverged", "B=failed")]
    [InlineData(true, "diverged", "B=applied")]
    public void An_operation_that_is_told_as_diverged_or_not_against_its_steps_is_found(bool hasDiverged, string word, string b)
    {
        Operation("accepted", "A=applied", b)["id"] = "1";
        AssertTrue();
        var told = Operation("accepted", "A=applied", b);
        (told["id"], told["diverged"]) = ("1", hasDiverged);
        AssertLie($"A tells that 1 has {word} (A=applied; {b})");
    }

    [Theory]
    [InlineData("applied")]
    [InlineData("failed")]
    [InlineData("skipped")]
    public void An_operation_that_is_not_decided_and_done_somewhere_is_found(string step)
    {
        Operation("none", "A=pending", $"B={step}")["id"] = "1";
        AssertLie($"A tells that 1 is not decided, and is A=pending; B={step}");
        Operation("none", "A=in-doubt", "B=removed")["id"] = "1";
        AssertTrue();
    }

    [Fact]
    public void A_move_is_no_operation_of_a_service()
    {
        var move = Operation("accepted", "A=staying", "B=leaving");
        (move["kind"], move["finished"]) = ("move", false);
        AssertTrue();
    }

    // ---- answers ----------------------------------------------------------------------------------------------------

    private string[] Answer(string? replicas) => [.. new ReplicationJudge(this).JudgeAnswer("op", replicas)];

    [Fact]
    public void An_answer_that_tells_the_truth_is_none_to_refute()
    {
        Ask("A");
        Assert.Empty(Answer(null));
        Assert.Empty(Answer("A=applied"));
        foreach (var step in new[] { "pending", "in-doubt", "failed", "refused", "skipped", "removed", "moved" }) Assert.Empty(Answer($"A=applied; B={step}"));
        Assert.Empty(Answer("A=pending; B=pending"));
        Assert.Empty(Answer("A=moved; B=moved"));
    }

    [Fact]
    public void An_answer_that_tells_as_applied_what_is_not_is_found()
    {
        Ask("A");
        Assert.Equal(["op was told as applied at B, whose service has not carried it out"], Answer("A=applied; B=applied"));
    }

    [Theory]
    [InlineData("failed")]
    [InlineData("refused")]
    [InlineData("skipped")]
    public void An_answer_that_tells_as_not_done_what_is_done_is_found(string step)
    {
        Ask("A", "B");
        Assert.Equal([$"op was told as {step} at B, whose service has carried it out"], Answer($"A=applied; B={step}"));
    }

    // ---- at rest ----------------------------------------------------------------------------------------------------

    private string[] AtRest() => Lies((judge, told) => judge.JudgeAtRest(told));

    [Fact]
    public void When_all_is_at_rest_nothing_is_told_as_open()
    {
        Group(7, 7, 7);
        Replicant("A=1/0", "B=2/0");
        Operation("accepted", "A=applied", "B=skipped");
        Operation("refused", "A=skipped", "B=skipped");
        Operation("moved", "A=skipped", "B=skipped");
        Assert.Empty(AtRest());
    }

    [Fact]
    public void An_entry_that_is_never_applied_is_found()
    {
        Group(7, 7, 6);
        Assert.Equal(["A tells that it has applied 6 of 7 entries of group g, and all is at rest"], AtRest());
    }

    [Fact]
    public void A_replicant_that_moves_for_ever_is_found()
    {
        Replicant("A=1/0", "B=2/0")["movingTo"] = "A";
        Assert.Equal(["A tells that /v1/numbers/17 is moving, and all is at rest"], AtRest());
    }

    [Fact]
    public void A_replica_whose_id_is_never_known_is_found()
    {
        Replicant("A=1/0", "B=/0");
        Assert.Equal(["A tells of no id of /v1/numbers/17 at B, and all is at rest"], AtRest());
        _sitesMayChange = true;
        Replicant("A=1/0", "B=/0");
        Assert.Empty(AtRest());
    }

    [Theory]
    [InlineData("none", "A=pending", "B=pending")]
    [InlineData("accepted", "A=applied", "B=pending")]
    [InlineData("accepted", "A=applied", "B=in-doubt")]
    [InlineData("accepted", "A=applied", "B=failed")]
    public void An_operation_that_is_open_for_ever_is_found(string decision, string a, string b)
    {
        Operation(decision, a, b);
        Assert.Equal([$"A tells that op is not finished ({decision}; {a}; {b}), and all is at rest"], AtRest());
        Operation(decision, a, b)["id"] = "1";
        Assert.Equal([$"A tells that PUT /v1/numbers/17 (1) is not finished ({decision}; {a}; {b}), and all is at rest"], AtRest());
    }

    [Fact]
    public void A_move_that_is_open_for_ever_is_found()
    {
        var move = Operation("accepted", "A=staying", "B=leaving");
        (move["id"], move["kind"], move["finished"], move["request"]) = ("1", "move", false, $"move {Path} to A");
        Assert.Equal(["A tells that move /v1/numbers/17 to A (1) is not finished (accepted; A=staying; B=leaving), and all is at rest"], AtRest());
    }
}
