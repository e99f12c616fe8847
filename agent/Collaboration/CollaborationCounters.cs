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
    private readonly long[] _durations = new long[InterceptionCounters.DurationBounds.Length + 1];
    private readonly long[] _outcomes = new long[Enum.GetValues<AttemptKind>().Length];
    private long _durationTicks;

    public double DurationSum => Interlocked.Read(ref _durationTicks) / (double)TimeSpan.TicksPerSecond;

    public long Durations(int bucket) => Interlocked.Read(ref _durations[bucket]);

    public long Outcomes(AttemptKind kind) => Interlocked.Read(ref _outcomes[(int)kind]);

    public long Begin() => time.GetTimestamp();

    public void End(long begun, AttemptKind kind)
    {
        var duration = time.GetElapsedTime(begun);
        var seconds = duration.TotalSeconds;
        var bucket = 0;
        while (bucket < InterceptionCounters.DurationBounds.Length && seconds > InterceptionCounters.DurationBounds[bucket]) bucket++;
        Interlocked.Increment(ref _durations[bucket]);
        Interlocked.Add(ref _durationTicks, duration.Ticks);
        Interlocked.Increment(ref _outcomes[(int)kind]);
    }
}
