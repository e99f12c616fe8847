using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Replication.State;
using Cheops.Proto.Operations;
using Cheops.Raft.Simulated;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>A move that is over.</summary>
/// <param name="Key">The replicant.</param>
/// <param name="From">Its sites before.</param>
/// <param name="To">Its sites after.</param>
/// <param name="DeletesReplica">Whether a site that it leaves deletes its replica.</param>
/// <param name="Number">Which move of the replicant it is.</param>
internal sealed record MoveOver(ReplicantKey Key, ImmutableArray<string> From, ImmutableArray<string> To, bool DeletesReplica, int Number);

/// <summary>A group's log.</summary>
/// <param name="Sites">The group's sites.</param>
/// <param name="Entries">Its entries, from place 1; null for what is none.</param>
internal sealed record GroupLog(ImmutableArray<string> Sites, IEnumerable<GroupEntry?> Entries)
{
    /// <summary>The logs of all groups.</summary>
    public static IEnumerable<GroupLog> Of(SimulatedGroups groups) => groups.All.Select(group =>
        new GroupLog(group.Founding.Sites, Enumerable.Range(1, (int)group.LastIndex).Select(index => group[index] is { } bytes ? GroupEntry.Decode(bytes) : null)));
}

/// <summary>
/// What the groups' logs say when all is over: which operations were accepted, each in which group, and where replicants have
/// moved. They are read as one who is none of the sites reads them.
/// </summary>
internal sealed class GroupLogs
{
    private readonly Dictionary<string, List<ImmutableArray<string>>> _accepted = new(StringComparer.Ordinal);
    private readonly List<(OperationId Id, MoveOver Move)> _over = [];
    private readonly Dictionary<OperationId, int> _numbers = [];

    /// <summary>Reads all of them.</summary>
    public GroupLogs(IEnumerable<GroupLog> logs)
    {
        foreach (var log in logs) Read(log);
    }

    /// <summary>The moves that are over, in the order of each replicant's.</summary>
    public IEnumerable<MoveOver> Moves => _over.Select(one => one.Move with { Number = _numbers.GetValueOrDefault(one.Id) }).OrderBy(move => move.Number);

    /// <summary>The sites of each group that has accepted an operation.</summary>
    public IReadOnlyList<ImmutableArray<string>> AcceptedBy(string operation) => _accepted.TryGetValue(operation, out var groups) ? groups : [];

    /// <summary>The name by which a client asked for an operation; null for what no client did.</summary>
    public static string? NameOf(Operation operation) => Encoding.Latin1.GetString(operation.Fields.Span).Split("\r\n")
        .FirstOrDefault(line => line.StartsWith("X-Operation: ", StringComparison.OrdinalIgnoreCase))?["X-Operation: ".Length..];

    private void Read(GroupLog log)
    {
        var state = new GroupState("", log.Sites);
        var names = new Dictionary<OperationId, string>();
        var effects = new List<Effect>();
        var index = 0L;
        foreach (var one in log.Entries)
        {
            index++;
            if (one is not { } entry) continue;
            if (entry is ProposedEntry { Operation: { } asked } && NameOf(asked) is { } name) names[asked.Id] = name;
            if (entry is OpeningEntry { Record: { } record } opening) _numbers[opening.Move] = record.Moves;
            if (entry is MovedEntry { OpenedAt: > 0 } moved && state.MoveOf(moved.Key) is { } move && move.Id == moved.Move)
                _over.Add((move.Id, new MoveOver(move.Key, move.From, move.To, move.Closing.DeletesReplica, 0)));
            effects.Clear();
            state.Apply(index, entry, effects);
            foreach (var decided in effects.OfType<Decided>().Where(one => one.Operation.Decision == Decision.Accepted)) Note(names, decided.Operation.Id, log.Sites);
        }
    }

    private void Note(Dictionary<OperationId, string> names, OperationId id, ImmutableArray<string> sites)
    {
        if (!names.TryGetValue(id, out var name)) return;
        if (!_accepted.TryGetValue(name, out var groups)) _accepted[name] = groups = [];
        groups.Add(sites);
    }
}
