using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>What somebody at the site's machine sees: what the agent's API tells, how far its logs are.</summary>
internal sealed partial class Site
{
    /// <summary>What the agent's API answers at this moment; null when it is not there, not ready, or stands still. It takes no time, and no chance.</summary>
    public JsonDocument? LookAt(string target)
    {
        if (_agent is not { Replicator: not null, Api: not null } agent || agent.Life.IsStill) return null;
        var answered = agent.Life.Make(() => agent.Looks.AnswerAsync(HttpMethod.Get, Encoding.ASCII.GetBytes(target), isLocal: true).AsTask());
        return answered is { IsCompletedSuccessfully: true, Result.Status: 200 } ? JsonDocument.Parse(answered.Result.Body) : throw new InvalidOperationException($"{target} was not answered at once");
    }

    /// <summary>How far this run's machine has taken in a group's log.</summary>
    public long TakenOf(GroupId group) => _agent!.LogOf(group).Until;

    /// <summary>Waits until all that is committed in one of the groups here was taken in, and reads how far that is; in vain when it is not reached.</summary>
    public async Task ReadLogAsync(int which)
    {
        if (_agent?.Groups is not { Groups: { IsEmpty: false } groups }) return;
        try
        {
            await groups[which % groups.Length].BarrierAsync();
        }
        catch (GroupException)
        {
            // Nobody was told anything.
        }
    }

    private sealed partial class Agent : IAgentStatus
    {
        private readonly Dictionary<GroupId, SiteLog> _logs = [];
        private AgentApi? _looks;
        private SiteGroups? _siteGroups;

        public SiteGroups? Groups => _siteGroups;

        public AgentApi Looks => _looks ??= new AgentApi(this, Clock, TimeSpan.FromMilliseconds(Bounds.HeartbeatMs * (Bounds.HeartbeatsMissedMax + 1)), Api!);

        public SiteLog LogOf(GroupId group)
        {
            if (!_logs.TryGetValue(group, out var log)) _logs.Add(group, log = new SiteLog(_world, _site.Name, _world.LogOf(group)));
            return log;
        }

        string IAgentStatus.Site => _site.Name;

        Readiness IAgentStatus.Readiness => new(true, [World.Service], IsStopping);

        ImmutableArray<SiteStatus> IAgentStatus.Sites => _mesh!.SitesNow;

        ScopeExplanation IAgentStatus.Explain(string scope, string service) => ScopeExplanation.Explain(
            scope, service, new Planner(_site.Name, [World.Service], EmptyReplicantIndex.Instance), _mesh!.SitesNow, Clock.GetUtcNow());

        void IAgentStatus.WriteMetrics(MetricsWriter metrics)
        {
            // Nothing is counted.
        }
    }
}
