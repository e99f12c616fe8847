using Cheops.Agent.Interception;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Collaboration;

/// <summary>A service's instance at this site.</summary>
/// <param name="Name">The service's name.</param>
/// <param name="Profile">What Cheops knows of its API.</param>
/// <param name="Pool">Connections to it.</param>
internal sealed record LocalService(string Name, ServiceProfile Profile, UpstreamPool Pool)
{
    /// <summary>What it did, as a client sees it.</summary>
    public InterceptionCounters Counters { get; } = new();
}
