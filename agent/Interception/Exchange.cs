using System.Buffers;
using System.IO.Pipelines;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Proto.Problems;

namespace Cheops.Agent.Interception;

/// <summary>
/// One request and its answer, on the connection that the client has with the agent. Used again for request after
/// request of its connection; nothing of it may be kept when the handler returns.
/// </summary>
public sealed partial class Exchange
{
    internal enum Phase
    {
        Idle,
        Head,
        Serve,
        Body,
        Answer,
        Write,
        Linger,
        Tunnel,
    }

    private readonly Channel _channel;
    private readonly Deadline _deadline;
    private readonly InterceptionCounters _counters;
    private readonly FieldLines _own = new();
    private readonly string _site;
    private readonly byte[] _siteLine;
    private readonly DateLine _date;
    private UpstreamConnection? _upstream;
    private byte[] _rootedTarget = [];
    private int _targetStart;
    private bool _closeAfter;

    internal Exchange(Channel channel, ExchangeOrigin origin, ServerContext context)
    {
        _channel = channel;
        _counters = context.Counters;
        _site = context.Site;
        _siteLine = context.SiteLine;
        _date = context.Date;
        _deadline = context.Deadlines.Register(OnDeadline);
        IsDraining = context.IsDraining;
        Origin = origin;
        Request = new RequestHead { IsFromAgent = origin.Link is not null };
        Input = new InputWatch(channel.Input) { Early = OnEarlyInput };
        RequestBody = new HttpBody(Input, origin.Link is null ? context.Deadlines : null);
        WholeBody = () => RequestBody;
    }

    /// <summary>The request.</summary>
    public RequestHead Request { get; }

    /// <summary>Where it came in.</summary>
    public ExchangeOrigin Origin { get; }

    /// <summary>The request's body, as it comes from the client.</summary>
    public BodySource Body => RequestBody;

    /// <summary>Gives <see cref="Body"/>; made once, so that passing it on allocates nothing.</summary>
    internal Func<BodySource> WholeBody { get; }

    /// <summary>What the request's head becomes on its way to the service.</summary>
    public HeadEdits RequestEdits { get; } = new();

    /// <summary>What the answer's head becomes on its way to the client.</summary>
    public HeadEdits ResponseEdits { get; } = new();

    /// <summary>The target that the service gets: the request's, without a scope's prefix.</summary>
    public ReadOnlySpan<byte> Target => _rootedTarget.Length > 0 ? _rootedTarget : Request.Target[_targetStart..];

    /// <summary>What request and answer become at the place that is tried, or whose answer is relayed; null where they pass as they are.</summary>
    internal Rewriting? Rewriting { get; set; }

    /// <summary>Whether anything of an answer was sent or gathered.</summary>
    public bool AnswerStarted { get; private set; }

    /// <summary>The status code that was answered, or will be; 0 for none yet.</summary>
    public int Status { get; private set; }

    /// <summary>Whether the client went away; nothing needs to be answered any more.</summary>
    public bool ClientGone { get; private set; }

    /// <summary>Whether the service let pass the time it had to answer.</summary>
    internal bool AnswerLate { get; private set; }

    /// <summary>What Cheops itself answered, or why it answered nothing or only a part, for the log; null when the application answered.</summary>
    public Problem? Failure { get; private set; }

    /// <summary>Whether an answer was begun that the client sees to be incomplete, through no doing of its own.</summary>
    public bool IsCut => Failure is not null && AnswerStarted && _aborted;

    internal InputWatch Input { get; }

    internal HttpBody RequestBody { get; }

    internal PipeWriter Output => _channel.Output;

    internal bool CloseAfter => _closeAfter;

    internal InterceptionCounters Counters => _counters;

    internal Func<bool> IsDraining { get; }

    internal Task? Pump { get; set; }

    /// <summary>Bytes of the answer's body that were sent.</summary>
    internal long BytesSent { get; set; }

    /// <summary>Why the request's body was refused while it was read.</summary>
    internal HttpRefusal BodyRefusal { get; set; }

    /// <summary>Called when the client goes away while the request is carried out, beyond aborting the service.</summary>
    public Action? OnClientGone { get; set; }

    internal void Begin()
    {
        // Not idle from now on: a drain must not end the connection, nor the time between two requests.
        _phase = Phase.Serve;
        Disarm();
        RequestEdits.Clear();
        ResponseEdits.Clear();
        _rootedTarget = [];
        _targetStart = 0;
        Rewriting = null;
        AnswerStarted = AnswerLate = AnswerFromPeer = false;
        Status = 0;
        BytesSent = 0;
        Failure = null;
        _aborted = false;
        BodyRefusal = HttpRefusal.None;
        Pump = null;
        OnClientGone = null;
        _closeAfter = !Request.KeepAlive;
        RequestBody.Begin(Request.Framing, Request.ContentLength);
    }

    /// <summary>Begins an exchange whose request was refused: the answer closes the connection.</summary>
    internal void BeginRefused()
    {
        Request.Reset();
        Begin();
        _closeAfter = true;
    }

    internal void End()
    {
        _deadline.Dispose();
        Request.Reset();
        RequestBody.End();
    }

    /// <summary>Takes a prefix off the target.</summary>
    /// <param name="restStart">Where the rest begins; when there is no <c>/</c> there, one is put before it.</param>
    public void TrimTarget(int restStart)
    {
        _targetStart = restStart;
        var rest = Request.Target[restStart..];
        if (rest.IsEmpty || rest[0] != '/') _rootedTarget = [(byte)'/', .. rest];
    }

    // ---- answering --------------------------------------------------------------------------------------------

    /// <summary>Relays an interim answer (1xx) to a client that understands it.</summary>
    internal ValueTask<FlushResult> RelayInterimAsync(ResponseHead head)
    {
        if (Request.MinorVersion == 0) return default;
        HeadWriter.WriteResponse(Output, head, ResponseEdits, BodyFraming.None, default);
        return Output.FlushAsync();
    }

    /// <summary>Tells a client that waits for it to send its body.</summary>
    internal async ValueTask ContinueAsync()
    {
        if (!Request.ExpectsContinue || Request.MinorVersion == 0 || RequestBody.IsTouched || RequestBody.IsComplete) return;
        Output.Write("HTTP/1.1 100 Continue\r\n\r\n"u8);
        await Output.FlushAsync();
    }

    /// <summary>Writes the head of the application's answer, without sending it.</summary>
    /// <returns>How the body is to be delimited towards the client.</returns>
    internal BodyFraming StartAnswer(ResponseHead head, BodyFraming framing)
    {
        AnswerStarted = true;
        Status = head.Status;
        if (framing == BodyFraming.UntilClose) framing = BodyFraming.Chunked;
        if (framing == BodyFraming.Chunked && Request.MinorVersion == 0) framing = BodyFraming.UntilClose;
        if (framing == BodyFraming.UntilClose || !BodyIsRead || IsDraining()) _closeAfter = true;
        if (!AnswerFromPeer)
        {
            // What the application says in our name would be believed; what another agent says is its own.
            ResponseEdits.Removed |= KnownField.Cheops.Bit();
            ResponseEdits.Added.AddEncoded(_siteLine);
        }

        // Whoever receives an answer without its time notes it (RFC 9110 6.6.1).
        var dated = head.Has(KnownField.Date) && !head.ConnectionNames("date"u8);
        if (!dated && head.Status >= 200) ResponseEdits.Added.AddEncoded(_date.Now);
        HeadWriter.WriteResponse(Output, head, ResponseEdits, framing, ConnectionOption(head.Status));
        return framing;
    }

    /// <summary>Whether the answer to be relayed comes from another site's agent, which says itself where it was executed.</summary>
    public bool AnswerFromPeer { get; set; }

    private bool BodyIsRead => RequestBody.IsComplete && Pump is null or { IsCompleted: true };

    private ReadOnlySpan<byte> ConnectionOption(int status) =>
        status == 101 ? default
        : _closeAfter ? "close"u8
        : Request.MinorVersion == 0 ? "keep-alive"u8
        : default;

    /// <summary>Answers with a failure of Cheops' own, unless an answer has begun: then the connection is reset.</summary>
    public ValueTask RespondAsync(Problem problem)
    {
        if (AnswerStarted && !ClientGone)
        {
            Fail(problem);
            return default;
        }

        // What a connection was cut for is why its request failed, and not what followed from that.
        if (!_aborted) Failure = Placed(problem);
        if (ClientGone) return default;
        WriteProblem(Failure!);
        return SendAsync();
    }

    /// <summary>Resets the client's connection for a failure that cannot be answered any more.</summary>
    /// <param name="problem">Why, for the log.</param>
    internal void Fail(Problem problem)
    {
        // What is under way is over with the connection, and says so too: the first reason is the one that counts.
        Failure ??= Placed(problem);
        AbortClient();
    }

    // Whoever finds a failure need not know where: every problem names the site that answers and the service.
    private Problem Placed(Problem problem) => problem.Site.Length > 0 && problem.Service.Length > 0
        ? problem
        : problem with
        {
            Site = problem.Site.Length > 0 ? problem.Site : _site,
            Service = problem.Service.Length > 0 ? problem.Service : Origin.Service,
        };

    private void WriteProblem(Problem problem)
    {
        var body = problem.ToJson().Span;
        WriteProblemHead(problem, body.Length);
        if (Request.Method != Proto.Http.HttpMethod.Head) Output.Write(body);
    }

    private void WriteProblemHead(Problem problem, long size)
    {
        _own.Clear();
        _own.Add("Cheops-Error"u8, $"stage={Problem.NameOf(problem.Stage)};retry-safe={(problem.RetrySafe ? "?1" : "?0")}");
        WriteOwnHead(problem.Status, Problem.MediaType, size, _own);
    }

    /// <summary>Answers with something small of Cheops' own.</summary>
    /// <param name="status">The status code.</param>
    /// <param name="mediaType">The media type; empty for no body.</param>
    /// <param name="body">The body.</param>
    /// <param name="fields">Further fields; may be null.</param>
    public ValueTask RespondAsync(int status, string mediaType, ReadOnlyMemory<byte> body, FieldLines? fields = null)
    {
        WriteOwn(status, mediaType, body.Span, fields);
        return SendAsync();
    }

    /// <summary>Answers with an application's answer that was kept.</summary>
    /// <param name="answer">The answer.</param>
    internal ValueTask RespondAsync(KeptAnswer answer)
    {
        if (ClientGone) return default;
        var fields = new FieldLines().AddEncoded(answer.Fields.Span);
        WriteOwn(answer.Status, "", answer.Body.Span, fields);
        return SendAsync();
    }

    /// <summary>Answers with a body that is streamed from here.</summary>
    /// <param name="status">The status code.</param>
    /// <param name="fields">Its fields, without those of the framing.</param>
    /// <param name="body">The body.</param>
    /// <param name="size">Its bytes.</param>
    internal async ValueTask RespondAsync(int status, FieldLines fields, BodySource body, long size)
    {
        WriteOwnHead(status, "", size, fields);
        try
        {
            for (ReadOnlyMemory<byte> piece; !(piece = await body.ReadAsync()).IsEmpty;)
            {
                Arm(Phase.Write, Bounds.WriteStallTimeMaxMs);
                await Output.WriteAsync(piece);
            }

            await SendAsync();
        }
        catch (IOException e)
        {
            // Cut short, and seen to be: what was promised by the length does not come.
            if (ClientGone) AbortClient();
            else Fail(Problems.Cut(e.Message));
        }
    }

    private void WriteOwn(int status, string mediaType, ReadOnlySpan<byte> body, FieldLines? fields)
    {
        WriteOwnHead(status, mediaType, body.Length, fields);
        if (Request.Method != Proto.Http.HttpMethod.Head) Output.Write(body);
    }

    private void WriteOwnHead(int status, string mediaType, long size, FieldLines? fields)
    {
        AnswerStarted = true;
        Status = status;
        if (!BodyIsRead || IsDraining()) _closeAfter = true;
        var added = ResponseEdits.Added;
        if (fields is not null) added.AddEncoded(fields.Written);
        added.AddEncoded(_siteLine);
        added.AddEncoded(_date.Now);
        if (mediaType.Length > 0) added.Add("Content-Type"u8, mediaType);
        if (status is not 204) added.Add("Content-Length"u8, size.ToString(System.Globalization.CultureInfo.InvariantCulture));
        var option = ConnectionOption(status);
        if (!option.IsEmpty) added.Add("Connection"u8, option);
        HeadWriter.WriteOwnResponse(Output, status, added);
    }

    private async ValueTask SendAsync()
    {
        try
        {
            Arm(Phase.Write, Bounds.WriteStallTimeMaxMs);
            await Output.FlushAsync();
        }
        catch (IOException)
        {
            NoteClientGone();
        }
        finally
        {
            Disarm();
        }
    }
}
