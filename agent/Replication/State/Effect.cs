using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication.State;

/// <summary>What an entry asks of this site, beyond what it changes in the group's state.</summary>
public abstract record Effect
{
    private protected Effect()
    {
    }
}

/// <summary>This site is to carry the operation out now: it is the first on its replicant that is not done here.</summary>
/// <param name="Operation">The operation.</param>
/// <param name="Decides">Whether this site decides it; else it follows.</param>
public sealed record CarryOut(OperationState Operation, bool Decides) : Effect;

/// <summary>The operation is decided.</summary>
public sealed record Decided(OperationState Operation) : Effect;

/// <summary>Where the operation stands at some site has changed.</summary>
public sealed record StepChanged(OperationState Operation) : Effect;

/// <summary>Nothing is left to be done for the operation at any site.</summary>
public sealed record Finished(OperationState Operation) : Effect;

/// <summary>A replicant was made: the table takes it in.</summary>
/// <param name="Operation">The create.</param>
/// <param name="Site">The site that decided.</param>
/// <param name="LocalId">Its replica's id there.</param>
public sealed record ReplicantMade(OperationState Operation, string Site, string LocalId) : Effect;

/// <summary>A site has its replica.</summary>
/// <param name="Operation">The create.</param>
/// <param name="Site">The site.</param>
/// <param name="LocalId">The replica's id there.</param>
public sealed record ReplicaMade(OperationState Operation, string Site, string LocalId) : Effect;

/// <summary>A replicant has come or gone: the table keeps its marks.</summary>
/// <param name="Moves">All marks of it.</param>
public sealed record Marked(ReplicantMoves Moves) : Effect;

/// <summary>A replicant has come to this group: the table takes it in, in place of what it had of it in the group before.</summary>
/// <param name="Record">The replicant.</param>
/// <param name="From">The group before.</param>
public sealed record ReplicantOpened(ReplicantRecord Record, GroupId From) : Effect;

/// <summary>A replicant has left this group for one in which this site has it too.</summary>
/// <param name="Move">The move.</param>
/// <param name="OpenedAt">Index of the opening entry in the other group's log.</param>
public sealed record ReplicantHandedOver(MoveState Move, long OpenedAt) : Effect;

/// <summary>A replicant has left this site, which keeps its replica as a resource of its own: the table lets go of it.</summary>
/// <param name="Key">The replicant.</param>
public sealed record ReplicantLeft(ReplicantKey Key) : Effect;

/// <summary>A site was removed from the group: the table keeps that.</summary>
/// <param name="Site">The site.</param>
/// <param name="Index">Index of the entry.</param>
public sealed record SiteRemoved(string Site, long Index) : Effect;

/// <summary>The replica of this site is gone, and nothing made the replicant anew: the table lets go of it.</summary>
/// <param name="Operation">The delete.</param>
public sealed record ReplicantGone(OperationState Operation) : Effect;
