using System.Text;
using Cheops.Agent.Replication;
using Cheops.Proto.Operations;
using Cheops.Raft.Simulated;
using Cheops.Store.Log;

namespace Cheops.Tests.Unit.Replication;

/// <summary>What a site knows of a replicant just after it was started again.</summary>
public sealed class SettlingTests : IDisposable
{
    private readonly SimulatedReplicas _all = new(1, new SimulatedFaults { ForgetsCommit = true });
    private byte[] _path = [];

    private SimulatedReplicas.Site First => _all.Sites[0];

    public void Dispose() => _all.Dispose();

    // Created at the first site, which then ends before its table is durable.
    private async Task CreateAndCrashAsync()
    {
        foreach (var site in _all.Sites) site.Start();
        await PassAsync(First.FoundAsync());
        var (state, _) = await PassAsync(First.Runner!.SubmitAsync(_all.Create(1, "Site1", "a"), CancellationToken.None));
        _path = Encoding.ASCII.GetBytes($"/v1/things/{state.Key.MetaId}");
        First.Crash();
    }

    [Fact]
    public async Task A_replicant_that_was_created_just_before_is_expected_until_the_group_has_told()
    {
        await CreateAndCrashAsync();
        _all.CutOff("Site1", true);
        First.Start();
        await _all.UntilAsync("the log was read", () => !First.Replicants!.IsReplaying);
        Assert.False(First.Replicants!.IsSettled);
        Assert.True(First.Replicants.MayName("numbers", _path));
        Assert.False(First.Replicants.MayName("numbers", "/v1/things/1001"u8));
        Assert.False(First.Replicants.MayName("others", _path));

        var waiting = First.Settling!.WaitAsync("numbers", _path, isRead: false);
        _all.CutOff("Site1", false);
        Assert.Null(await PassAsync(waiting));
        Assert.NotNull(First.Replicants.Find("numbers", _path));
        Assert.True(First.Replicants.IsSettled);
    }

    [Fact]
    public async Task Where_the_group_has_no_majority_a_change_is_told_why_and_a_read_goes_on()
    {
        await CreateAndCrashAsync();
        _all.CutOff("Site1", true);
        First.Start();
        Assert.NotNull(await PassAsync(First.Settling!.WaitAsync("numbers", _path, isRead: false)));
        Assert.Null(await PassAsync(First.Settling.WaitAsync("numbers", _path, isRead: true)));
        Assert.Null(await PassAsync(First.Settling.WaitAsync("numbers", "/v1/things/1001"u8.ToArray(), isRead: false)));

        // Once the group has said that it has no majority, nobody waits any more.
        await _all.UntilAsync("it is known why", () => First.Runner!.WhyUnsettledAsync(TimeSpan.FromDays(1)).IsCompleted);
        Assert.Contains("majority", await First.Settling.WaitAsync("numbers", _path, isRead: false), StringComparison.Ordinal);
        _all.CutOff("Site1", false);
        await _all.UntilAsync("the group has told", () => First.Replicants!.IsSettled);
        Assert.NotNull(First.Replicants!.Find("numbers", _path));
    }

    [Fact]
    public async Task What_a_site_knew_at_its_start_is_settled_at_once()
    {
        foreach (var site in _all.Sites) site.Start();
        await PassAsync(First.FoundAsync());
        Assert.True(First.Replicants!.IsSettled);
        Assert.Null(await First.Settling!.WaitAsync("numbers", "/v1/things/1"u8.ToArray(), isRead: false));
        Assert.False(First.Replicants.MayName("numbers", "/v1/things/1"u8));
    }

    [Fact]
    public async Task Whoever_comes_while_the_group_is_only_about_to_be_asked_waits_for_what_it_tells()
    {
        var group = new HeldBarrier();
        var (runner, replicants) = First.ByHand(group);
        Task<string?>? waiting = null;
        group.Asked = () => waiting = runner.WhyUnsettledAsync(TimeSpan.FromDays(1));
        await SeeCreateAsync(runner);
        Assert.False(waiting!.IsCompleted);
        Assert.False(replicants.IsSettled);

        group.Pass();
        Assert.Null(await waiting);
        Assert.True(replicants.IsSettled);
    }

    [Fact]
    public async Task A_group_that_cannot_be_asked_is_asked_again_and_nothing_goes_on_before_it_has_told()
    {
        var group = new HeldBarrier { Asked = static () => throw new OperationLogException(OperationLogError.Full, "the disk is full") };
        var (runner, replicants) = First.ByHand(group);
        await SeeCreateAsync(runner);
        Assert.Equal("the disk is full", await runner.WhyUnsettledAsync(TimeSpan.FromDays(1)));
        group.Asked = static () => { };
        group.Pass();
        await _all.UntilAsync("the group has told", () => replicants.IsSettled);
        Assert.Null(await runner.WhyUnsettledAsync(TimeSpan.FromDays(1)));
    }

    [Fact]
    public async Task An_agent_that_ends_lets_nothing_through_that_it_does_not_know()
    {
        var group = new HeldBarrier();
        using var closing = new CancellationTokenSource();
        var (runner, _) = First.ByHand(group, closing.Token);
        await SeeCreateAsync(runner);
        await closing.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => runner.WhyUnsettledAsync(TimeSpan.FromDays(1)));
    }

    // The log holds a create and its outcome beyond what was known as committed.
    private async Task SeeCreateAsync(GroupRunner runner)
    {
        await runner.SeenAsync(new ProposedEntry(_all.Create(1, "Site1", "a")).Encode());
        await runner.SeenAsync(new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "m", new ServiceResult(201, "17", "")).Encode());
        await runner.ReplayedAsync(2);
    }

    private async Task PassAsync(Task task)
    {
        await _all.UntilAsync("it completes", () => task.IsCompleted);
        await task;
    }

    private async Task<T> PassAsync<T>(Task<T> task)
    {
        await PassAsync((Task)task);
        return await task;
    }
}
