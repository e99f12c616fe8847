using System.Collections.Immutable;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;

namespace Cheops.Agent.Api;

/// <summary>What the API tells of an agent. Everything is a snapshot; asking never waits.</summary>
public interface IAgentStatus
{
    /// <summary>This site's name.</summary>
    string Site { get; }

    /// <summary>Whether requests are taken.</summary>
    Readiness Readiness { get; }

    /// <summary>What is known of all sites.</summary>
    ImmutableArray<SiteStatus> Sites { get; }

    /// <summary>What a scope would do here and now.</summary>
    /// <param name="scope">The scope as text.</param>
    /// <param name="service">The service that a client would address.</param>
    ScopeExplanation Explain(string scope, string service);

    /// <summary>Writes what every part of the agent counts.</summary>
    void WriteMetrics(MetricsWriter metrics);
}

/// <summary>Whether requests are taken: listeners bound and local services named. Links do not hold it back.</summary>
/// <param name="ListenersBound">Whether every listener is bound.</param>
/// <param name="Services">The services of this site.</param>
/// <param name="IsDraining">Whether the agent is ending and takes nothing new.</param>
public sealed record Readiness(bool ListenersBound, ImmutableArray<string> Services, bool IsDraining)
{
    /// <summary>Whether requests are taken.</summary>
    public bool IsReady => ListenersBound && !Services.IsEmpty && !IsDraining;

    /// <summary>Why not, in words; empty when they are.</summary>
    public string Reason =>
        IsReady ? "" : IsDraining ? "the agent is draining" : !ListenersBound ? "the listeners are not bound yet" : "no service is named";
}
