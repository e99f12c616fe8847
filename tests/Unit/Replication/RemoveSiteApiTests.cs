using System.Collections.Immutable;
using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Agent.Cli;
using Cheops.Agent.Identity;
using Cheops.Agent.Replication;
using Cheops.Tests.Unit.Collaboration;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Unit.Replication;

/// <summary>What becomes of <c>cheops sites remove</c>, in groups of the site where it is said and in those of others.</summary>
public sealed class RemoveSiteApiTests : IAsyncLifetime
{
    private readonly SimulatedSites _sites = new("Site1", "Site2", "Site3", "Site4");
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-unit-");
    private CredentialSeal _seal = null!;

    public async Task InitializeAsync()
    {
        _seal = CredentialSeal.Open(Path.Combine(_directory.FullName, "key"));
        await _sites.ReplicateAsync(1, _seal);
        foreach (var set in (string[][])[["Site1", "Site2", "Site3"], ["Site1", "Site3", "Site4"], ["Site2", "Site3"]])
            await _sites.WithTimeAsync(_sites[set[0]].Host!.FoundAsync([.. set], null).AsTask());
    }

    public async Task DisposeAsync()
    {
        await _sites.DisposeAsync();
        _seal.Dispose();
        _directory.Delete(recursive: true);
    }

    [Fact]
    public async Task All_groups_are_told_also_those_of_other_sites()
    {
        Lose("Site3");
        var told = await RemoveAsync("Site3");
        Assert.True(told.GetProperty("done").GetBoolean());
        Assert.Equal(
            ["Site1 & Site2 & Site3 True ", "Site1 & Site3 & Site4 True ", "Site2 & Site3 True "], GroupsOf(told));
        var (text, isDone) = RemoveSiteCommand.Tell(told);
        Assert.True(isDone);
        Assert.Equal(
            """
            GROUP                  RESULT   REASON
            Site1 & Site2 & Site3  removed  -
            Site1 & Site3 & Site4  removed  -
            Site2 & Site3          removed  -
            Site3 counts in no group any more

            """,
            text);
        foreach (var site in (string[])["Site1", "Site2", "Site4"]) Assert.All(_sites[site].Host!.Groups, group => Assert.Equal("Site3", Assert.Single(group.Status.Removed)));

        // Also said in the log, so that nothing waits: by each group's leader.
        await _sites.UntilAsync("it is recorded", () => _sites["Site2"].Replicator!.Groups.All(runner => runner.Look(state => state.Removed.ContainsKey("Site3"))));

        // Twice does no harm.
        Assert.True((await RemoveAsync("Site3")).GetProperty("done").GetBoolean());
    }

    [Fact]
    public async Task What_cannot_be_decided_and_who_was_not_asked_is_told_and_the_rest_is_done()
    {
        Lose("Site3");
        Lose("Site4");
        var told = await RemoveAsync("Site3");
        Assert.False(told.GetProperty("done").GetBoolean());
        var groups = GroupsOf(told);
        Assert.Equal(("Site1 & Site2 & Site3 True ", "Site2 & Site3 True "), (groups[0], groups[2]));
        Assert.StartsWith("Site1 & Site3 & Site4 False ", groups[1], StringComparison.Ordinal);
        Assert.Contains("no majority", groups[1], StringComparison.Ordinal);
        Assert.Equal("Site4 Site4 is down", Assert.Single(told.GetProperty("withoutAnswer").EnumerateArray().Select(one => $"{one.GetProperty("site")} {one.GetProperty("reason")}")));
        var (text, isDone) = RemoveSiteCommand.Tell(told);
        Assert.False(isDone);
        Assert.Contains("Site1 & Site3 & Site4  refused", text, StringComparison.Ordinal);
        Assert.Contains("others of Site4        not known  Site4 is down", text, StringComparison.Ordinal);
        Assert.Contains("still counts", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Site33", 422, "the others are Site2, Site3, Site4; did you mean 'Site3'?")]
    [InlineData("site3", 422, "site3 is no site of this mesh")]
    [InlineData("Site1", 422, "Site1 is this site")]
    [InlineData("Site3", 409, "Site3 is up")]
    public async Task Who_is_not_known_or_is_up_is_not_removed(string name, int status, string reason)
    {
        var answer = await AnswerAsync(name);
        Assert.Equal(status, answer.Status);
        using var problem = JsonDocument.Parse(answer.Body);
        Assert.Contains(reason, problem.RootElement.GetProperty("detail").GetString()!, StringComparison.Ordinal);
        Assert.All(_sites["Site1"].Host!.Groups, group => Assert.Empty(group.Status.Removed));
    }

    [Fact]
    public async Task Who_is_up_is_removed_when_that_is_meant()
    {
        var told = await RemoveAsync("Site3", ("force", "1"));
        Assert.True(told.GetProperty("done").GetBoolean());
        Assert.Equal(3, GroupsOf(told).Length);
    }

    // Its agent has ended, and the others know.
    private void Lose(string site)
    {
        _sites.Down.Add(site);
        _sites.Groups!.CutOff(site, true);
    }

    private async Task<JsonElement> RemoveAsync(string name, params (string, string)[] query)
    {
        var answer = await AnswerAsync(name, query);
        Assert.Equal(200, answer.Status);
        using var document = JsonDocument.Parse(answer.Body);
        return document.RootElement.Clone();
    }

    private Task<ApiAnswer> AnswerAsync(string name, params (string Name, string Value)[] query)
    {
        var api = new ReplicationApi("Site1", _sites["Site1"].Replicator!, _sites.Time);
        var values = query.ToImmutableDictionary(one => one.Name, one => one.Value);
        return _sites.WithTimeAsync(api.AnswerAsync(new ApiRequest(HttpMethod.Post, $"{ReplicationApi.RemovedSitesPath}/{name}", values, MayChange: true)).AsTask());
    }

    private static string[] GroupsOf(JsonElement told) =>
    [
        .. told.GetProperty("groups").EnumerateArray().Select(one =>
            $"{string.Join(" & ", one.GetProperty("sites").EnumerateArray())} {one.GetProperty("removed").GetBoolean()} {(one.TryGetProperty("reason", out var reason) ? reason.GetString() : "")}"),
    ];
}
