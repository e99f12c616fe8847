using System.Runtime.CompilerServices;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Http;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Interception;

/// <summary>How one exchange with a service (or with another site's agent) failed.</summary>
public enum CallFailure : byte
{
    /// <summary>It did not.</summary>
    None,
    /// <summary>The connection ended before any byte of an answer.</summary>
    ClosedBeforeAnswer,
    /// <summary>The connection ended within an answer.</summary>
    AnswerLost,
    /// <summary>The answer is no acceptable HTTP.</summary>
    AnswerInvalid,
    /// <summary>No answer came in time.</summary>
    AnswerLate,
    /// <summary>The client went away.</summary>
    ClientGone,
    /// <summary>The client's body is no acceptable HTTP.</summary>
    BodyRefused,
}

/// <summary>
/// The agent's side of one connection to a service instance, or of one stream to another site's agent: carries out one
/// exchange at a time.
/// </summary>
/// <remarks>
/// 1. <see cref="SendAsync"/> writes the head and starts to pump the body. 2. It reads the answer's head meanwhile: a
/// service may answer before it has read the body. 3. The caller looks at <see cref="Answer"/> and decides:
/// 4. <see cref="RelayAsync"/> streams the answer to the client, or the connection is dropped and the next place tried.
/// </remarks>
public sealed class UpstreamConnection : IAsyncDisposable
{
    private readonly Channel _channel;
    private readonly InputWatch _input;
    private readonly HttpBody _body;
    private HeadParser _parser;
    private bool _answerBegun;
    private bool _discarding;
    private bool _offeredUpgradeWithBody;
    private volatile bool _sent;

    internal UpstreamConnection(Channel channel)
    {
        _channel = channel;
        _input = new InputWatch(channel.Input);
        _body = new HttpBody(_input);
    }

    /// <summary>The head of the answer.</summary>
    public ResponseHead Answer { get; } = new();

    /// <summary>The answer's body.</summary>
    public BodySource AnswerBody => _body;

    /// <summary>Whether it carried an exchange before this one.</summary>
    public bool IsReused { get; internal set; }

    /// <summary>Why the answer, or the client's body, was refused.</summary>
    public HttpRefusal Refusal { get; private set; }

    /// <summary>What broke, in words for a person.</summary>
    public string Detail { get; private set; } = "";

    /// <summary>The exception that ended the exchange; a link's tells whether anything can have been executed.</summary>
    public Exception? Error { get; private set; }

    /// <summary>Whether another exchange may follow on this connection.</summary>
    /// <remarks>
    /// Not after an upgrade with a body that was not taken up: services are known that look for no body in such a request
    /// and would take it for the next one.
    /// </remarks>
    internal bool IsReusable => Answer.KeepAlive && _body.IsComplete && _sent && !_offeredUpgradeWithBody;

    internal long IdleSinceMs { get; set; }

    /// <summary>What Host says when the client names none; empty when another site's agent is to decide.</summary>
    internal byte[] DefaultHost { get; init; } = [];

    internal Action? OnIdleInput
    {
        set => _input.Early = value;
    }

    // Made once: a connection falls idle after every exchange.
    private Action? _drop;

    internal Action DropFrom(UpstreamPool pool, bool asFrontProxy) => _drop ??= NewDrop(pool, asFrontProxy);

    // Apart: what the function holds would be allocated at each call.
    private Action NewDrop(UpstreamPool pool, bool asFrontProxy) => () => pool.Drop(this, asFrontProxy);

    internal bool HasInput => _input.IsReady;

    /// <summary>Resets the connection; what is under way fails.</summary>
    public void Abort() => _channel.Abort();

    internal void WatchIdle()
    {
        IsReused = true;
        _body.End();
        Answer.Reset();
        _input.Post();
    }

    // ---- 1, 2: send, and read the answer's head ---------------------------------------------------------------

    /// <summary>Sends the exchange's request with <paramref name="body"/> and reads the answer up to its head.</summary>
    public ValueTask<CallFailure> SendAsync(Exchange exchange, BodySource body)
    {
        exchange.Attach(this);
        _answerBegun = false;
        _discarding = false;
        _sent = false;
        _offeredUpgradeWithBody = exchange.Request.IsUpgrade && body.Framing != BodyFraming.None;
        Answer.RequestMethod = exchange.Request.Method;
        if (exchange.Rewriting is { } other)
            HeadWriter.WriteRequest(_channel.Output, exchange.Request, other.Target, exchange.RequestEdits, body.Framing, other.BodyLength, DefaultHost);
        else
            HeadWriter.WriteRequest(_channel.Output, exchange.Request, exchange.Target, exchange.RequestEdits, DefaultHost);
        return SendCoreAsync(exchange, body);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<CallFailure> SendCoreAsync(Exchange exchange, BodySource body)
    {
        try
        {
            if (body.Framing == BodyFraming.None)
            {
                await _channel.Output.FlushAsync();
                _sent = true;
                exchange.WatchClient();
                exchange.Arm(Exchange.Phase.Answer, Bounds.AnswerTimeMaxMs);
            }
            else
            {
                exchange.Pump = PumpAsync(exchange, body);
            }
        }
        catch (IOException e)
        {
            // The service may have answered, and closed, before it took the request: what it said is still read.
            Note(e);
        }

        try
        {
            while (true)
            {
                switch (TakeAnswer(await _input.ReadAsync()))
                {
                    case AnswerStep.Head: return CallFailure.None;
                    case AnswerStep.Invalid: return CallFailure.AnswerInvalid;
                    case AnswerStep.End: return Ended(exchange);
                    case AnswerStep.Interim:
                        await exchange.RelayInterimAsync(Answer);
                        break;
                }
            }
        }
        catch (IOException e)
        {
            Note(e);
            return Ended(exchange);
        }
    }

    private enum AnswerStep
    {
        More,
        Interim,
        Head,
        Invalid,
        End,
    }

    private AnswerStep TakeAnswer(System.IO.Pipelines.ReadResult read)
    {
        if (read.Buffer.IsEmpty) return AnswerStep.End;
        _answerBegun = true;
        switch (_parser.Parse(read.Buffer, Answer, out var consumed, out var refusal))
        {
            case ParseStatus.Refused:
                Refusal = refusal;
                Detail = refusal.Describe();
                return AnswerStep.Invalid;
            case ParseStatus.NeedMore:
                _input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                return read.IsCompleted ? AnswerStep.End : AnswerStep.More;
        }

        _input.AdvanceTo(read.Buffer.GetPosition(consumed));
        if (Answer.IsInterim) return AnswerStep.Interim;
        _body.Begin(Answer.Framing, Answer.ContentLength);
        return AnswerStep.Head;
    }

    private CallFailure Ended(Exchange exchange)
    {
        if (Detail.Length == 0) Detail = "the connection was closed";
        return exchange.BodyRefusal != HttpRefusal.None ? CallFailure.BodyRefused
            : exchange.ClientGone ? CallFailure.ClientGone
            : exchange.AnswerLate ? CallFailure.AnswerLate
            : _answerBegun ? CallFailure.AnswerLost
            : CallFailure.ClosedBeforeAnswer;
    }

    private void Note(Exception e)
    {
        Error ??= e;
        if (Detail.Length == 0) Detail = e.Message;
    }

    // Runs beside the reading of the answer. What it meets shows there: a client's failure aborts this connection.
    private async Task PumpAsync(Exchange exchange, BodySource body)
    {
        while (true)
        {
            ReadOnlyMemory<byte> piece;
            try
            {
                if (!exchange.AnswerStarted) exchange.ArmBody();
                var reading = body.ReadAsync();

                // The client may send nothing before it hears what the service says to the head: Expect, or a dialogue.
                if (!reading.IsCompleted) await FlushHeadAsync();
                piece = await reading;
            }
            catch (BodyAbandonedException)
            {
                return;
            }
            catch (HttpRefusalException e)
            {
                exchange.BodyRefusal = e.Refusal;
                _channel.Abort();
                return;
            }
            catch (IOException e)
            {
                Note(e);
                exchange.NoteClientGone();
                return;
            }

            if (_discarding)
            {
                if (piece.IsEmpty) return;
                continue;
            }

            try
            {
                if (piece.IsEmpty)
                {
                    BodyWriter.WriteEnd(_channel.Output, body.Framing, body.Trailers);
                    await _channel.Output.FlushAsync();
                    _sent = true;
                    exchange.WatchClient();
                    if (!exchange.AnswerStarted) exchange.Arm(Exchange.Phase.Answer, Bounds.AnswerTimeMaxMs);
                    return;
                }

                // From here it is the service that takes its time.
                if (!exchange.AnswerStarted) exchange.Arm(Exchange.Phase.Answer, Bounds.AnswerTimeMaxMs);
                await BodyWriter.WriteAsync(_channel.Output, body.Framing, piece);
            }
            catch (IOException)
            {
                // The service reads no further. It may have answered all the same, so the answer decides; what the
                // client still sends is dropped, or it would never come to read that answer.
                _discarding = true;
            }
        }
    }

    private async ValueTask FlushHeadAsync()
    {
        if (_discarding || _channel.Output.UnflushedBytes == 0) return;
        try
        {
            await _channel.Output.FlushAsync();
        }
        catch (IOException)
        {
            // As when a piece of the body cannot be sent.
            _discarding = true;
        }
    }

    // ---- 4: relay ---------------------------------------------------------------------------------------------

    /// <summary>Streams the answer to the client, each piece as soon as it is there.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<CallFailure> RelayAsync(Exchange exchange)
    {
        if (Answer.Status == 101) return await SwitchAsync(exchange);
        var body = exchange.Rewriting?.Answer(Answer, _body) ?? _body;
        var framing = exchange.StartAnswer(Answer, body.Framing);
        var output = exchange.Output;
        var fromService = true;
        try
        {
            while (true)
            {
                fromService = true;
                var reading = body.ReadAsync();
                if (!reading.IsCompleted)
                {
                    // Nothing more is there yet: the client gets what was gathered, and its going away is noticed.
                    fromService = false;
                    await output.FlushAsync();
                    fromService = true;
                    exchange.WatchClient();
                    exchange.Disarm();
                }

                var piece = await reading;
                if (piece.IsEmpty) break;
                fromService = false;
                exchange.Arm(Exchange.Phase.Write, Bounds.WriteStallTimeMaxMs);
                await BodyWriter.WriteAsync(output, framing, piece);
                exchange.BytesSent += piece.Length;
            }

            fromService = false;
            BodyWriter.WriteEnd(output, framing, body.Trailers);
            await output.FlushAsync();
            exchange.Disarm();
            _discarding = true;
            return CallFailure.None;
        }
        catch (IOException e)
        {
            Note(e);
            if (e is HttpRefusalException refused) Refusal = refused.Refusal;
            if (!fromService) exchange.NoteClientGone();
            return exchange.ClientGone ? CallFailure.ClientGone : CallFailure.AnswerLost;
        }
    }

    private async ValueTask<CallFailure> SwitchAsync(Exchange exchange)
    {
        if (!exchange.Request.IsUpgrade || !Answer.IsSwitching)
        {
            Detail = "the service switched protocols without being asked";
            return CallFailure.AnswerInvalid;
        }

        exchange.StartAnswer(Answer, BodyFraming.None);
        var failure = await Tunnel.RunAsync(exchange, _channel, _input);
        if (failure == CallFailure.AnswerLost && Detail.Length == 0) Detail = "the connection to the service broke after the upgrade";
        return failure;
    }

    // ---- an exchange of the agent's own -------------------------------------------------------------------------

    /// <summary>Sends a whole request of the agent's own and keeps the whole answer.</summary>
    /// <param name="head">The head, with what follows it when there is no <paramref name="body"/>.</param>
    /// <param name="body">The body, delimited as it says; null for none.</param>
    /// <param name="method">The method, by which the answer is read.</param>
    /// <param name="limits">How much and how long.</param>
    /// <param name="deadlines">Where the time is counted.</param>
    /// <exception cref="IOException">The answer was lost, late, too large, or no HTTP.</exception>
    internal async Task<KeptAnswer> CallAsync(ReadOnlyMemory<byte> head, BodySource? body, HttpMethod method, CallLimits limits, Deadlines deadlines)
    {
        var kept = new MemoryStream();
        await ExchangeAsync(head, body, method, limits.TimeMaxMs, deadlines, piece =>
        {
            if (kept.Length + piece.Length > limits.SizeMax) throw new IOException($"the answer is larger than {limits.SizeMax} bytes");
            kept.Write(piece.Span);
            return default;
        });
        return new KeptAnswer(Answer.Status, KeptAnswer.FieldsOf(Answer), kept.ToArray());
    }

    /// <summary>Sends a whole request of the agent's own and hands on the answer's body, piece by piece.</summary>
    /// <param name="head">The head, with what follows it when there is no <paramref name="body"/>.</param>
    /// <param name="body">The body, delimited as it says; null for none.</param>
    /// <param name="method">The method, by which the answer is read.</param>
    /// <param name="timeMaxMs">Milliseconds until the answer's head, and between two pieces of it.</param>
    /// <param name="deadlines">Where the time is counted.</param>
    /// <param name="take">Takes the pieces; <see cref="Answer"/> is there before the first.</param>
    /// <exception cref="IOException">The answer was lost, late, or no HTTP.</exception>
    internal async Task ExchangeAsync(
        ReadOnlyMemory<byte> head, BodySource? body, HttpMethod method, int timeMaxMs, Deadlines deadlines, Func<ReadOnlyMemory<byte>, ValueTask> take)
    {
        using var deadline = deadlines.Register(Abort);
        deadline.Arm(timeMaxMs);
        _answerBegun = _sent = false;
        Answer.RequestMethod = method;
        var sending = SendOwnAsync(head, body);
        do
        {
            await ReadOwnHeadAsync();
        }
        while (Answer.IsInterim);

        _body.Begin(Answer.Framing, Answer.ContentLength);
        for (ReadOnlyMemory<byte> piece; !(piece = await _body.ReadAsync()).IsEmpty; deadline.Arm(timeMaxMs)) await take(piece);

        // An answer may come before the whole request is taken; the connection is then of no further use.
        _sent = sending.IsCompletedSuccessfully;
    }

    private async Task SendOwnAsync(ReadOnlyMemory<byte> head, BodySource? body)
    {
        try
        {
            await _channel.Output.WriteAsync(head);
            if (body is null) return;
            for (ReadOnlyMemory<byte> piece; !(piece = await body.ReadAsync()).IsEmpty;) await BodyWriter.WriteAsync(_channel.Output, body.Framing, piece);
            BodyWriter.WriteEnd(_channel.Output, body.Framing, default);
            if (_channel.Output.UnflushedBytes > 0) await _channel.Output.FlushAsync();
        }
        catch (IOException e)
        {
            // A service that has answered may close before it took everything; its answer is still read.
            Note(e);
            throw;
        }
    }

    private async Task ReadOwnHeadAsync()
    {
        while (true)
        {
            var read = await _input.ReadAsync();
            if (read.Buffer.IsEmpty) throw new IOException("the connection was closed before an answer");
            _answerBegun = true;
            switch (_parser.Parse(read.Buffer, Answer, out var consumed, out var refusal))
            {
                case ParseStatus.Done:
                    _input.AdvanceTo(read.Buffer.GetPosition(consumed));
                    return;
                case ParseStatus.Refused:
                    throw new HttpRefusalException(refusal);
            }

            _input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (read.IsCompleted) throw new IOException("the connection was closed within an answer");
        }
    }

    /// <summary>Lets go of the exchange, so that the client's fate is no longer this connection's.</summary>
    internal void Detach(Exchange exchange)
    {
        exchange.Disarm();
        exchange.Attach(null);
        _discarding = true;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => new(CloseAsync());

    /// <summary>Resets and releases the connection.</summary>
    internal async Task CloseAsync()
    {
        _input.Early = null;
        _channel.Abort();

        // What the body holds is the channel's: it lets go before the channel gives its buffer back.
        _body.End();
        await _channel.DisposeAsync();
        Answer.Reset();
    }
}
