using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Interception;
using Cheops.Agent.Replication;
using Cheops.Proto.Operations;

namespace Cheops.Tests.Unit.Replication;

/// <summary>A create whose answer was lost is looked for by its natural key.</summary>
public sealed class DoubtTests : IDisposable
{
    private const string Profile = """
        { "profile": "p", "services": { "shop": { "resources": { "items": { "collection": "/v1/items", "naturalKey": ["name"] } } } } }
        """;

    private readonly ListedShop _shop = new();
    private readonly ExecutionBench _bench;

    public DoubtTests() => _bench = new ExecutionBench(Profile, _shop);

    public void Dispose() => _bench.Dispose();

    private static ExecutionTask Create(bool decides)
    {
        var operation = new Operation
        {
            Id = new OperationId(1),
            Kind = OperationKind.Create,
            Repetition = Repetition.Lookup,
            Origin = "Site1",
            Replicant = new ReplicantKey("shop", "/v1/items", decides ? "" : "1099511627776"),
            Resource = "items",
            Method = "POST",
            Target = "/v1/items",
            Fields = "Content-Type: application/json\r\n"u8.ToArray(),
            HasBody = true,
            Body = Encoding.ASCII.GetBytes("""{"name":"same"}"""),
            BodySize = 15,
        };
        return ExecutionBench.TaskOf(operation, decides, mayBeExecuted: true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_stands_there_with_its_key_is_its_own(bool decides)
    {
        _shop.Ids.Add("5");
        var verdict = await _bench.CarryOutAsync(Create(decides));
        Assert.Equal((VerdictKind.Done, "5", 0), (verdict.Kind, verdict.Result.LocalId, _shop.Creates));
    }

    // Two things may well have one name: the other is a replicant of its own, known here under another meta-id.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_is_another_replicants_is_not_its_own_although_it_has_the_same_key(bool decides)
    {
        _bench.Replicants.Import(new ReplicantRecord
        {
            Key = new ReplicantKey("shop", "/v1/items", "1099511627779"),
            Resource = "items",
            Group = default,
            CreatedBy = new OperationId(9),
            LocalIds = ImmutableSortedDictionary<string, string>.Empty.Add("Site1", "5"),
        });
        _shop.Ids.Add("5");
        var verdict = await _bench.CarryOutAsync(Create(decides));
        Assert.Equal((VerdictKind.Done, "6", 1), (verdict.Kind, verdict.Result.LocalId, _shop.Creates));

        // And among both, which it is is known too.
        var again = await _bench.CarryOutAsync(Create(decides));
        Assert.Equal((VerdictKind.Done, "6", 1), (again.Kind, again.Result.LocalId, _shop.Creates));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Of_two_that_have_its_key_none_is_taken_and_nothing_is_sent(bool decides)
    {
        _shop.Ids.AddRange(["5", "6"]);
        var tried = await _bench.Execution.TryAsync(Create(decides), _bench.Begin(Create(decides)), CancellationToken.None);
        Assert.True(tried.Verdict is null or { Kind: VerdictKind.InDoubt }, $"{tried.Verdict}");
        Assert.Equal(0, _shop.Creates);
    }

    /// <summary>A service whose items all have the same name.</summary>
    private sealed class ListedShop : IReplicaService
    {
        public List<string> Ids { get; } = [];

        public int Creates { get; private set; }

        public Task<ServiceReply> SendAsync(ServiceSend send, CancellationToken cancellation)
        {
            var path = Encoding.ASCII.GetString(send.Target.Span).Split('?')[0];
            if (send.Method == "POST")
            {
                Creates++;
                Ids.Add((Ids.Select(int.Parse).Max() + 1).ToString(System.Globalization.CultureInfo.InvariantCulture));
                return Answered(201, Item(Ids[^1]));
            }

            if (path == "/v1/items") return Answered(200, $"[{string.Join(',', Ids.Select(Item))}]");
            return Ids.Contains(path["/v1/items/".Length..]) ? Answered(200, Item(path["/v1/items/".Length..])) : Answered(404, "{}");
        }

        public Task<ServiceReply> ReadAsync(ServiceSend send, Func<ReadOnlyMemory<byte>, ValueTask> take, CancellationToken cancellation) => throw new NotSupportedException();

        private static string Item(string id) => $$"""{"id":{{id}},"name":"same"}""";

        private static Task<ServiceReply> Answered(int status, string body) =>
            Task.FromResult(new ServiceReply(ReplyKind.Answered, new KeptAnswer(status, default, Encoding.ASCII.GetBytes(body)), ""));
    }
}
