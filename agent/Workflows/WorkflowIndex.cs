using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;

namespace Cheops.Agent.Workflows;

/// <summary>
/// Workflows by every id they are known by. Reading takes no lock; writing is the table's, under its lock. One id may
/// stand for several workflows, since clients choose some.
/// </summary>
internal sealed class WorkflowIndex
{
    private readonly ConcurrentDictionary<UInt128, Workflow> _byId = new();
    private readonly ConcurrentDictionary<UInt128, Workflow[]> _byTrace = new();
    private readonly ConcurrentDictionary<string, Workflow[]> _byAlias = new();

    public Workflow? Find(WorkflowId id) => _byId.GetValueOrDefault(id.Value);

    public Workflow[]? FindTrace(UInt128 trace) => _byTrace.GetValueOrDefault(trace);

    public Workflow[]? FindAlias(ReadOnlySpan<byte> alias)
    {
        if (_byAlias.IsEmpty)
            return null;
        Span<char> text = stackalloc char[alias.Length];
        Encoding.Latin1.GetChars(alias, text);
        return _byAlias.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(text, out var workflows) ? workflows : null;
    }

    public void Add(Workflow workflow)
    {
        _byId[workflow.Id.Value] = workflow;
        Add(_byTrace, workflow.TraceId, workflow);
    }

    public void AddAlias(Workflow workflow, string alias)
    {
        workflow.Aliases = workflow.Aliases.Add(alias);
        Add(_byAlias, alias, workflow);
    }

    public void Remove(Workflow workflow)
    {
        _byId.TryRemove(workflow.Id.Value, out _);
        Remove(_byTrace, workflow.TraceId, workflow);
        foreach (var alias in workflow.Aliases)
            Remove(_byAlias, alias, workflow);
    }

    private static void Add<TKey>(ConcurrentDictionary<TKey, Workflow[]> index, TKey key, Workflow workflow) where TKey : notnull =>
        index[key] = index.TryGetValue(key, out var others) ? [.. others, workflow] : workflow.Alone;

    private static void Remove<TKey>(ConcurrentDictionary<TKey, Workflow[]> index, TKey key, Workflow workflow) where TKey : notnull
    {
        if (!index.TryGetValue(key, out var all))
            return;
        Workflow[] others = [.. all.Where(other => other != workflow)];
        if (others.Length == 0)
            index.TryRemove(key, out _);
        else
            index[key] = others;
    }
}
