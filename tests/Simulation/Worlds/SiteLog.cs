using Cheops.Raft;
using Cheops.Tests.Simulation.Linearizability;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>One run of an agent at the log of one group: writes what it asks the log, is answered and is given into the log's history.</summary>
internal sealed class SiteLog(World world, string site, LogHistory history)
{
    /// <summary>The last place that the machine here was given, or needs not be given any more.</summary>
    public long Until { get; private set; }

    /// <summary>The machine is there, and is to be given all from a place on.</summary>
    public void OnOpened(long from) => Until = from - 1;

    /// <summary>The machine is given an entry.</summary>
    public void OnGiven(long index, ReadOnlySpan<byte> entry) => history.OnGiven(site, Until, index, LogHistory.NameOf(entry));

    /// <summary>It has taken it.</summary>
    public void OnTaken(long index) => Until = index;

    /// <summary>Proposes an entry.</summary>
    public async Task<long> ProposeAsync(IReplicaGroup group, ReadOnlyMemory<byte> entry, bool drawsLead, CancellationToken cancellation)
    {
        world.OnProposed(entry);
        var call = history.OnCalled(site, LogHistory.NameOf(entry.Span));
        try
        {
            var index = await group.ProposeAsync(entry, drawsLead, cancellation);
            history.OnAnswered(call, index);
            return index;
        }
        catch (GroupException e) when (e.SurelyNotCommitted)
        {
            history.OnRefused(call);
            throw;
        }
    }

    /// <summary>Waits until all that is committed was taken here, and reads how far that is.</summary>
    public async Task<bool> BarrierAsync(IReplicaGroup group, CancellationToken cancellation)
    {
        var call = history.OnCalled(site, null);
        await group.BarrierAsync(cancellation);
        history.OnAnswered(call, Until);
        return true;
    }
}
