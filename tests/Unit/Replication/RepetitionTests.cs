using System.Text;
using Cheops.Agent.Interception;
using Cheops.Agent.Replication;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Tests.Unit.Replication;

/// <summary>
/// One operation that is as good as once for the agent, against a service that takes it once and refuses it from then on: the
/// refusal of a repetition tells nothing of what was sent first.
/// </summary>
public sealed class RepetitionTests : IDisposable
{
    private const string Profile = """{ "profile": "p", "services": { "shop": { "resources": { "items": { "collection": "/v1/items" } } } } }""";

    private readonly OnceShop _shop = new();
    private readonly ExecutionBench _bench;

    public RepetitionTests() => _bench = new ExecutionBench(Profile, _shop);

    public void Dispose() => _bench.Dispose();

    private static Operation Put(string target, string mediaType, string body) => new()
    {
        Id = new OperationId(1),
        Kind = OperationKind.Update,
        Repetition = Repetition.Idempotent,
        Origin = "Site1",
        Replicant = new ReplicantKey("shop", "/v1/items", "a"),
        Resource = "items",
        Method = "PUT",
        Target = target,
        Fields = Encoding.ASCII.GetBytes($"Content-Type: {mediaType}\r\n"),
        HasBody = true,
        Body = Encoding.ASCII.GetBytes(body),
        BodySize = body.Length,
    };

    private static Operation File => Put("/v1/items/a/file", "application/octet-stream", "data");

    private static Operation Item => Put("/v1/items/a", "application/json", """{"name":"a"}""");

    private static ExecutionTask TaskOf(Operation operation, bool decides) => ExecutionBench.TaskOf(operation, decides, mayBeExecuted: false);

    // The first time its answer, and what is looked for then, is lost; whatever it has done.
    private async Task<Course> SendFirstAsync(ExecutionTask task)
    {
        var course = new Course(_bench.Time.GetTimestamp(), mayBeExecuted: false);
        _shop.LosesAnswers = true;
        Assert.Null((await TryAsync(task, course)).Verdict);
        _shop.LosesAnswers = false;
        return course;
    }

    private Task<Tried> TryAsync(ExecutionTask task, Course course) => _bench.Execution.TryAsync(task, course, CancellationToken.None);

    private async Task<(Verdict Verdict, TimeSpan After)> FinishAsync(ExecutionTask task, Course course)
    {
        var began = _bench.Time.GetTimestamp();
        for (var tries = 0; tries < 100; tries++)
        {
            if ((await TryAsync(task, course)).Verdict is { } verdict) return (verdict, _bench.Time.GetElapsedTime(began));
            _bench.Time.Advance(TimeSpan.FromMilliseconds(course.NextPause()));
        }

        throw new InvalidOperationException("it comes to no end");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_stands_there_as_it_was_sent_is_done_though_the_repetition_is_refused(bool decides)
    {
        var task = TaskOf(File, decides);
        var (verdict, after) = await FinishAsync(task, await SendFirstAsync(task));
        Assert.Equal((VerdictKind.Done, TimeSpan.Zero, 1), (verdict.Kind, after, _shop.Executed));
        Assert.Equal(2, _shop.Puts);
        Assert.DoesNotContain(_bench.Warnings, told => told.Contains("in doubt", StringComparison.Ordinal) || told.Contains("has failed", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true, 404, "")]
    [InlineData(false, 404, "")]
    [InlineData(true, 405, "")]
    [InlineData(false, 405, "")]
    [InlineData(true, 204, "")]
    [InlineData(false, 204, "")]
    [InlineData(true, 200, "DATA")]
    [InlineData(false, 200, "DATA")]
    public async Task What_looking_does_not_tell_is_in_doubt_and_never_taken_for_refused(bool decides, int status, string shown)
    {
        _shop.Shows = (status, shown);
        var task = TaskOf(File, decides);
        var (verdict, after) = await FinishAsync(task, await SendFirstAsync(task));
        Assert.Equal((VerdictKind.InDoubt, 409, 1), (verdict.Kind, verdict.Result.Status, _shop.Executed));
        Assert.Null(verdict.Decision);
        Assert.Equal(SiteResult.InDoubt, verdict.SiteResult);

        // What was sent first may be under way for a while.
        Assert.InRange(after, TimeSpan.FromMilliseconds(Bounds.FollowRefusedMs), TimeSpan.FromMilliseconds(Bounds.OperationWaitMaxMs + Bounds.FollowPauseMaxMs));
        if (!decides) Assert.Contains("is in doubt", _bench.Warnings[^1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_done_late_is_found_done(bool decides)
    {
        _shop.IsLate = true;
        var task = TaskOf(File, decides);
        var course = await SendFirstAsync(task);
        Assert.Null((await TryAsync(task, course)).Verdict);
        _shop.IsLate = false;
        Assert.Equal(VerdictKind.Done, (await FinishAsync(task, course)).Verdict.Kind);
    }

    [Theory]
    [InlineData(true, 404)]
    [InlineData(false, 404)]
    [InlineData(true, 405)]
    [InlineData(false, 405)]
    public async Task What_cannot_have_been_done_since_the_item_is_not_there_is_refused(bool decides, int status)
    {
        _shop.IsThere = false;
        _shop.Shows = (status, "");
        var task = TaskOf(File, decides);
        var (verdict, _) = await FinishAsync(task, await SendFirstAsync(task));
        Assert.Equal((VerdictKind.Refused, 404, 0), (verdict.Kind, verdict.Result.Status, _shop.Executed));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_refused_the_first_time_it_is_sent_is_refused(bool decides)
    {
        _shop.IsTaken = true;
        var (verdict, after) = await FinishAsync(TaskOf(File, decides), new Course(_bench.Time.GetTimestamp(), mayBeExecuted: false));
        Assert.Equal((VerdictKind.Refused, 409, TimeSpan.Zero, 1), (verdict.Kind, verdict.Result.Status, after, _shop.Puts));
        Assert.Equal(0, _shop.Looks);
        if (!decides) Assert.Contains("has failed", Assert.Single(_bench.Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, """{"name":"a","size":1}""", true)]
    [InlineData(false, """{"name":"a","size":1}""", true)]
    [InlineData(true, """{"name":"b","size":1}""", false)]
    [InlineData(false, """{"name":"b","size":1}""", false)]
    public async Task What_is_sent_as_a_representation_is_done_when_what_it_says_is_there(bool decides, string shown, bool isDone)
    {
        _shop.Shows = (200, shown);
        var task = TaskOf(Item, decides);
        var (verdict, _) = await FinishAsync(task, await SendFirstAsync(task));
        Assert.Equal(isDone ? VerdictKind.Done : VerdictKind.Refused, verdict.Kind);
    }

    /// <summary>An item, and what is put to it, or below it, once.</summary>
    private sealed class OnceShop : IReplicaService
    {
        private byte[] _given = [];

        public bool IsThere { get; set; } = true;

        /// <summary>What whoever looks where something was put is shown; null for that.</summary>
        public (int Status, string Body)? Shows { get; set; }

        public bool IsTaken { get; set; }

        public bool LosesAnswers { get; set; }

        /// <summary>Whether what was put can be seen later only.</summary>
        public bool IsLate { get; set; }

        public int Executed { get; private set; }

        public int Puts { get; private set; }

        public int Looks { get; private set; }

        public async Task<ServiceReply> SendAsync(ServiceSend send, CancellationToken cancellation)
        {
            if (send.Method == "PUT") return Answered(Take((await send.Body!.ReadAsync()).ToArray()), []);
            var (status, body) = Look(isOfItem: !Encoding.ASCII.GetString(send.Target.Span).EndsWith("/file", StringComparison.Ordinal));
            return Answered(status, body);
        }

        public async Task<ServiceReply> ReadAsync(ServiceSend send, Func<ReadOnlyMemory<byte>, ValueTask> take, CancellationToken cancellation)
        {
            var reply = await SendAsync(send, cancellation);
            if (reply.Answer is not { Status: 200 } answer) return reply;
            foreach (var one in answer.Body.ToArray()) await take((byte[])[one]);
            return reply;
        }

        private ServiceReply Answered(int status, byte[] body) =>
            LosesAnswers ? new ServiceReply(ReplyKind.Lost, null, "lost") : new ServiceReply(ReplyKind.Answered, new KeptAnswer(status, default, body), "");

        private int Take(byte[] body)
        {
            Puts++;
            if (!IsThere) return 404;
            if (IsTaken) return 409;
            (IsTaken, _given) = (true, body);
            Executed++;
            return 204;
        }

        private (int Status, byte[] Body) Look(bool isOfItem)
        {
            Looks++;
            return isOfItem && !IsThere ? (404, [])
                : isOfItem && Shows is not { Status: 200 } ? (200, "{}"u8.ToArray())
                : Shows is { } shown ? (shown.Status, Encoding.ASCII.GetBytes(shown.Body))
                : !IsThere ? (404, [])
                : IsLate || _given.Length == 0 ? (204, [])
                : (200, _given);
        }
    }
}
