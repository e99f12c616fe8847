using Cheops.Agent.Replication;
using Cheops.Agent.Replication.State;
using Cheops.Proto.Operations;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Unit.Replication;

/// <summary>A site that is added to a replicant again before it has done what was asked of it when it had it before.</summary>
public sealed class AddedAgainTests : IAsyncLifetime
{
    private static readonly string[] Last = ["Site1", "Site2", "Site4"];

    // Site3 is the witness of two, and so knows what becomes of their operations; Site4 does not.
    private readonly MovingSites _sites = new("Site1", "Site2", "Site3", "Site4");

    public async Task InitializeAsync()
    {
        await _sites.StartAsync();
        Assert.Equal("201", MovingSites.Status(await _sites.CreateAsync("Site1", "web", "Site1 & Site2")));
        await _sites.QuietAsync();
    }

    public Task DisposeAsync() => _sites.DisposeAsync().AsTask();

    [Fact]
    public async Task Its_copy_waits_there_for_the_delete_of_its_former_replica_also_when_who_asks_does_not_know_of_it()
    {
        _sites["Site2"].KeepsAll = true;
        await TellAsync("Site1", ("remove", "Site2"), ("replica", "delete"));
        await TellAsync("Site1", ("add", "Site4"));
        await TellAsync("Site4", ("add", "Site2"));
        Assert.Equal("200", MovingSites.Status(await _sites.PutAsync("Site4", "web", "later")));
        await _sites.Sites.UntilAsync("the copy waits, and says why", () => Copies("Site2", SiteStep.Pending, (runner, one) => runner.WhyWaiting(one)).Any(
            why => why?.Contains("in the group of Site1 & Site2, where it had the replicant before", StringComparison.Ordinal) == true));
        Assert.DoesNotContain("later", _sites["Site2"].All["web"], StringComparison.Ordinal);

        _sites["Site2"].KeepsAll = false;
        await _sites.QuietAsync();
        Assert.All(Last, site =>
        {
            Assert.Contains("later", _sites[site].All["web"], StringComparison.Ordinal);
            Assert.Equal("Site1 & Site2 & Site4", _sites.KnownAt(site, "web"));
        });
    }

    // It was taken for lost, and its former group counts on nothing that it does.
    [Fact]
    public async Task Its_copy_does_not_wait_for_a_group_from_which_it_was_removed()
    {
        _sites["Site2"].KeepsAll = true;
        await TellAsync("Site1", ("remove", "Site2"), ("replica", "delete"));
        _sites.Lose("Site2");
        await _sites.ApiAsync("Site1", "removed-sites/Site2");
        _sites.Return("Site2");
        await TellAsync("Site1", ("add", "Site4"));
        await TellAsync("Site4", ("add", "Site2"));

        // What it was to delete is still there.
        await _sites.Sites.UntilAsync("the copy was tried", () => Copies("Site2", SiteStep.Failed, (_, one) => one.AnswerAt("Site2")!.Status).SequenceEqual([409]));
        Assert.Equal(["web"], _sites["Site2"].All.Keys);
    }

    private async Task TellAsync(string at, params (string Name, string Value)[] query)
    {
        var (status, told) = await _sites.TellAsync(at, MovingSites.SitesOf("web"), HttpMethod.Post, query);
        Assert.True(status == 200, told.ToString());
    }

    private T[] Copies<T>(string site, SiteStep step, Func<GroupRunner, OperationState, T> look) => [.. _sites.Sites[site].Replicator!.Groups.SelectMany(
        runner => runner.Look(state => state.Open.Where(one => one.Kind == OperationKind.Create && one.StepAt(site) == step).Select(one => look(runner, one)).ToArray()))];
}
