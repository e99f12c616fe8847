using System.Collections.Concurrent;
using Cheops.Agent.Interception;
using Cheops.Agent.Planning;

namespace Cheops.Agent.Collaboration;

/// <summary>What became of the plans of clients' requests.</summary>
internal enum PlanFate
{
    /// <summary>Carried out at this site.</summary>
    Here,
    /// <summary>Carried out at another.</summary>
    There,
    /// <summary>At the first of several that worked.</summary>
    First,
    /// <summary>As an operation at all of several.</summary>
    Replicated,
    /// <summary>The scope could not be planned.</summary>
    Refused,
    /// <summary>It asked for an operator that is not built.</summary>
    NotBuilt,
}

/// <summary>What collaboration did, for metrics.</summary>
/// <param name="time">The clock.</param>
internal sealed class CollaborationCounters(TimeProvider time)
{
    private readonly long[] _plans = new long[Enum.GetValues<PlanFate>().Length];
    private readonly ConcurrentDictionary<(string Service, string Peer), SendingCounters> _sendings = new();

    public long Plans(PlanFate fate) => Interlocked.Read(ref _plans[(int)fate]);

    public void Planned(PlanFate fate) => Interlocked.Increment(ref _plans[(int)fate]);

    public static PlanFate FateOf(Plan plan) => plan switch
    {
        SitePlan { IsLocal: true } => PlanFate.Here,
        SitePlan => PlanFate.There,
        AllPlan => PlanFate.Replicated,
        _ => PlanFate.First,
    };

    /// <summary>What was sent to a service: its instance here when <paramref name="peer"/> is empty, else that of another site.</summary>
    public SendingCounters Sent(string service, string peer) =>
        _sendings.TryGetValue((service, peer), out var known) ? known : _sendings.GetOrAdd((service, peer), static (_, clock) => new SendingCounters(clock), time);

    /// <summary>All that were ever sent to, in the order of their names. Bounded by the services and sites there are.</summary>
    public IEnumerable<(string Service, string Peer, SendingCounters Counters)> All =>
        _sendings.OrderBy(pair => pair.Key.Service, StringComparer.Ordinal).ThenBy(pair => pair.Key.Peer, StringComparer.Ordinal).Select(pair => (pair.Key.Service, pair.Key.Peer, pair.Value));
}

/// <summary>Requests sent to one place, and how long their answers' heads took.</summary>
internal sealed class SendingCounters(TimeProvider time)
{
    private readonly long[] _outcomes = new long[Enum.GetValues<AttemptKind>().Length];

    /// <summary>How long the answers' heads took.</summary>
    public RequestDurations Durations { get; } = new();

    public long Outcomes(AttemptKind kind) => Interlocked.Read(ref _outcomes[(int)kind]);

    public long Begin() => time.GetTimestamp();

    /// <summary>Counts one request.</summary>
    /// <param name="begun">When it was begun.</param>
    /// <param name="exchange">The request; other sites are told the scheme that it came by.</param>
    /// <param name="kind">What came of it.</param>
    /// <param name="status">The status of the answer; 0 for none.</param>
    public void End(long begun, Exchange exchange, AttemptKind kind, int status = 0)
    {
        Durations.Add(exchange.Request.Method, exchange.Origin.Scheme == "https", status, time.GetElapsedTime(begun));
        Interlocked.Increment(ref _outcomes[(int)kind]);
    }
}
