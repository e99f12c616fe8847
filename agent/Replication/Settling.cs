using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>
/// After a start the table may not know yet what it knew before: 1. what was known as committed since its last checkpoint is
/// applied again; 2. what the logs hold beyond that may be committed, which only a majority of the group tells. Until then what
/// may name such a replicant waits, within a bound; nothing else does.
/// </summary>
internal sealed class Settling(Replicants replicants, Func<GroupId, GroupRunner?> find, TimeProvider time, CancellationToken closing)
{
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(Bounds.SettleTimeMaxMs);

    private Task _replayed = Task.CompletedTask;

    /// <summary>Begins with the groups that were there before the start.</summary>
    public void Begin(IEnumerable<GroupRunner> runners)
    {
        var replays = runners.Select(runner => runner.Replay).Where(replay => !replay.IsCompleted).ToArray();
        if (replays.Length == 0) return;
        replicants.IsReplaying = true;
        _replayed = ReplayAsync(replays);
    }

    private async Task ReplayAsync(Task[] replays)
    {
        foreach (var replay in replays) await replay;
        replicants.IsReplaying = false;
    }

    /// <summary>Waits until it is known whether a path names a replicant.</summary>
    /// <param name="service">The service.</param>
    /// <param name="path">The path as it came.</param>
    /// <param name="isRead">Whether the request only reads: a site that is cut off goes on serving what it has.</param>
    /// <returns>Null when the request may go on; else why it is not known, for a person.</returns>
    public async Task<string?> WaitAsync(string service, ReadOnlyMemory<byte> path, bool isRead)
    {
        try
        {
            await _replayed.OrCancelled(Bound, time, closing);
            if (replicants.ExpectedAt(service, path.Span) is not { } group || find(group) is not { } runner) return null;
            var why = await runner.WhyUnsettledAsync(Bound);
            return isRead || why is null ? null : $"what was created just before this agent started is not known as agreed on yet: {why}";
        }
        catch (TimeoutException)
        {
            return "what was agreed on before this agent started is still being taken in";
        }
        catch (OperationCanceledException)
        {
            return "the agent ends";
        }
    }
}
