using System.Text.Json;
using System.Text.Json.Nodes;
using Cheops.Tests.Simulation.Linearizability;

namespace Cheops.Tests.Simulation.Checkers;

/// <summary>What A tells of group g of A and B, of what it has and what is done to it, and each way in which that is a lie.</summary>
public sealed partial class ReplicationJudgeTests : IReplicationTruth
{
    private const string Path = "/v1/numbers/17";

    private readonly History _history = new();
    private readonly LogHistory _log = new();
    private readonly Dictionary<(string Site, string Id), string> _given = [];
    private readonly List<JsonObject> _groups = [];
    private readonly List<JsonObject> _replicants = [];
    private readonly List<JsonObject> _operations = [];
    private bool _sitesMayChange;
    private long _taken;

    History IReplicationTruth.History => _history;

    bool IReplicationTruth.SitesMayChange => _sitesMayChange;

    LogHistory? IReplicationTruth.LogOf(string group) => group == "g" ? _log : null;

    long IReplicationTruth.TakenAt(string site, string group) => site == "A" ? _taken : throw new InvalidOperationException($"{site} tells nothing");

    string? IReplicationTruth.OperationNamed(string id) => id.StartsWith("op", StringComparison.Ordinal) ? id : null;

    string? IReplicationTruth.KeyGiven(string site, string collection, string id) => collection == "/v1/numbers" ? _given.GetValueOrDefault((site, id)) : null;

    private void Group(long last, long committed, long applied, int open = 0, int diverged = 0, string id = "g") => _groups.Add(new()
    {
        ["id"] = id,
        ["lastIndex"] = last,
        ["commitIndex"] = committed,
        ["appliedIndex"] = applied,
        ["openOperations"] = open,
        ["divergedOperations"] = diverged,
    });

    // As A=1/0 for an id and how many operations are pending; A=/0 for no id.
    private JsonObject Replicant(params string[] replicas)
    {
        var told = new JsonObject();
        foreach (var (site, id, pending) in replicas.Select(one => one.Split('=', '/')).Select(one => (one[0], one[1], one[2])))
            told[site] = new JsonObject { ["localId"] = id.Length > 0 ? id : null, ["pendingOperations"] = int.Parse(pending, null) };
        _replicants.Add(new() { ["path"] = Path, ["replicas"] = told });
        return _replicants[^1];
    }

    // As A=applied for a site's step; what follows from the steps is told rightly.
    private JsonObject Operation(string decision, params string[] steps)
    {
        var (told, all) = (new JsonObject(), steps.Select(one => one.Split('=')).Select(one => (Site: one[0], Step: one[1])).ToArray());
        foreach (var (site, step) in all) told[site] = new JsonObject { ["step"] = step };
        _operations.Add(new()
        {
            ["id"] = "op",
            ["group"] = "g",
            ["kind"] = "update",
            ["replicant"] = Path,
            ["request"] = $"PUT {Path}",
            ["decision"] = decision,
            ["finished"] = decision != "none" && !all.Any(one => one.Step is "pending" or "in-doubt"),
            ["diverged"] = all.Any(one => one.Step == "failed"),
            ["sites"] = told,
        });
        return _operations[^1];
    }

    private void Given(string key, params string[] ids)
    {
        foreach (var id in ids) _given[(id.Split('=')[0], id.Split('=')[1])] = key;
    }

    private void Ask(params string[] appliedAt)
    {
        _history.OnAsked("op", "number3", "A", "B");
        foreach (var site in appliedAt) _history.OnApplied(site, "number3", "op");
    }

    private string[] Lies(Func<ReplicationJudge, ToldReplication, IEnumerable<string>> judge)
    {
        var lists = new[] { _groups, _replicants, _operations }.Select(one => JsonDocument.Parse($"[{string.Join(',', one.Select(told => told.ToJsonString()))}]").RootElement).ToArray();
        foreach (var list in new[] { _groups, _replicants, _operations }) list.Clear();
        return [.. judge(new ReplicationJudge(this), new ToldReplication("A", lists[0], lists[1], lists[2]))];
    }

    // What was told is forgotten with it.
    private void AssertTrue() => Assert.Empty(Lies((judge, told) => judge.Judge(told)));

    private void AssertLie(string lie) => Assert.Equal(lie, Assert.Single(Lies((judge, told) => judge.Judge(told))));

    // ---- groups -----------------------------------------------------------------------------------------------------

    [Theory]
    [InlineData(7, 8, 7)]
    [InlineData(7, 6, 7)]
    public void Entries_that_are_committed_or_applied_and_not_there_are_found(long last, long committed, long applied)
    {
        _taken = 7;
        Group(7, 7, 7);
        AssertTrue();
        Group(last, committed, applied);
        AssertLie($"A tells that group g has {last} entries, of which {committed} are committed and {applied} applied");
    }

    [Fact]
    public void Entries_that_are_told_as_applied_and_were_not_given_are_found()
    {
        _log.OnGiven("B", 0, 5, "x");
        _taken = 4;
        Group(6, 6, 4);
        AssertTrue();
        Group(6, 6, 5);
        AssertLie("A tells that it has applied 5 entries of group g, and was given up to 4 only");
        _taken = 5;
        Group(6, 6, 5);
        AssertTrue();

        // Places that no machine is given are the group's own.
        Group(6, 6, 6);
        AssertTrue();
        Group(9, 9, 9, id: "another");
        AssertTrue();
    }

    [Theory]
    [InlineData(3, 1)]
    [InlineData(1, 1)]
    [InlineData(2, 0)]
    [InlineData(2, 2)]
    public void Operations_that_are_counted_and_not_listed_are_found(int open, int diverged)
    {
        void List()
        {
            Operation("none", "A=pending", "B=pending")["id"] = "1";
            Operation("accepted", "A=applied", "B=failed")["id"] = "2";
            Operation("accepted", "A=applied", "B=applied")["id"] = "3";
            Operation("accepted", "A=pending", "B=failed")["group"] = "another";
            var move = Operation("accepted", "A=staying", "B=leaving");
            (move["kind"], move["finished"]) = ("move", false);
            foreach (var one in _operations) one["kind"] = one["kind"]?.GetValue<string>() == "move" ? "move" : "delete";
        }

        List();
        Group(0, 0, 0, open: 2, diverged: 1);
        AssertTrue();
        List();
        Group(0, 0, 0, open, diverged);
        AssertLie($"A tells that {open} operations of group g are open and {diverged} have diverged, and lists 2 and 1");
    }

    // ---- replicants -------------------------------------------------------------------------------------------------

    [Fact]
    public void A_replicant_that_is_nothing_is_found()
    {
        Given("number3", "A=1", "B=2");
        Replicant("A=1/0", "B=2/0");
        AssertTrue();
        Replicant("A=1/0", "B=/0");
        AssertTrue();
        Replicant("A=/0", "B=/0");
        AssertTrue();
        Replicant("A=1/0", "B=1/0");
        AssertLie("A tells of /v1/numbers/17 as 1 at A, 1 at B, which is nothing and number3");
        Replicant("A=/0", "B=1/0");
        AssertLie("A tells of /v1/numbers/17 as 1 at B, which is nothing");
    }

    [Fact]
    public void A_replicant_that_is_two_things_is_found()
    {
        Given("number3", "A=1");
        Given("number4", "B=1");
        Replicant("A=1/0", "B=1/0");
        AssertLie("A tells of /v1/numbers/17 as 1 at A, 1 at B, which is number3 and number4");
    }

    [Fact]
    public void A_replicant_at_sites_that_it_was_not_asked_for_at_is_found()
    {
        _history.OnAsked("op", "number3", "A", "B");
        _history.OnAsked("later", "number3", "A", "C");
        Given("number3", "A=1", "B=2", "C=3");
        Replicant("B=2/0", "A=1/0");
        AssertTrue();
        Replicant("A=1/0", "B=2/0", "C=3/0");
        AssertLie("A tells that /v1/numbers/17 is at A & B & C, and number3 was asked for at A & B");
        Replicant("A=1/0");
        AssertLie("A tells that /v1/numbers/17 is at A, and number3 was asked for at A & B");
        _sitesMayChange = true;
        Replicant("A=1/0");
        AssertTrue();
    }

    [Theory]
    [InlineData("A=1/0", "B=2/2")]
    [InlineData("A=1/1", "B=2/1")]
    [InlineData("A=1/1", "B=2/3")]
    public void Operations_that_are_pending_at_a_replica_and_not_listed_are_found(string a, string b)
    {
        void List()
        {
            Operation("accepted", "B=pending", "A=applied")["id"] = "1";
            Operation("none", "A=in-doubt", "B=pending")["id"] = "2";
            Operation("accepted", "A=applied", "B=failed")["id"] = "3";
            Operation("none", "A=pending", "B=pending")["replicant"] = "/v1/numbers/18";
            Operation("accepted", "A=pending", "C=pending")["group"] = "another";
            foreach (var one in _operations) one["kind"] = "delete";
        }

        Given("number3", "A=1", "B=2");
        List();
        Replicant("A=1/1", "B=2/2");
        AssertTrue();
        List();
        Replicant(a, b);
        var (pending, site, listed) = a == "A=1/0" ? (0, "A", 1) : (b[^1] - '0', "B", 2);
        AssertLie($"A tells that {pending} operations on /v1/numbers/17 are pending at {site}, and lists {listed}");
    }
}
