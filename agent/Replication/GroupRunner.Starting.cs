using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

internal sealed partial class GroupRunner
{
    // ---- after a start: what the log held beyond what was known as committed -----------------------------------------------

    private readonly TaskCompletionSource _replay = NewSignal();
    private readonly Dictionary<OperationId, ReplicantKey> _seenCreates = [];

    // Open until all is known: a request that comes at any moment of the start must not take "not yet asked" for "nothing to ask".
    private readonly TaskCompletionSource _settled = NewSignal();
    private volatile string? _behind;

    /// <summary>Completes when all is applied that was known as committed at the start.</summary>
    public Task Replay => _replay.Task;

    /// <inheritdoc/>
    public ValueTask SeenAsync(ReadOnlyMemory<byte> entry)
    {
        lock (_gate)
        {
            if (IsSite) See(GroupEntry.Decode(entry.ToArray()));
        }

        return default;
    }

    private void See(GroupEntry? entry)
    {
        switch (entry)
        {
            case ProposedEntry { Operation: { Kind: OperationKind.Create } create }:
                _seenCreates[create.Id] = create.Replicant;
                break;
            case OpeningEntry { Record: { } record } opening:
                foreach (var copy in opening.Copies.Where(copy => copy.Kind == OperationKind.Create)) _seenCreates[copy.Id] = record.Key;
                _seenCreates[opening.Move] = record.Key;
                _parts.Replicants.Expect(Founding.Id, record.Key, record.LocalIds.GetValueOrDefault(_parts.Site) ?? "");
                break;
            case OutcomeEntry { Decision: Decision.Accepted } outcome:
                Expect(outcome.Id, outcome.MetaId, outcome.Site, outcome.Answer.LocalId);
                break;
            case AppliedEntry { Result: SiteResult.Applied } applied:
                Expect(applied.Id, "", applied.Site, applied.Answer.LocalId);
                break;
            case AppliedManyEntry many:
                foreach (var (id, answer) in many.Applied) Expect(id, "", many.Site, answer.LocalId);
                break;
            case ResolvedEntry { How: Resolve.Done } done:
                Expect(done.Id, done.MetaId, done.Site, done.LocalId);
                break;
        }
    }

    // The replicant may be there by these names; what is in the table already is found by them anyway.
    private void Expect(OperationId id, string metaId, string site, string localId)
    {
        if (!_seenCreates.TryGetValue(id, out var key))
        {
            if (!_state.TryFind(id, out var state) || state.Kind != OperationKind.Create) return;
            key = state.Key;
        }

        if (key.MetaId.Length == 0) key = key with { MetaId = metaId };
        if (key.MetaId.Length == 0) return;
        _seenCreates[id] = key;
        _parts.Replicants.Expect(Founding.Id, key, site == _parts.Site ? localId : "");
    }

    private void BeginToSettle()
    {
        var isSettled = _seenCreates.Count == 0;
        _seenCreates.Clear();
        if (isSettled) _settled.TrySetResult();
        _replay.TrySetResult();
        if (!isSettled) _ = SettleAsync();
    }

    private async Task SettleAsync()
    {
        try
        {
            await CaughtUpAsync();
        }
        catch (Exception) when (_parts.Closing.IsCancellationRequested)
        {
            return;
        }

        _parts.Replicants.ExpectNoMore(Founding.Id);
        _settled.TrySetResult();
    }

    /// <summary>Waits until it is known which entries that the log held at the start are committed.</summary>
    /// <param name="bound">How long.</param>
    /// <returns>Null when it is known; else why it is not.</returns>
    /// <exception cref="OperationCanceledException">The agent ends.</exception>
    public async Task<string?> WhyUnsettledAsync(TimeSpan bound)
    {
        if (_settled.Task.IsCompleted) return null;
        if (_behind is { } why) return why;
        try
        {
            await _settled.Task.OrCancelled(bound, _parts.Time, _parts.Closing);
            return null;
        }
        catch (TimeoutException)
        {
            return _behind ?? $"{string.Join(" & ", Founding.Sites)} have not agreed yet since this agent started";
        }
    }
}
