using System.Collections.Immutable;
using Cheops.Proto.Operations;
using Cheops.Raft;

namespace Cheops.Tests.Unit.Replication;

/// <summary>A host with one group that is asked for a barrier, which stands until a test lets it through, and for what a test takes.</summary>
internal sealed class HeldBarrier : IGroupHost, IReplicaGroup
{
    private readonly TaskCompletionSource _passed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Called by whoever asks, before the call returns to them.</summary>
    public Action Asked { get; set; } = static () => { };

    /// <summary>Takes what is proposed, and gives the index at which it was applied.</summary>
    public Func<ReadOnlyMemory<byte>, ValueTask<long>> Proposed { get; set; } = static _ => throw new NotSupportedException();

    public ImmutableArray<IReplicaGroup> Groups => [this];

    public GroupFounding Founding { get; } = new() { Sites = SimulatedReplicas.Names };

    public GroupStatus Status => throw new NotSupportedException();

    /// <summary>All that was committed is applied.</summary>
    public void Pass() => _passed.SetResult();

    public async ValueTask BarrierAsync(CancellationToken cancellation = default)
    {
        Asked();
        await _passed.Task.WaitAsync(cancellation);
    }

    public bool IsRoomShort => false;

    public string DiskProblem => "";

    public Task ReclaimAsync() => Task.CompletedTask;

    public IReplicaGroup? Find(GroupId id) => id == Founding.Id ? this : null;

    public ValueTask<long> ProposeAsync(ReadOnlyMemory<byte> entry, bool drawsLead, CancellationToken cancellation = default) => Proposed(entry);

    public ValueTask<ReadOnlyMemory<byte>> ReadAsync(long index, CancellationToken cancellation = default) => throw new NotSupportedException();

    public ValueTask LeadAsync(string site, CancellationToken cancellation = default) => throw new NotSupportedException();

    public ValueTask<string?> ChooseWitnessAsync(ImmutableArray<string> sites, ImmutableArray<string> candidates, CancellationToken cancellation = default) =>
        throw new NotSupportedException();

    public ValueTask<IReplicaGroup> FoundAsync(ImmutableArray<string> sites, string? witness, CancellationToken cancellation = default) => throw new NotSupportedException();

    public ValueTask<ImmutableArray<SiteRemoval>> RemoveSiteAsync(string site, CancellationToken cancellation = default) => throw new NotSupportedException();

    public ValueTask<ImmutableArray<SiteRemoval>> RemoveSiteAtAsync(string at, string site, bool evenIfUp, CancellationToken cancellation = default) =>
        throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
