using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Interception;
using Cheops.Agent.Replication;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Store.Contents;
using Cheops.Tests.Unit.Collaboration;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Replication;

/// <summary>What the service here shows of a replicant becomes what makes it at another site.</summary>
public sealed class CopyingTests : IAsyncDisposable
{
    private const string Profile = """
        { "profile": "p", "services": { "shop": { "resources": {
            "things": { "collection": "/v1/things" },
            "keyed": { "collection": "/v1/keyed", "naturalKey": ["name"] },
            "nested": { "collection": "/v1/nested", "id": "nested.number" },
            "named": { "collection": "/v1/named", "id": "id", "idChosenBy": "client" },
            "images": { "collection": "/v1/images", "actions": { "/file": "operation" },
                        "operations": { "upload": { "method": "PUT", "action": "/file", "idempotent": true } } } } } } }
        """;

    private readonly FakeTimeProvider _time = new();
    private readonly SimulatedSites _sites = new("Site1");
    private readonly Deadlines _deadlines;
    private readonly MemoryContentStore _store;
    private readonly NewContents _kept;
    private readonly ShownShop _shop = new();
    private readonly ExecutionBench _bench;
    private readonly Copying _copying;

    public CopyingTests()
    {
        (_deadlines, _store) = (new Deadlines(_time), new MemoryContentStore(_time));
        _kept = new NewContents(new Contents("Site1", _store, _sites["Site1"], _deadlines, _time));
        _bench = new ExecutionBench(Profile, _shop);
        _copying = new Copying("Site1", _bench.Profiles, _bench.Calls, _bench.Ids);
    }

    public async ValueTask DisposeAsync()
    {
        _kept.Dispose();
        _bench.Dispose();
        _deadlines.Dispose();
        await _sites.DisposeAsync();
    }

    private static ReplicantRecord Record(string resource, string method = "POST") => new()
    {
        Key = new ReplicantKey("shop", $"/v1/{resource}", "m1"),
        Resource = resource,
        Group = default,
        CreatedBy = new OperationId(1),
        Method = method,
        LocalIds = ImmutableSortedDictionary<string, string>.Empty.Add("Site1", "5").Add("Site2", "7"),
    };

    private Task<CopyResult> CopyAsync(ReplicantRecord record)
    {
        _bench.Replicants.Import(record);
        var move = new Operation
        {
            Id = new OperationId(100),
            Kind = OperationKind.Update,
            Repetition = Repetition.Idempotent,
            Origin = "Site1",
            Replicant = record.Key,
            Resource = record.Resource,
            Method = "PUT",
            Target = "/move",
        };
        return _copying.CopyAsync(move, record, _kept, CancellationToken.None);
    }

    [Theory]
    [InlineData("things", """{"id":5,"uuid":"u","name":"a"}""", """{"name":"a"}""")]
    [InlineData("keyed", """{"id":"5","name":"a"}""", """{"name":"a"}""")]
    [InlineData("nested", """{"nested":{"number":5,"id":"stays","name":"a"}}""", """{"nested":{"id":"stays","name":"a"}}""")]
    public async Task A_service_that_chooses_its_ids_is_not_told_the_one_that_was_read(string resource, string shown, string copied)
    {
        _shop.Shown[$"/v1/{resource}/5"] = (200, shown);
        var copy = Assert.Single((await CopyAsync(Record(resource))).Copies);
        Assert.Equal(copied, Encoding.UTF8.GetString(copy.Body.Span));
        Assert.Equal(("POST", $"/v1/{resource}", OperationKind.Create), (copy.Method, copy.Target, copy.Kind));
        Assert.Equal(new OperationId(101), copy.Id);
    }

    [Fact]
    public async Task An_id_that_the_client_has_chosen_stays_and_is_the_replicants()
    {
        _shop.Shown["/v1/named/5"] = (200, """{"id":"5","name":"a"}""");
        var copy = Assert.Single((await CopyAsync(Record("named"))).Copies);
        Assert.Equal("""{"id":"m1","name":"a"}""", Encoding.UTF8.GetString(copy.Body.Span));
    }

    [Theory]
    [InlineData("things", "POST", Repetition.Marked)]
    [InlineData("keyed", "POST", Repetition.Lookup)]
    [InlineData("named", "POST", Repetition.Lookup)]
    [InlineData("named", "PUT", Repetition.Idempotent)]
    public async Task It_is_repeated_as_what_made_it_was(string resource, string method, Repetition repetition)
    {
        _shop.Shown[$"/v1/{resource}/5"] = (200, "{}");
        var copy = Assert.Single((await CopyAsync(Record(resource, method))).Copies);
        Assert.Equal((method, method == "PUT" ? $"/v1/{resource}/m1" : $"/v1/{resource}", repetition), (copy.Method, copy.Target, copy.Repetition));
    }

    [Theory]
    [InlineData(404, "{}", "answered 404")]
    [InlineData(403, "{}", "answered 403")]
    [InlineData(200, "[]", "not represented in JSON")]
    [InlineData(200, "<a/>", "not represented in JSON")]
    public async Task What_is_not_shown_is_told(int status, string body, string reason)
    {
        _shop.Shown["/v1/things/5"] = (status, body);
        var (copies, refusal) = await CopyAsync(Record("things"));
        Assert.Empty(copies);
        Assert.Contains(reason, refusal, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(401)]
    [InlineData(408)]
    [InlineData(425)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task A_service_that_cannot_tell_now_is_asked_again_later(int status)
    {
        _shop.Shown["/v1/things/5"] = (status, "{}");
        await Assert.ThrowsAsync<IOException>(() => CopyAsync(Record("things")));
        (_shop.Shown["/v1/images/5"], _shop.Shown["/v1/images/5/file"]) = ((200, "{}"), (status, ""));
        await Assert.ThrowsAsync<IOException>(() => CopyAsync(Record("images")));
    }

    [Fact]
    public async Task What_is_put_below_it_comes_after_it_byte_for_byte()
    {
        (_shop.Shown["/v1/images/5"], _shop.Shown["/v1/images/5/file"]) = ((200, """{"id":5}"""), (200, "\u0001data"));
        var copies = (await CopyAsync(Record("images"))).Copies;
        Assert.Equal(["/v1/images", "/v1/images/m1/file"], copies.Select(copy => copy.Target));
        var (create, data) = (copies[0], copies[1]);
        Assert.Equal((OperationKind.Create, OperationKind.Update, "PUT", Repetition.Idempotent), (create.Kind, data.Kind, data.Method, data.Repetition));
        Assert.NotEqual(create.Id, data.Id);
        Assert.Contains("Content-Type: application/octet-stream\r\n", Encoding.ASCII.GetString(data.Fields.Span), StringComparison.Ordinal);
        Assert.Equal("\u0001data", await KeptAsync(data));
    }

    [Fact]
    public async Task What_was_never_put_below_it_is_not_copied()
    {
        (_shop.Shown["/v1/images/5"], _shop.Shown["/v1/images/5/file"]) = ((200, "{}"), (204, ""));
        Assert.Single((await CopyAsync(Record("images"))).Copies);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, true)]
    public async Task A_large_representation_travels_by_its_content(int more, bool isKept)
    {
        const int Around = 8;
        var shown = $$"""{"a":"{{new string('x', Bounds.MoveCopyBodySizeMax - Around + more)}}"}""";
        _shop.Shown["/v1/things/5"] = (200, shown);
        var copy = Assert.Single((await CopyAsync(Record("things"))).Copies);
        Assert.Equal((isKept, shown.Length), (!copy.BodyHash.IsEmpty, copy.BodySize));
        Assert.Equal(shown, isKept ? await KeptAsync(copy) : Encoding.UTF8.GetString(copy.Body.Span));
    }

    private async Task<string> KeptAsync(Operation copy)
    {
        await using var body = new ContentBody(await _kept.OpenAsync(copy.BodyHash, copy.BodySize, CancellationToken.None));
        var read = new StringBuilder();
        for (ReadOnlyMemory<byte> piece; !(piece = await body.ReadAsync()).IsEmpty;) read.Append(Encoding.UTF8.GetString(piece.Span));
        Assert.Equal(copy.BodySize, read.Length);
        return read.ToString();
    }

    /// <summary>A service that shows what it is told to.</summary>
    private sealed class ShownShop : IReplicaService
    {
        public Dictionary<string, (int Status, string Body)> Shown { get; } = [];

        public Task<ServiceReply> SendAsync(ServiceSend send, CancellationToken cancellation)
        {
            Assert.Equal("GET", send.Method);
            var (status, body) = Shown.GetValueOrDefault(Encoding.ASCII.GetString(send.Target.Span), (404, "{}"));
            return Task.FromResult(new ServiceReply(ReplyKind.Answered, new KeptAnswer(status, default, Encoding.UTF8.GetBytes(body)), ""));
        }

        public async Task<ServiceReply> ReadAsync(ServiceSend send, Func<ReadOnlyMemory<byte>, ValueTask> take, CancellationToken cancellation)
        {
            var reply = await SendAsync(send, cancellation);
            if (reply.Answer is { Status: 200 } answer) foreach (var one in answer.Body.ToArray()) await take((byte[])[one]);
            return reply;
        }
    }
}
