using System.Diagnostics.CodeAnalysis;
using Cheops.Proto.Operations;
using Cheops.Raft.Consensus;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;

namespace Cheops.Raft;

/// <summary>
/// One group at one site: its log, its machine and, while it is awake, its <see cref="RaftNode"/>. Asleep it is what this
/// object holds and sends nothing.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "A semaphore without a wait handle holds nothing to dispose of; the node is stopped.")]
internal sealed partial class ReplicaGroup : IReplicaGroup
{
    private readonly GroupSite _site;
    private readonly Voters _voters;
    private readonly Applier _applier;
    private readonly GroupLog _log;
    private readonly LeadChoice _choice;
    private FoundingRecord _record;

    /// <summary>Makes a group that is asleep.</summary>
    /// <param name="site">What it shares with others.</param>
    /// <param name="record">How it was founded; open.</param>
    /// <param name="recovered">What its log holds.</param>
    /// <param name="machine">What its entries drive.</param>
    public ReplicaGroup(GroupSite site, FoundingRecord record, RecoveredGroup recovered, IGroupMachine machine)
    {
        (_site, _record) = (site, record);
        _choice = new LeadChoice(site.Options);
        _others = [.. record.Voters.Where(v => !IsHere(v))];
        Founding = record.Founding;
        Id = Founding.Id;
        _voters = new Voters(Founding.Voters);
        if (machine.ReplayFrom < recovered.Entries.First)
        {
            throw new InvalidDataException(
                $"the machine of group {Id} needs entry {machine.ReplayFrom}, but its log begins with {recovered.Entries.First}");
        }

        _log = new GroupLog(Id, site.Log, recovered, site.Budget, machine.ReplayFrom - 1) { Committed = OnCommitted };
        _applier = new Applier(_log, machine, site.Time, site.Closing) { RosterChanged = OnRosterChangedAsync, IsPartial = IsWitness };
        if (record.Since > 0) _applier.Forgot(record.Index);
        Touch();
    }

    /// <summary>Its id.</summary>
    public GroupId Id { get; }

    /// <inheritdoc/>
    public GroupFounding Founding { get; }

    /// <summary>How it was founded, with its members' incarnations.</summary>
    public FoundingRecord Record => Volatile.Read(ref _record);

    /// <summary>Its log.</summary>
    public GroupLog Log => _log;

    /// <summary>Its machine.</summary>
    public Applier Applier => _applier;

    /// <summary>Whether this site is its witness.</summary>
    public bool IsWitness => Founding.Witness is { } witness && IsHere(witness);

    /// <inheritdoc/>
    public GroupStatus Status
    {
        get
        {
            var node = Volatile.Read(ref _node);
            return new GroupStatus(
                node?.Leader?.Site, node is not null, _log.Term, Record.Generation, _log.LastIndex, _log.CommitIndex, _applier.Index, Problem(node))
            {
                Removed = Record.Removed,
            };
        }
    }

    /// <summary>Gives the machine what is known as committed.</summary>
    public void Replay() => _applier.Signal();

    private string Problem(RaftNode? node)
    {
        if (_applier.Problem.Length > 0) return _applier.Problem;
        if (_failure.Length > 0) return _failure;
        if (!BelongsHere) return ReasonNotToBelong();
        if (!ReachesMajority) return $"no majority: {string.Join(", ", _others.Where(v => !IsReachable(v)))} not reached";
        return node is not null && node.Leader is null && Volatile.Read(ref _proposing) > 0 ? "no leader yet" : "";
    }

    private bool IsHere(string site) => string.Equals(site, _site.Name, StringComparison.Ordinal);

    private void OnCommitted(long index)
    {
        _applier.Signal();
        TellCommitted(index);
    }
}
