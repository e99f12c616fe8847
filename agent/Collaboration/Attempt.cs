using Cheops.Agent.Interception;
using Cheops.Agent.Planning;
using Cheops.Proto.Problems;

namespace Cheops.Agent.Collaboration;

/// <summary>
/// One location that was tried: the connection with the head of its answer, or why there is none. The answer is relayed,
/// or the connection let go, by whoever tried.
/// </summary>
/// <param name="Outcome">What came of it, for the rules of <em>otherwise</em>.</param>
/// <param name="Connection">The connection whose answer waits to be relayed; null when there is none.</param>
/// <param name="Problem">What to answer when there is no connection; null when the client is gone.</param>
internal readonly record struct Attempt(AttemptOutcome Outcome, UpstreamConnection? Connection, Problem? Problem)
{
    /// <summary>The pool that the connection goes back to; null for a stream over a link.</summary>
    public UpstreamPool? Pool { get; init; }

    /// <summary>Which kind of the pool's connections it is.</summary>
    public bool AsFrontProxy { get; init; }

    /// <summary>What its answer becomes when it is relayed; null when it passes as it is.</summary>
    public Rewriting? Rewriting { get; init; }

    /// <summary>Lets go of the connection: back to its pool if it can be used again.</summary>
    public void Release(Exchange exchange)
    {
        if (Connection is null) return;
        Connection.Detach(exchange);
        if (Pool is not null) Pool.Release(Connection, AsFrontProxy);
        else _ = Connection.CloseAsync();
    }
}
