using System.Buffers;
using Cheops.Proto;
using Cheops.Proto.Problems;

namespace Cheops.Agent.Interception;

// Deadlines, the client's presence, and who may end a connection that waits.
public sealed partial class Exchange
{
    // While a request is awaited, whoever comes first has the connection: the request that arrives, or the time or a drain
    // that ends it. What has been ended carries nothing out any more, or it would be executed and never answered.
    private const int Waiting = 0, Taken = 1, Ending = 2;

    private int _turn = Taken;
    private TaskCompletionSource? _ended;
    private volatile Phase _phase;
    private volatile bool _aborted;

    /// <summary>Whether nothing of the next request has come.</summary>
    internal bool IsIdle => _phase == Phase.Idle;

    /// <summary>Whether the time or a drain has ended the connection while a request was awaited.</summary>
    internal bool IsEnded => Volatile.Read(ref _turn) == Ending;

    /// <summary>Whether the connection was ended for a head that did not arrive in time; <see cref="Failure"/> tells.</summary>
    internal bool HeadWasLate { get; private set; }

    /// <summary>From now on the connection may be ended, until <see cref="TryTake"/>.</summary>
    internal void AwaitRequest()
    {
        Arm(Phase.Idle, Bounds.IdleTimeMaxMs);
        Interlocked.Exchange(ref _turn, Waiting);
    }

    /// <summary>Takes the connection back: neither the time nor a drain ends it any more.</summary>
    /// <returns>False when it was ended before.</returns>
    internal bool TryTake() => Interlocked.CompareExchange(ref _turn, Taken, Waiting) != Ending;

    /// <summary>Completes when what has ended the connection, so that <see cref="TryTake"/> failed, has said so to the client.</summary>
    internal Task EndedAsync() => _ended!.Task;

    /// <summary>Ends the connection, unless a request has taken it.</summary>
    internal void EndIdle() => _ = EndWaitingAsync(null);

    // Says why, ends our direction, and gives the client a moment to read it before the connection is reset. Runs beside the
    // owner, who may still be reading a head: the request is left alone, and nobody else writes.
    private async Task EndWaitingAsync(Problem? problem)
    {
        // Both the time and a drain may try: whoever loses leaves the other's.
        Interlocked.CompareExchange(ref _ended, new TaskCompletionSource(), null);
        if (Interlocked.CompareExchange(ref _turn, Ending, Waiting) != Waiting) return;
        try
        {
            if (problem is not null) WriteLateHead(problem);
            Arm(Phase.Linger, Bounds.LingerStallTimeMaxMs);
            await _channel.CompleteOutputAsync();
        }
        catch (IOException)
        {
            _channel.Abort();
        }
        finally
        {
            _ended.SetResult();
        }
    }

    private void WriteLateHead(Problem problem)
    {
        // What the answer before it had is not this one's.
        ResponseEdits.Clear();
        _closeAfter = true;
        Failure = Placed(problem);
        HeadWasLate = true;
        var body = Failure.ToJson().Span;
        WriteProblemHead(Failure, body.Length);
        Output.Write(body);
    }

    /// <summary>Forgets a head of which only a part came.</summary>
    internal void ForgetHead()
    {
        Request.Reset();
        _rootedTarget = [];
        _targetStart = 0;
    }

    // ---- deadlines ----------------------------------------------------------------------------------------------

    internal void Arm(Phase phase, int ms)
    {
        _phase = phase;
        _deadline.Arm(ms);
    }

    internal void Disarm() => _deadline.Disarm();

    /// <summary>From now on the next piece of the request's body is waited for. What another agent sends on, that one has bounded.</summary>
    internal void ArmBody() => Arm(Phase.Body, RequestBody.PatienceMs);

    private void OnDeadline()
    {
        var phase = _phase;
        switch (phase)
        {
            case Phase.Idle or Phase.Head when IsEnded:
                // It was ended while the owner was about to give it more time.
                AbortClient();
                break;
            case Phase.Idle:
                EndIdle();
                break;
            case Phase.Head:
                _ = EndWaitingAsync(Problems.HeadTimeout());
                break;
            case Phase.Serve:
                // The time of what is over had passed, just when the next began.
                break;
            case Phase.Answer:
                AnswerLate = true;
                _upstream?.Abort();
                break;
            case Phase.Linger:
                _counters.ClientStalled();
                AbortClient();
                break;
            case Phase.Tunnel:
                Fail(Problems.TunnelIdle());
                break;
            default:
                _counters.ClientStalled();
                Fail(phase == Phase.Body ? Problems.BodyStalled() : Problems.ReaderStalled());
                break;
        }
    }

    // ---- the client's presence ----------------------------------------------------------------------------------

    /// <summary>From now on, a client that goes away aborts what <paramref name="upstream"/> does.</summary>
    internal void Attach(UpstreamConnection? upstream)
    {
        _upstream = upstream;
        if (upstream is not null && ClientGone) upstream.Abort();
    }

    /// <summary>Begins to watch for the client going away, once its whole request is read and let go of.</summary>
    internal void WatchClient()
    {
        if (RequestBody.IsReleased && !ClientGone) Input.Post();
    }

    private void OnEarlyInput()
    {
        if (Input.IsGone) NoteClientGone();
    }

    internal void NoteClientGone()
    {
        ClientGone = true;
        _closeAfter = true;
        _upstream?.Abort();
        OnClientGone?.Invoke();
    }

    /// <summary>Ends our direction towards the client, in an orderly way.</summary>
    internal ValueTask EndOutputAsync()
    {
        _closeAfter = true;
        return _channel.CompleteOutputAsync();
    }

    /// <summary>Resets the client's connection: what it has got so far is seen to be incomplete.</summary>
    public void AbortClient()
    {
        _aborted = true;
        _closeAfter = true;
        _channel.Abort();
        NoteClientGone();
    }
}
