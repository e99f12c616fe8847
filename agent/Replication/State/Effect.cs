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

/// <summary>The replica of this site is gone, and nothing made the replicant anew: the table lets go of it.</summary>
/// <param name="Operation">The delete.</param>
public sealed record ReplicantGone(OperationState Operation) : Effect;
