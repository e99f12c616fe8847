using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Http;

namespace Cheops.Agent.Interception;

/// <summary>What server connections share.</summary>
/// <param name="Handler">Carries requests out.</param>
/// <param name="Deadlines">Ends what takes too long.</param>
/// <param name="Counters">Counts.</param>
/// <param name="Time">The clock.</param>
/// <param name="Site">This site.</param>
/// <param name="SiteLine">The encoded <c>Cheops-Site</c> field of this site.</param>
/// <param name="Log">Told of every refused or failed request.</param>
public sealed record ServerContext(
    IExchangeHandler Handler,
    Deadlines Deadlines,
    InterceptionCounters Counters,
    TimeProvider Time,
    string Site,
    byte[] SiteLine,
    IRequestLog Log)
{
    /// <summary>Whether the agent finishes what is under way and takes nothing new.</summary>
    public Func<bool> IsDraining { get; init; } = static () => false;

    internal DateLine Date { get; } = new(Time);
}

/// <summary>Told of every request that Cheops itself refused or failed, once.</summary>
public interface IRequestLog
{
    /// <summary>A request was answered by Cheops, or through no doing of its client's not at all or not to the end: <see cref="Exchange.Failure"/> tells why.</summary>
    void Failed(Exchange exchange);

    /// <summary>An error that nobody expected.</summary>
    void Unexpected(Exchange exchange, Exception error);
}

/// <summary>
/// The agent's side of one client's connection, or of one stream from another site's agent: reads a request, has it
/// carried out, and goes on to the next.
/// </summary>
public sealed class ServerConnection
{
    private readonly Channel _channel;
    private readonly ServerContext _context;
    private readonly Exchange _exchange;
    private readonly bool _isSecure;
    private HeadParser _parser;
    private HttpRefusal _refusal;
    private bool _headBegun;
    private bool _served;
    private bool _serving;
    private long _active;
    private long _readBefore;

    /// <summary>Takes over <paramref name="channel"/>.</summary>
    public ServerConnection(Channel channel, ExchangeOrigin origin, ServerContext context)
    {
        _channel = channel;
        _context = context;
        _exchange = new Exchange(channel, origin, context);
        _isSecure = origin.Scheme == "https";
    }

    /// <summary>Whether it waits for a request of which nothing has come.</summary>
    internal bool IsIdle => _exchange.IsIdle;

    /// <summary>Whether the time or a drain has ended it while it waited.</summary>
    internal bool IsEnded => _exchange.IsEnded;

    /// <summary>Ends the connection when it next waits for a request; at once if it does.</summary>
    public void Drain()
    {
        if (IsIdle && !BringsRequest) _exchange.EndIdle();
    }

    // A stream from another site's agent was opened for a request, which is under way even when nothing of it has come.
    private bool BringsRequest => _exchange.Origin.Link is not null && !_served;

    /// <summary>Resets the connection, whatever it does.</summary>
    public void Abort()
    {
        if (_serving) _exchange.Fail(Problems.AgentEnds());
        else _exchange.AbortClient();
    }

    /// <summary>Serves until the connection ends; never throws.</summary>
    public async Task RunAsync()
    {
        _context.Counters.ConnectionOpened();
        try
        {
            // One state machine for the connection's life: what waits in a loop of its own would be one more for each request.
            while (true)
            {
                _exchange.AwaitRequest();

                // Not before: a drain that came meanwhile had found nothing that it could end.
                if (_context.IsDraining() && !BringsRequest) break;
                HeadStep step;
                do
                {
                    step = TakeHead(await _exchange.Input.ReadAsync());
                }
                while (step == HeadStep.More);
                if (step == HeadStep.Refused) await RefuseAsync();
                if (step != HeadStep.Taken) break;

                var started = Begin();
                try
                {
                    await HandleAsync();
                    ThrowIfUnanswered();
                }
                catch (Exception e) when (e is not (IOException or OutOfMemoryException))
                {
                    _context.Log.Unexpected(_exchange, e);
                    await _exchange.RespondAsync(Problems.Unexpected());
                }

                Ended(started);
                if (!IsFinished) await FinishAsync();
                var ends = _exchange.CloseAfter || _exchange.RequestBody.IsRefused;
                _exchange.RequestBody.End();
                _exchange.Request.Trim();
                _exchange.Disarm();
                if (ends) break;
            }

            await LingerAsync();
        }
        catch (IOException)
        {
            // The client is gone: there is nobody to tell.
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            _context.Log.Unexpected(_exchange, e);
        }
        finally
        {
            if (_serving) Ended(_context.Time.GetTimestamp());
            if (!_exchange.TryTake()) await _exchange.EndedAsync();
            if (_exchange.HeadWasLate) TellOfLateHead();
            if (_exchange.Pump is { IsCompleted: false } pump)
            {
                // It reads from this channel: nothing of the channel is given back before it has stopped.
                _exchange.AbortClient();
                await pump;
            }

            await _channel.DisposeAsync();
            _exchange.End();
            _context.Counters.ConnectionClosed();
        }
    }

    private enum HeadStep
    {
        More,
        Taken,
        Refused,
        End,
    }

    private HeadStep TakeHead(System.IO.Pipelines.ReadResult read)
    {
        if (read.Buffer.IsEmpty) return HeadStep.End;
        switch (_parser.Parse(read.Buffer, _exchange.Request, out var consumed, out _refusal))
        {
            case ParseStatus.Done:
                _exchange.Input.AdvanceTo(read.Buffer.GetPosition(consumed));
                _headBegun = false;
                return _exchange.TryTake() ? HeadStep.Taken : HeadStep.End;
            case ParseStatus.Refused:
                _exchange.Input.AdvanceTo(read.Buffer.End);
                return _exchange.TryTake() ? HeadStep.Refused : HeadStep.End;
        }

        _exchange.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        if (read.IsCompleted) return HeadStep.End;
        if (!_headBegun) _exchange.Arm(Exchange.Phase.Head, Bounds.HeadTimeMaxMs);
        _headBegun = true;
        return HeadStep.More;
    }

    private void TellOfLateHead()
    {
        _exchange.ForgetHead();
        _context.Counters.HeadLate();
        _context.Log.Failed(_exchange);
    }

    // The head may be half parsed: nothing of it is used for the answer.
    private async ValueTask RefuseAsync()
    {
        _served = true;
        _context.Counters.Refused(_refusal);
        _exchange.BeginRefused();
        await _exchange.RespondAsync(Problems.Refused(_refusal));
        _context.Log.Failed(_exchange);
    }

    private long Begin()
    {
        _served = true;
        _serving = true;
        _active = _context.Counters.RequestBegun(_exchange.Request.Method, _isSecure);
        _exchange.Begin();
        _readBefore = _exchange.RequestBody.TotalRead;
        return _context.Time.GetTimestamp();
    }

    private ValueTask HandleAsync() =>
        _active > Bounds.ListenerRequestsMax
            ? _exchange.RespondAsync(Problems.TooBusy())
            : _context.Handler.HandleAsync(_exchange);

    private void ThrowIfUnanswered()
    {
        if (!_exchange.AnswerStarted && !_exchange.ClientGone) throw new InvalidOperationException("the handler returned without an answer");
    }

    private void Ended(long started)
    {
        _serving = false;
        _exchange.Attach(null);
        _context.Counters.Received(_exchange.RequestBody.TotalRead - _readBefore);
        _context.Counters.Sent(_exchange.BytesSent);
        var status = _exchange.ClientGone && !_exchange.AnswerStarted ? 0 : _exchange.Status;
        _context.Counters.RequestEnded(_exchange.Request.Method, _isSecure, status, _exchange.IsCut, _context.Time.GetElapsedTime(started));
        if (_exchange.Failure is not null) _context.Log.Failed(_exchange);
    }

    private bool IsFinished => _exchange.RequestBody.IsComplete && _exchange.Pump is null or { IsCompleted: true };

    // What of the request's body was not read is read and dropped, or the client might never come to read the answer.
    private async ValueTask FinishAsync()
    {
        if (_exchange.ClientGone) throw new IOException("the client is gone");
        _exchange.Arm(Exchange.Phase.Linger, Bounds.LingerTimeMaxMs);
        if (_exchange.Pump is { IsCompleted: false } pump) await pump;
        try
        {
            while (_exchange.RequestBody is { IsComplete: false, IsRefused: false }) await _exchange.RequestBody.ReadAsync();
        }
        catch (HttpRefusalException)
        {
            // The answer is on its way; the connection ends after it.
        }
    }

    // Closing while the client still sends would reset the connection, and the answer might be lost with it.
    private async ValueTask LingerAsync()
    {
        if (_exchange.ClientGone) return;
        if (_exchange.TryTake())
        {
            await _channel.CompleteOutputAsync();
            if (!_served) return;
        }
        else
        {
            await _exchange.EndedAsync();
        }

        _exchange.Arm(Exchange.Phase.Linger, Bounds.LingerStallTimeMaxMs);
        for (long dropped = 0; dropped < Bounds.LingerSizeMax;)
        {
            var read = await _exchange.Input.ReadAsync();
            dropped += read.Buffer.Length;
            _exchange.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return;
        }
    }
}
