using System.Collections.Immutable;
using Cheops.Proto.Operations;
using Cheops.Raft;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>
/// A site's groups: what the groups themselves do is the world's and goes on when the site ends, what their machines do is the site's.
/// </summary>
/// <param name="world">The world's life.</param>
/// <param name="inner">The groups.</param>
/// <param name="logs">What this run of the site's agent sees of a group's log.</param>
internal sealed class SiteGroups(Life world, IGroupHost inner, Func<GroupId, SiteLog> logs) : IGroupHost
{
    public ImmutableArray<IReplicaGroup> Groups => [.. inner.Groups.Select(Wrap)];

    public bool IsRoomShort => inner.IsRoomShort;

    public string DiskProblem => inner.DiskProblem;

    /// <summary>A machine that lives at a site.</summary>
    public static IGroupMachine MachineAt(Life site, TimeProvider time, SiteLog log, IGroupMachine inner) => new Machine(site, time, log, inner);

    public IReplicaGroup? Find(GroupId id) => inner.Find(id) is { } group ? Wrap(group) : null;

    public async ValueTask<string?> ChooseWitnessAsync(
        ImmutableArray<string> sites, ImmutableArray<string> candidates, CancellationToken cancellation = default) =>
        await world.Begin(() => inner.ChooseWitnessAsync(sites, candidates, cancellation).AsTask());

    public async ValueTask<IReplicaGroup> FoundAsync(ImmutableArray<string> sites, string? witness, CancellationToken cancellation = default) =>
        Wrap(await world.Begin(() => inner.FoundAsync(sites, witness, cancellation).AsTask()));

    private Group Wrap(IReplicaGroup group) => new(world, group, logs(group.Founding.Id));

    public async ValueTask<ImmutableArray<SiteRemoval>> RemoveSiteAsync(string site, CancellationToken cancellation = default) =>
        await world.Begin(() => inner.RemoveSiteAsync(site, cancellation).AsTask());

    public async ValueTask<ImmutableArray<SiteRemoval>> RemoveSiteAtAsync(string at, string site, bool evenIfUp, CancellationToken cancellation = default) =>
        await world.Begin(() => inner.RemoveSiteAtAsync(at, site, evenIfUp, cancellation).AsTask());

    public Task ReclaimAsync() => inner.ReclaimAsync();

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private static async Task<bool> Done(ValueTask task)
    {
        await task;
        return true;
    }

    private sealed class Group(Life world, IReplicaGroup inner, SiteLog log) : IReplicaGroup
    {
        public GroupFounding Founding => inner.Founding;

        public GroupStatus Status => inner.Status;

        public async ValueTask<long> ProposeAsync(ReadOnlyMemory<byte> entry, bool drawsLead, CancellationToken cancellation = default) =>
            await world.Begin(() => log.ProposeAsync(inner, entry, drawsLead, cancellation));

        public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(long index, CancellationToken cancellation = default) =>
            await world.Begin(() => inner.ReadAsync(index, cancellation).AsTask());

        public async ValueTask BarrierAsync(CancellationToken cancellation = default) => await world.Begin(() => log.BarrierAsync(inner, cancellation));

        public async ValueTask LeadAsync(string site, CancellationToken cancellation = default) => await world.Begin(() => Done(inner.LeadAsync(site, cancellation)));
    }

    private sealed class Machine(Life site, TimeProvider time, SiteLog log, IGroupMachine inner) : IGroupMachine
    {
        private bool _isOpen;

        public long ReplayFrom
        {
            get
            {
                if (!_isOpen) log.OnOpened(inner.ReplayFrom);
                _isOpen = true;
                return inner.ReplayFrom;
            }
        }

        // As the real one: what is committed has to be taken, sooner or later.
        public async ValueTask ApplyAsync(long index, ReadOnlyMemory<byte> entry, bool isReplay)
        {
            log.OnGiven(index, entry.Span);
            while (true)
            {
                await site.AwakeAsync();
                try
                {
                    await site.Begin(() => Done(inner.ApplyAsync(index, entry, isReplay)));
                    log.OnTaken(index);
                    return;
                }
                catch (IOException)
                {
                    await Task.Delay(TimeSpan.FromMilliseconds(200), time);
                }
            }
        }

        public async ValueTask SeenAsync(ReadOnlyMemory<byte> entry)
        {
            await site.AwakeAsync();
            await site.Begin(() => Done(inner.SeenAsync(entry)));
        }

        public async ValueTask ReplayedAsync(long seenUntil)
        {
            await site.AwakeAsync();
            await site.Begin(() => Done(inner.ReplayedAsync(seenUntil)));
        }

        public void Forgot(long until) => inner.Forgot(until);

        public IAsyncEnumerable<ReadOnlyMemory<byte>> CaptureAsync(CancellationToken cancellation = default) => inner.CaptureAsync(cancellation);

        public ValueTask RestoreAsync(long index, IAsyncEnumerable<ReadOnlyMemory<byte>> pieces, CancellationToken cancellation = default) =>
            inner.RestoreAsync(index, pieces, cancellation);
    }
}
