using System.Diagnostics;
using System.Text;
using Cheops.Proto.Operations;
using Cheops.Raft;

namespace Cheops.Tests.Unit.Groups;

/// <summary>Sites with hosts of groups, for a contract suite: what the suite does to them and sees of them.</summary>
public abstract class GroupCluster : IAsyncDisposable
{
    /// <summary>The host at a site that is up.</summary>
    public abstract IGroupHost Host(string site);

    /// <summary>The machine of a group at a site.</summary>
    public abstract ListMachine Machine(string site, GroupId group);

    /// <summary>Starts a site, also one that crashed.</summary>
    public abstract Task StartAsync(string site);

    /// <summary>The power of a site goes: what is not durable is lost.</summary>
    public abstract Task CrashAsync(string site);

    /// <summary>A site that is down has lost all that it had made durable.</summary>
    public abstract void Wipe(string site);

    /// <summary>Cuts a site off from all others, or mends its links.</summary>
    public abstract void CutOff(string site, bool isCut);

    /// <summary>Lets simulated time pass, where it is simulated.</summary>
    public abstract Task PassAsync();

    public abstract ValueTask DisposeAsync();

    public async Task<IReplicaGroup> FoundAsync(params string[] sites)
    {
        foreach (var site in sites) await StartAsync(site);
        for (var waited = Stopwatch.StartNew(); ;)
        {
            try
            {
                return await FoundAwayAsync(sites);
            }
            catch (GroupException e) when (e.Error == GroupError.NotFounded && waited.Elapsed < TimeSpan.FromSeconds(60))
            {
                // On a busy machine an answer may come too late: whoever asks again goes on with what was begun.
            }
        }
    }

    /// <summary>Founds a group of sites of which some may be away.</summary>
    public Task<IReplicaGroup> FoundAwayAsync(params string[] sites) => RunAsync(Host(sites[0]).FoundAsync([.. sites], null).AsTask());

    /// <summary>Waits until sites have met another one that comes later in order, so that each votes with it.</summary>
    public async Task MeetAsync(string later, params string[] sites)
    {
        foreach (var site in sites)
        {
            var pair = await RunAsync(Host(site).FoundAsync([site, later], null).AsTask());
            await InsistAsync(() => pair, "met");
        }
    }

    /// <summary>The group at another site, once it is known there.</summary>
    public async Task<IReplicaGroup> FindAsync(string site, GroupId group)
    {
        IReplicaGroup? found = null;
        await UntilAsync(() => (found = Host(site).Find(group)) is not null, $"group {group} is known at {site}");
        return found!;
    }

    public Task<long> ProposeAsync(IReplicaGroup group, string entry) => RunAsync(group.ProposeAsync(Encoding.ASCII.GetBytes(entry)).AsTask());

    /// <summary>Proposes until it is told that the entry is committed, as a client does whose entries carry an id.</summary>
    public async Task<long> InsistAsync(Func<IReplicaGroup> group, string entry)
    {
        for (var waited = Stopwatch.StartNew(); ;)
        {
            try
            {
                return await ProposeAsync(group(), entry);
            }
            catch (GroupException) when (waited.Elapsed < TimeSpan.FromSeconds(60))
            {
                await PassAsync();
            }
        }
    }

    /// <summary>Proposes at a site what draws the lead there, until it is told that it is committed.</summary>
    public async Task SendAsync(string site, GroupId group)
    {
        for (var waited = Stopwatch.StartNew(); ;)
        {
            try
            {
                await RunAsync(Host(site).Find(group)!.ProposeAsync("operation"u8.ToArray(), drawsLead: true).AsTask());
                return;
            }
            catch (GroupException) when (waited.Elapsed < TimeSpan.FromSeconds(60))
            {
                await PassAsync();
            }
        }
    }

    /// <summary>Waits for a task while time passes.</summary>
    public async Task<T> RunAsync<T>(Task<T> task)
    {
        while (!task.IsCompleted) await PassAsync();
        return await task;
    }

    public async Task RunAsync(Task task)
    {
        while (!task.IsCompleted) await PassAsync();
        await task;
    }

    /// <summary>How the groups stand, for whoever reads of a failure.</summary>
    protected virtual string Describe() => "";

    /// <summary>Waits for a condition while time passes.</summary>
    public async Task UntilAsync(Func<bool> condition, string what)
    {
        for (var waited = Stopwatch.StartNew(); !condition(); await PassAsync())
        {
            if (waited.Elapsed > TimeSpan.FromSeconds(30)) Assert.Fail($"in vain: {what}; {Describe()}");
        }
    }
}
