using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>
/// Tells a group what this site has carried out, the operations of a moment in one entry: nobody waits for it, and each
/// entry costs every member a record and a share of a sync.
/// </summary>
/// <param name="site">This site.</param>
/// <param name="propose">Proposes an entry, again until it is recorded.</param>
/// <param name="time">The clock.</param>
internal sealed class AppliedReports(string site, Func<AppliedManyEntry, Task> propose, TimeProvider time)
{
    private readonly Lock _gate = new();
    private List<(OperationId, ServiceResult)> _gathered = [];
    private Task? _next;

    /// <summary>Reports an operation that was carried out; completes when it is recorded.</summary>
    public Task AddAsync(OperationId id, ServiceResult answer)
    {
        lock (_gate)
        {
            _gathered.Add((id, answer));
            return _next ??= GatherAsync();
        }
    }

    private async Task GatherAsync()
    {
        // What comes after must not run before this is the next: on a busy machine the time may be over at once.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.ContinueOnCapturedContext);
        await Task.Delay(TimeSpan.FromMilliseconds(Bounds.AppliedGatherMs), time);
        List<(OperationId, ServiceResult)> gathered;
        lock (_gate) (gathered, _gathered, _next) = (_gathered, [], null);
        await Task.WhenAll(gathered.Chunk(Bounds.AppliedManyMax).Select(some => propose(new AppliedManyEntry(site, [.. some]))));
    }
}
