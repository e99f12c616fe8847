using Cheops.Agent.Mesh;
using Cheops.Proto;

namespace Cheops.Agent.Replication;

internal sealed partial class Replicator
{
    private bool _hasToldOfDisk;

    // ---- what goes on by itself --------------------------------------------------------------------------------------------

    private async Task TickAsync()
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(Bounds.HeartbeatMs), _parts.Time);
        for (var tick = 1; ; tick++)
        {
            try
            {
                if (!await timer.WaitForNextTickAsync(_closing.Token)) return;
                _parts.SiteKeys.Heard(_parts.Mesh.Sites.Where(site => !site.IsSelf).Select(site => (site.Name, site.SealingKey)));
                Mover.Tick();
                await ReplaceSilentDecidersAsync();
                foreach (var runner in LedHere) await TryRecordRemovedAsync(runner);
                if (tick % Bounds.CheckpointTicks == 0) await CheckpointAsync();
                else if (Host.IsRoomShort) await GiveRoomAsync();
                WarnOfFullDisk();
            }
            catch (OperationCanceledException) when (_closing.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is IOException or TimeoutException or OperationCanceledException)
            {
                _parts.Warn($"replication: {e.Message}");
            }
        }
    }

    // As soon as the table has all, hardly anything of the log is needed.
    private async Task GiveRoomAsync()
    {
        await CheckpointAsync();
        await Host.ReclaimAsync();
    }

    private void WarnOfFullDisk()
    {
        var problem = Host.DiskProblem;
        // Once for as long as it lasts.
        if (problem.Length > 0 && !_hasToldOfDisk) _parts.Warn($"replication: {problem}");
        _hasToldOfDisk = problem.Length > 0;
    }

    private IEnumerable<GroupRunner> LedHere => Groups.Where(runner => runner.Group!.Status.Leader == _parts.Site || runner.Group.Status.Leader is null);

    private async Task ReplaceSilentDecidersAsync()
    {
        var silent = new List<string>();
        foreach (var site in _parts.Mesh.Sites)
        {
            if (site.IsSelf || site.State is SiteState.Up or SiteState.Draining) _silentTicks[site.Name] = 0;
            else if (_silentTicks.AddOrUpdate(site.Name, 1, static (_, ticks) => ticks + 1) * Bounds.HeartbeatMs >= Bounds.DeciderSilentMaxMs) silent.Add(site.Name);
        }

        foreach (var runner in LedHere)
        {
            var now = runner.Founding.Sites.FirstOrDefault(site => site == _parts.Site) ?? runner.Founding.Sites.FirstOrDefault(site => !silent.Contains(site));
            foreach (var gone in silent.Where(runner.Founding.Sites.Contains))
            {
                if (now is not null && runner.Look(state => state.UndecidedAt(gone).Any())) await runner.ReplaceDeciderAsync(gone, now);
            }
        }
    }

    /// <summary>Makes the table durable, so that the log before it can go.</summary>
    public async Task CheckpointAsync()
    {
        await _checkpointing.WaitAsync();
        try
        {
            // Also of groups that cannot be used yet, or are not known again: else a start would ask for what their logs have let go of.
            var from = Runners.ToDictionary(runner => runner, runner => runner.ReplayFromNow());
            if (from.All(pair => pair.Key.ReplayFrom == pair.Value)) return;
            var unknown = _replayFrom.Where(pair => !_runners.ContainsKey(pair.Key)).Select(pair => (pair.Key, pair.Value));
            await _parts.Table.CheckpointAsync(CheckpointMark.Write(from.Select(pair => (pair.Key.Founding.Id, pair.Value)).Concat(unknown)), _closing.Token);
            foreach (var (runner, index) in from) runner.Checkpointed(index);
            _parts.Contents.Sweep(TimeSpan.FromHours(1));
        }
        finally
        {
            _checkpointing.Release();
        }
    }
}
