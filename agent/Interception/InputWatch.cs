using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;

namespace Cheops.Agent.Interception;

/// <summary>
/// Reads ahead on a channel's input without consuming: how a client that goes away while its request is carried out,
/// or a service that closes an idle connection, is noticed at once. The read that was posted serves the next
/// <see cref="ReadAsync"/>, so watching costs nothing on a connection that goes on.
/// </summary>
internal sealed class InputWatch : IValueTaskSource<ReadResult>
{
    private enum State
    {
        Idle,
        Posted,
        Claimed,
        Ready,
    }

    private readonly PipeReader _input;
    private readonly Action _completed;
    private readonly Lock _gate = new();
    private ManualResetValueTaskSourceCore<ReadResult> _source;
    private ValueTaskAwaiter<ReadResult> _posted;
    private State _state;
    private ReadResult _result;
    private Exception? _error;

    /// <summary>Watches <paramref name="input"/>.</summary>
    public InputWatch(PipeReader input)
    {
        _input = input;
        _completed = OnCompleted;
    }

    /// <summary>Called when a posted read completes before anybody asked for it, inline.</summary>
    public Action? Early { get; set; }

    /// <summary>Whether a posted read has found the peer gone: an error, or an end with nothing before it.</summary>
    public bool IsGone => _state == State.Ready && (_error is not null || (_result.IsCompleted && _result.Buffer.IsEmpty));

    /// <summary>Whether a posted read has completed and was not taken.</summary>
    public bool IsReady => _state == State.Ready;

    /// <summary>Posts a read, unless one is posted.</summary>
    [SuppressMessage("Reliability", "CA2012", Justification = "The awaiter is kept until its one completion, and its result taken once.")]
    public void Post()
    {
        // Both who pumps the request and who relays the answer may be the first to see that the request is read.
        if (Interlocked.CompareExchange(ref _state, State.Posted, State.Idle) != State.Idle) return;
        _posted = _input.ReadAsync().GetAwaiter();
        if (_posted.IsCompleted) OnCompleted();
        else _posted.UnsafeOnCompleted(_completed);
    }

    private void OnCompleted()
    {
        try
        {
            _result = _posted.GetResult();
            _error = null;
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            _error = e;
        }

        bool claimed;
        lock (_gate)
        {
            claimed = _state == State.Claimed;
            if (!claimed) _state = State.Ready;
        }

        if (!claimed) Early?.Invoke();
        else if (_error is not null) _source.SetException(_error);
        else _source.SetResult(_result);
    }

    /// <summary>Reads: the posted read's result, or a read of its own.</summary>
    public ValueTask<ReadResult> ReadAsync()
    {
        if (_state == State.Idle) return _input.ReadAsync();
        lock (_gate)
        {
            if (_state == State.Posted)
            {
                _source.Reset();
                _state = State.Claimed;
                return new ValueTask<ReadResult>(this, _source.Version);
            }
        }

        _state = State.Idle;
        return _error is { } error ? ValueTask.FromException<ReadResult>(error) : new ValueTask<ReadResult>(_result);
    }

    /// <summary>Consumes from the start of what was read last.</summary>
    public void AdvanceTo(SequencePosition consumed) => _input.AdvanceTo(consumed);

    /// <summary>Consumes, and says what was looked at.</summary>
    public void AdvanceTo(SequencePosition consumed, SequencePosition examined) => _input.AdvanceTo(consumed, examined);

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
    {
        _state = State.Idle;
        return _source.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}
