using Cheops.Proto.Operations;
using Cheops.Tests.Simulation.Checkers;
using Cheops.Tests.Simulation.Linearizability;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>What is seen of a world from outside while it runs: its groups' logs, and who could send to whom.</summary>
internal sealed partial class World
{
    private readonly Dictionary<GroupId, LogHistory> _logs = [];
    private readonly Dictionary<string, string> _operations = new(StringComparer.Ordinal);

    /// <summary>Ticks of 100 ns since the world began.</summary>
    public long Now => _scheduler.Now;

    /// <summary>Who could send to whom: what sites tell of each other is held against it.</summary>
    public Reachability Reachability { get; } = new();

    /// <summary>What all sites see of a group's log.</summary>
    public LogHistory LogOf(GroupId group)
    {
        if (!_logs.TryGetValue(group, out var log)) _logs.Add(group, log = new LogHistory());
        return log;
    }

    /// <summary>The group of that name; null when nothing was seen of its log yet.</summary>
    public GroupId? GroupNamed(string text) => _logs.Keys.Where(group => group.ToString() == text).Select(group => (GroupId?)group).FirstOrDefault();

    /// <summary>The name in the history of an operation of a group's log; null for one that has none.</summary>
    public string? OperationNamed(string id) => _operations.GetValueOrDefault(id);

    /// <summary>An entry is proposed: an operation in it has a name in the history.</summary>
    public void OnProposed(ReadOnlyMemory<byte> entry)
    {
        if (GroupEntry.Decode(entry) is ProposedEntry { Operation: var operation } && GroupLogs.NameOf(operation) is { } name) _operations[operation.Id.ToString()] = name;
    }

    private IEnumerable<Violation> JudgeLogs() =>
        _logs.SelectMany(log => LogJudge.Judge(log.Value).Select(wrong => new Violation("one log", $"group {log.Key}: {wrong}")));
}
