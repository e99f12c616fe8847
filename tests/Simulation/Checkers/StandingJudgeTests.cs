using System.Collections.Immutable;

namespace Cheops.Tests.Simulation.Checkers;

/// <summary>Where a thing x of A and B stands in the end, and each way in which that is wrong.</summary>
public sealed class StandingJudgeTests
{
    private Standings _found = new()
    {
        Sites = ["A", "B", "C"],
        First = new Dictionary<string, ImmutableArray<string>> { ["x"] = ["A", "B"] },
        Changed = ["x"],
    };

    private StandingJudge Judge => new(_found);

    private void Know(string group, string sites, params string[] by)
    {
        _found.SitesOfGroup[group] = [.. sites.Select(site => $"{site}")];
        if (!_found.Known.TryGetValue("x", out var groups)) _found.Known["x"] = groups = new(StringComparer.Ordinal);
        groups[group] = new SortedSet<string>(by, StringComparer.Ordinal);
    }

    private static MovedThing Move(string from, string to, bool deletesReplica = false) =>
        new([.. from.Select(site => $"{site}")], [.. to.Select(site => $"{site}")], deletesReplica);

    private void AssertRight() => Assert.Empty(Judge.Judge());

    private void AssertWrong(string promise, string detail) => Assert.Equal(new Violation(promise, detail), Assert.Single(Judge.Judge()));

    [Fact]
    public void A_thing_that_all_its_sites_know_as_theirs_stands_right()
    {
        Know("g", "AB", "A", "B");
        AssertRight();
    }

    [Fact]
    public void A_thing_that_is_of_two_groups_is_found()
    {
        Know("g", "AB", "A", "B");
        Know("h", "C", "C");
        AssertWrong("at the same sites for all", "x is at A & B for A, B and at C for C");
    }

    [Fact]
    public void A_thing_that_one_of_its_sites_does_not_know_is_found()
    {
        Know("g", "ABC", "A", "C");
        AssertWrong("at the same sites for all", "x is at A & B & C, and B does not know it");
        _found = _found with { Lost = new HashSet<string> { "B" } };
        Know("g", "ABC", "A", "C");
        AssertRight();
    }

    [Fact]
    public void A_replica_that_was_to_be_deleted_and_is_there_is_found()
    {
        _found.Moves["x"] = [Move("AB", "A", deletesReplica: true)];
        AssertRight();
        _found.Held.Add(("A", "x"));
        AssertRight();
        _found.Held.Add(("B", "x"));
        AssertWrong("removed as asked", "B was to delete its replica of x, and has it still");
    }

    [Fact]
    public void A_replica_that_was_to_be_kept_and_is_gone_is_found()
    {
        _found.Moves["x"] = [Move("AB", "A")];
        AssertRight();
        _found.EndsDeleted[("B", "x")] = false;
        AssertWrong("removed as asked", "B was to keep its replica of x, and has it no more");
        _found.Held.Add(("B", "x"));
        AssertRight();
    }

    [Fact]
    public void A_replica_that_a_client_has_deleted_need_not_be_kept()
    {
        _found.Moves["x"] = [Move("AB", "A")];
        _found.EndsDeleted[("B", "x")] = true;
        AssertRight();
    }

    [Fact]
    public void What_a_site_was_removed_by_last_counts_unless_it_came_back()
    {
        _found.EndsDeleted[("B", "x")] = false;
        _found.Moves["x"] = [Move("AB", "A"), Move("A", "AC"), Move("AC", "AB")];
        AssertRight();
        _found.Moves["x"] = [Move("AB", "A"), Move("A", "AB"), Move("AB", "A", deletesReplica: true), Move("A", "AC")];
        AssertRight();
        _found.Moves["x"] = [Move("AB", "A", deletesReplica: true), Move("A", "AB"), Move("AB", "A"), Move("A", "AC")];
        AssertWrong("removed as asked", "B was to keep its replica of x, and has it no more");
    }

    [Fact]
    public void A_thing_that_nobody_changed_is_not_asked_about()
    {
        _found = _found with { Changed = [] };
        _found.Moves["x"] = [Move("AB", "A", deletesReplica: true)];
        _found.Held.Add(("B", "x"));
        AssertRight();
    }

    [Fact]
    public void A_place_that_people_were_told_of_and_no_group_knows_is_found()
    {
        _found = _found with { Told = [("x", ["A", "C"]), ("x", ["A", "B"])] };
        AssertWrong("moved means moved", "x was told to be at A & C, which no group says");
        _found.Moves["x"] = [Move("AB", "AC"), Move("AC", "ABC")];
        AssertRight();
    }

    private static readonly Asked Asked = new("op", "x", new HashSet<string> { "A", "B" }, 1);

    [Fact]
    public void An_operation_counts_for_the_sites_of_the_group_that_accepted_it()
    {
        Assert.Equal(["A", "C"], Judge.CountsFor(Asked, [["A", "C"]], "B"));
        Assert.Equal(["B"], Judge.CountsFor(Asked, [], "B"));
        Assert.Equal(["A", "B"], Judge.CountsFor(Asked, [], null).Order());
        _found = _found with { Lost = new HashSet<string> { "A" } };
        Assert.Equal(["C"], Judge.CountsFor(Asked, [["A", "C"]], null));
        Assert.Equal(["B"], Judge.CountsFor(Asked, [], null));
    }

    [Fact]
    public void An_operation_that_two_groups_have_accepted_is_found()
    {
        Assert.Null(StandingJudge.JudgeAccepted("op", []));
        Assert.Null(StandingJudge.JudgeAccepted("op", [["A", "B"]]));
        Assert.Equal(new Violation("exactly once", "op was accepted by A & B and by A & C"), StandingJudge.JudgeAccepted("op", [["A", "B"], ["A", "C"]]));
    }

    [Fact]
    public void A_thing_is_where_tables_say_or_else_where_it_was_moved_last_or_was_at_first()
    {
        Assert.Equal(["A", "B"], Judge.SitesOf("x", new HashSet<string> { "C" }));
        Assert.Equal(["C"], Judge.SitesOf("y", new HashSet<string> { "C" }));
        _found.Moves["x"] = [Move("AB", "ABC"), Move("ABC", "BC")];
        Assert.Equal(["B", "C"], Judge.SitesOf("x", Asked.Sites));
        Know("g", "AC", "A");
        Assert.Equal(["A", "C"], Judge.SitesOf("x", Asked.Sites));
    }
}
