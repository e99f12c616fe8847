using System.Diagnostics.CodeAnalysis;
using Cheops.Raft.Consensus;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;

namespace Cheops.Raft;

/// <summary>
/// Gives a group's machine what is committed, in order, one entry after the other. Runs only while there is something to
/// give: a group that is idle has no task.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "A semaphore without a wait handle holds nothing to dispose of.")]
internal sealed class Applier : IApplied
{
    private readonly GroupLog _log;
    private readonly IGroupMachine _machine;
    private readonly TimeProvider _time;
    private readonly CancellationToken _closing;
    private readonly long _replayUntil;
    private readonly long _seenUntil;

    // Held while the machine is used.
    private readonly SemaphoreSlim _use = new(1, 1);
    private readonly Lock _gate = new();
    private readonly PriorityQueue<TaskCompletionSource, long> _waiters = new();
    private long _index;
    private bool _isRunning;
    private bool _isReplayed;

    /// <summary>Makes one that has given nothing yet.</summary>
    /// <param name="log">What is committed; everything that is at this moment is replayed.</param>
    /// <param name="machine">What it is given to.</param>
    /// <param name="time">The clock of the pauses after a failure.</param>
    /// <param name="closing">Ends it.</param>
    public Applier(GroupLog log, IGroupMachine machine, TimeProvider time, CancellationToken closing)
    {
        (_log, _machine, _time, _closing) = (log, machine, time, closing);
        _index = machine.ReplayFrom - 1;
        (_replayUntil, _seenUntil) = (log.CommitIndex, log.LastIndex);
    }

    /// <summary>Whether the machine holds only a part of what the sites' machines do, as a witness's does: it has no snapshot to give.</summary>
    public bool IsPartial { get; init; }

    /// <summary>Told, in the order of the log, of changes of the members' incarnations.</summary>
    public Func<long, FoundingRecord, ValueTask>? RosterChanged { get; set; }

    /// <summary>What keeps the machine from taking an entry; empty when nothing does.</summary>
    public string Problem { get; private set; } = "";

    /// <inheritdoc/>
    public long Index => Volatile.Read(ref _index);

    /// <summary>Index from which on the machine needs the log.</summary>
    public long NeededFrom => Math.Min(_machine.ReplayFrom, Index + 1);

    /// <inheritdoc/>
    public Task WaitAsync(long index)
    {
        lock (_gate)
        {
            if (index <= _index) return Task.CompletedTask;
            if (_closing.IsCancellationRequested)
                return Task.FromException(new GroupException(GroupError.Unknown, "the host of the groups is closing", false));
            var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Enqueue(waiter, index);
            return waiter.Task;
        }
    }

    /// <summary>What the machine may have done for entries up to here is not known any more.</summary>
    public void Forgot(long until) => _machine.Forgot(until);

    /// <summary>There may be something to give.</summary>
    public void Signal()
    {
        lock (_gate)
        {
            if (_isRunning || _closing.IsCancellationRequested || (_isReplayed && _index >= _log.CommitIndex)) return;
            _isRunning = true;
        }

        _ = Task.Run(RunAsync, CancellationToken.None);
    }

    /// <summary>Nothing is given any more: whoever waits is told that it is not known what comes of it.</summary>
    public void Abandon()
    {
        lock (_gate)
        {
            var closed = new GroupException(GroupError.Unknown, "the host of the groups is closing", false);
            while (_waiters.TryDequeue(out var waiter, out _)) waiter.TrySetException(closed);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<MachineCapture?> CaptureAsync(CancellationToken cancellation)
    {
        if (IsPartial) return null;
        await _use.WaitAsync(cancellation);
        try
        {
            return await MachineCapture.BeginAsync(_machine, Index, cancellation);
        }
        finally
        {
            _use.Release();
        }
    }

    /// <summary>Replaces the machine by a snapshot, then everything in the log up to it.</summary>
    /// <returns>Whether it was replaced; not when it is further already.</returns>
    public async ValueTask<bool> RestoreAsync(
        long index, long term, IAsyncEnumerable<ReadOnlyMemory<byte>> pieces, CancellationToken cancellation)
    {
        await _use.WaitAsync(cancellation);
        try
        {
            if (index <= Index) return false;
            await _log.RecordRestoringAsync(index, term);
            await _machine.RestoreAsync(index, pieces, cancellation);
            await _log.ReplaceAsync(index, term);
            Advance(index);
            return true;
        }
        finally
        {
            _use.Release();
        }
    }

    private async Task RunAsync()
    {
        for (var pause = TimeSpan.FromMilliseconds(10); ;)
        {
            try
            {
                if (!await StepAsync()) return;
                (Problem, pause) = ("", TimeSpan.FromMilliseconds(10));
            }
            catch (OperationCanceledException) when (_closing.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // Whatever it is, the entry is committed: it has to be taken, sooner or later.
            catch (Exception e)
#pragma warning restore CA1031
            {
                Problem = $"the entry after {Index} is not applied: {e.Message}";
                await Task.Delay(pause, _time, _closing).ContinueWith(static _ => { }, TaskScheduler.Default);
                pause = pause < TimeSpan.FromSeconds(1) ? pause * 2 : pause;
                if (_closing.IsCancellationRequested) return;
            }
        }
    }

    private async ValueTask<bool> StepAsync()
    {
        await _use.WaitAsync(_closing);
        try
        {
            if (!_isReplayed && Index >= _replayUntil)
            {
                await TellSeenAsync();
                await _machine.ReplayedAsync(_seenUntil);
                _isReplayed = true;
            }

            var next = Index + 1;
            if (next > _log.CommitIndex) return !TryStop();
            var entry = await _log.ReadAsync(next, _closing);
            if (entry.Kind == EntryKind.Proposed) await _machine.ApplyAsync(next, entry.Data, next <= _replayUntil);
            else if (entry.Kind == EntryKind.Roster && RosterChanged is { } changed) await changed(next, FoundingRecord.Read(entry.Data.Span)!);
            Advance(next);
            return true;
        }
        finally
        {
            _use.Release();
        }
    }

    // A leader may shorten the log meanwhile.
    private async ValueTask TellSeenAsync()
    {
        for (var index = Index + 1; index <= Math.Min(_seenUntil, _log.LastIndex); index++)
        {
            var entry = await _log.ReadAsync(index, _closing);
            if (entry.Kind == EntryKind.Proposed) await _machine.SeenAsync(entry.Data);
        }
    }

    private bool TryStop()
    {
        lock (_gate)
        {
            if (_index < _log.CommitIndex) return false;
            _isRunning = false;
            return true;
        }
    }

    private void Advance(long index)
    {
        lock (_gate)
        {
            _index = index;
            while (_waiters.TryPeek(out _, out var awaited) && awaited <= index) _waiters.Dequeue().TrySetResult();
        }
    }
}
