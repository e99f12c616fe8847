using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Interception;
using Cheops.Agent.Replication;
using Cheops.Agent.Replication.State;
using Cheops.Proto.Operations;

namespace Cheops.Tests.Unit.Replication;

/// <summary>One operation against one service, of which nothing can be found again by looking.</summary>
public sealed class ExecutionTests : IDisposable
{
    private const string Profile = """
        { "profile": "p", "services": { "shop": { "resources": {
            "marks": { "collection": "/v1/marks" }, "names": { "collection": "/v1/names", "id": "name", "idChosenBy": "client" } } } } }
        """;

    private readonly Shop _shop = new();
    private readonly ExecutionBench _bench;

    public ExecutionTests() => _bench = new ExecutionBench(Profile, _shop);

    public void Dispose() => _bench.Dispose();

    private static ExecutionTask Create(bool decides, bool mayBeExecuted, string metaId = "")
    {
        var operation = new Operation
        {
            Id = new OperationId(1),
            Kind = OperationKind.Create,
            Repetition = Repetition.Marked,
            Origin = "Site1",
            Replicant = new ReplicantKey("shop", "/v1/marks", metaId),
            Resource = "marks",
            Method = "POST",
            Target = "/v1/marks",
            HasBody = true,
            Body = "{}"u8.ToArray(),
        };
        return ExecutionBench.TaskOf(operation, decides, mayBeExecuted) with { State = new OperationState(operation, 1, "Site1", ExecutionBench.Sites) };
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_was_answered_before_the_agent_ended_is_not_sent_again_and_keeps_its_id(bool decides)
    {
        var metaId = decides ? "" : "1099511627777";
        var first = await CarryOutAsync(Create(decides, mayBeExecuted: false, metaId));
        var again = await CarryOutAsync(Create(decides, mayBeExecuted: true, metaId));
        Assert.Equal(1, _shop.Asked);
        Assert.Equal(("1003", "1003"), (first.Result.LocalId, again.Result.LocalId));
        Assert.Equal(first.MetaId, again.MetaId);
        Assert.Equal(decides, again.MetaId.Length > 0);
    }

    [Fact]
    public async Task A_request_that_the_service_did_not_look_at_is_sent_again()
    {
        _shop.Status = 401;
        Assert.Equal(VerdictKind.Refused, (await CarryOutAsync(Create(decides: true, mayBeExecuted: false))).Kind);
        _shop.Status = 201;
        Assert.Equal(VerdictKind.Done, (await CarryOutAsync(Create(decides: true, mayBeExecuted: true))).Kind);
        Assert.Equal(2, _shop.Asked);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_an_earlier_create_has_made_here_is_not_taken_for_ones_own_and_what_a_later_one_will_make_hides_nothing(bool isHere)
    {
        var key = new ReplicantKey("shop", "/v1/names", "a");
        var create = Create(decides: false, mayBeExecuted: true);
        var operation = create.Operation with { Replicant = key, Resource = "names", Target = "/v1/names", Repetition = Repetition.Lookup };
        var record = new ReplicantRecord
        {
            Key = key,
            Resource = "names",
            Group = default,
            CreatedBy = new OperationId(2),
            LocalIds = ImmutableSortedDictionary<string, string>.Empty.Add(isHere ? "Site1" : "Site2", "a"),
        };
        _shop.Status = 200;
        var verdict = await CarryOutAsync(create with { Operation = operation, State = new OperationState(operation, 1, "Site2", ["Site1", "Site2"]), Replicant = record });
        Assert.Equal((VerdictKind.Done, isHere ? "POST" : "GET", 1), (verdict.Kind, _shop.Method, _shop.Asked));
    }

    // What the client has seen is the state of one site's: another's says nothing of it.
    [Theory]
    [InlineData("If-Match: \"1\"", true, true)]
    [InlineData("If-Match: \"1\"", false, false)]
    [InlineData("if-none-match: *", false, false)]
    [InlineData("If-Unmodified-Since: Mon, 30 Nov 2026 00:00:00 GMT", false, false)]
    [InlineData("X-If-Match: 1", false, true)]
    public async Task A_condition_of_the_client_is_put_to_the_deciding_site_alone(string condition, bool decides, bool isPut)
    {
        var create = Create(decides, mayBeExecuted: false, decides ? "" : "1099511627777");
        var fields = $"Content-Type: application/json\r\n{condition}\r\nX-Last: 1\r\n";
        Assert.Equal(VerdictKind.Done, (await CarryOutAsync(create with { Operation = create.Operation with { Fields = Encoding.ASCII.GetBytes(fields) } })).Kind);
        Assert.Equal(isPut, _shop.Fields.Contains(condition, StringComparison.Ordinal));
        Assert.Contains("X-Last: 1", _shop.Fields, StringComparison.Ordinal);
    }

    private Task<Verdict> CarryOutAsync(ExecutionTask task) => _bench.CarryOutAsync(task);

    private sealed class Shop : IReplicaService
    {
        public Task<ServiceReply> ReadAsync(ServiceSend send, Func<ReadOnlyMemory<byte>, ValueTask> take, CancellationToken cancellation) => throw new NotSupportedException();

        public int Asked { get; private set; }

        public string Method { get; private set; } = "";

        public string Fields { get; private set; } = "";

        public int Status { get; set; } = 201;

        public Task<ServiceReply> SendAsync(ServiceSend send, CancellationToken cancellation)
        {
            (Asked, Method, Fields) = (Asked + 1, send.Method, Encoding.ASCII.GetString(send.Fields.Span));
            return Task.FromResult(new ServiceReply(ReplyKind.Answered, new KeptAnswer(Status, default, """{"id":1003}"""u8.ToArray()), ""));
        }
    }
}
