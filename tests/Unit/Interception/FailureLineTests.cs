using Cheops.Agent.Interception;
using Cheops.Proto;
using Cheops.Proto.Problems;

namespace Cheops.Tests.Unit.Interception;

/// <summary>The log's one line for each request that was refused or failed, and how it is counted. The rig demands site and service of all of them.</summary>
public sealed class FailureLineTests
{
    private const string Chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";

    private static async Task<(End Client, End Service)> AskAsync(Rig rig, string request = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    {
        var client = rig.Connect();
        await client.SendAsync(request);
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        return (client, service);
    }

    private static void IsLine(Problem line, string kind, int status, Stage stage) => Assert.Equal((kind, status, stage, false), (line.Kind, line.Status, line.Stage, line.RetrySafe));

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true)]
    [InlineData(Chunked, false)]
    [InlineData(Chunked, true)]
    public async Task An_answer_that_breaks_off_is_told_and_not_counted_as_one(string answer, bool byReset)
    {
        await using var rig = new Rig();
        var (client, service) = await AskAsync(rig);
        await service.SendAsync(answer);
        await client.ReadHeadAsync();
        if (byReset) service.Abort();
        else await service.EndAsync();
        await client.ReadUntilLostAsync().WaitAsync(Rig.Patience);
        IsLine(await rig.LineAsync(), "answer-cut", 502, Stage.Respond);
        Assert.Equal((0, 1), (rig.Counters.Answered(2), rig.Counters.Cut));
    }

    [Fact]
    public async Task An_answer_that_comes_to_its_end_is_not_told()
    {
        await using var rig = new Rig();
        var (client, service) = await AskAsync(rig);
        await service.AnswerAsync("whole", 500);
        await client.ReadAnswerAsync(500);
        await client.EndAsync();
        await client.ReadToEndAsync();
        await Rig.UntilAsync(() => rig.Counters.Connections == 0, "the connection is over");
        Assert.Empty(rig.Lines);
        Assert.Equal((1, 0), (rig.Counters.Answered(5), rig.Counters.Cut));
    }

    [Fact]
    public async Task A_client_that_sends_no_more_of_its_body_is_told()
    {
        await using var rig = new Rig();
        var (client, service) = await AskAsync(rig, "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\n\r\nabc");
        await service.ExpectAsync("abc");
        await rig.PassTimeAsync(client.ReadUntilLostAsync(), 4 * Bounds.BodyStallTimeMaxMs);
        IsLine(await rig.LineAsync(), "client-stalled", 408, Stage.Parse);
        Assert.Equal((1, 0, 1), (rig.Counters.Answered(0), rig.Counters.Cut, rig.Counters.Stalled));
    }

    [Fact]
    public async Task A_client_that_takes_no_more_of_its_answer_is_told()
    {
        await using var rig = new Rig(capacity: 1_000);
        var (_, service) = await AskAsync(rig);
        var answering = service.AnswerAsync(new string('x', 1_000_000));
        await rig.PassTimeAsync(service.ReadUntilLostAsync(), 4 * Bounds.WriteStallTimeMaxMs);
        await Assert.ThrowsAnyAsync<IOException>(() => answering);
        IsLine(await rig.LineAsync(), "client-stalled", 408, Stage.Respond);
        Assert.Equal((0, 1), (rig.Counters.Answered(2), rig.Counters.Cut));
    }

    [Fact]
    public async Task A_head_that_is_late_is_told()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\n");
        await rig.UntilHeadBegunAsync();
        await rig.PassTimeUntilEndedAsync(2 * Bounds.HeadTimeMaxMs);
        await client.EndAsync();
        var line = await rig.LineAsync();
        Assert.Equal(("request-timeout", 408, true), (line.Kind, line.Status, line.RetrySafe));
        Assert.Equal(1, rig.Counters.HeadsLate);
    }

    [Fact]
    public async Task A_request_that_is_no_HTTP_is_told()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("GET / HTTP/1.1\nHost: shop\n\n");
        Assert.Contains("\"site\":\"Here\",\"service\":\"shop\"", await client.ReadToEndAsync(), StringComparison.Ordinal);
        Assert.Equal("bad-request", (await rig.LineAsync()).Kind);
    }

    [Fact]
    public async Task A_service_that_is_not_reached_is_told()
    {
        await using var rig = new Rig { Refusing = true };
        var client = rig.Connect();
        await client.GetAsync();
        await client.ReadAnswerAsync(503);
        Assert.Equal("service-unreachable", (await rig.LineAsync()).Kind);
    }

    [Theory]
    [InlineData(true, 400, "bad-request")]
    [InlineData(false, 502, "answer-lost")]
    public async Task What_fails_on_the_way_names_site_and_service_to_the_client(bool byBody, int status, string kind)
    {
        await using var rig = new Rig();
        var (client, service) = await AskAsync(rig, "POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n");
        if (byBody) await client.SendAsync("zz\r\n");
        else service.Abort();
        Assert.Contains("\"site\":\"Here\",\"service\":\"shop\"", await client.ReadAnswerAsync(status), StringComparison.Ordinal);
        Assert.Equal(kind, (await rig.LineAsync()).Kind);
    }

    [Fact]
    public async Task A_client_that_goes_away_by_itself_is_not_told()
    {
        await using var rig = new Rig();
        var (client, service) = await AskAsync(rig);
        await service.SendAsync(Chunked);
        await client.ReadHeadAsync();
        client.Abort();
        await service.ReadUntilLostAsync().WaitAsync(Rig.Patience);
        await Rig.UntilAsync(() => rig.Counters.Connections == 0, "the connection is over");
        Assert.Empty(rig.Lines);
        Assert.Equal(0, rig.Counters.Cut);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_upgraded_connection_is_told_when_the_service_broke_it(bool byService)
    {
        await using var rig = new Rig();
        var (client, service) = await AskAsync(rig, "GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: spdy/3.1\r\n\r\n");
        await service.SendAsync("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: spdy/3.1\r\n\r\n");
        await client.ReadHeadAsync();
        (byService ? service : client).Abort();
        await (byService ? client : service).ReadUntilLostAsync().WaitAsync(Rig.Patience);
        if (byService) IsLine(await rig.LineAsync(), "answer-cut", 502, Stage.Respond);
        await Rig.UntilAsync(() => rig.Counters.Connections == 0, "the connection is over");
        Assert.Equal(byService ? 1 : 0, rig.Lines.Count);
    }

    [Fact]
    public async Task A_request_that_outlasts_the_agent_is_told()
    {
        await using var rig = new Rig();
        var (client, service) = await AskAsync(rig);
        await service.SendAsync(Chunked);
        await client.ReadHeadAsync();
        rig.Abort();
        await client.ReadUntilLostAsync().WaitAsync(Rig.Patience);
        IsLine(await rig.LineAsync(), "agent-ends", 503, Stage.Respond);
    }

    [Fact]
    public void Requests_are_counted_by_method_scheme_and_status_within_a_bound()
    {
        var counters = new InterceptionCounters();
        for (var status = 100; status <= 599; status++)
        {
            counters.RequestBegun(Proto.Http.HttpMethod.Get, isSecure: false);
            counters.RequestEnded(Proto.Http.HttpMethod.Get, isSecure: false, status, isCut: false, TimeSpan.FromMilliseconds(20));
        }

        counters.RequestBegun(Proto.Http.HttpMethod.Other, isSecure: true);
        Assert.Equal([("_OTHER", "https", 1L), ("GET", "http", 0L)], counters.ActiveByKind());
        counters.RequestEnded(Proto.Http.HttpMethod.Other, isSecure: true, 0, isCut: false, TimeSpan.FromSeconds(60));
        var series = counters.Durations.All.ToArray();
        Assert.InRange(series.Length, Bounds.DurationSeriesMax, Bounds.DurationSeriesMax + 10);
        Assert.Equal(501, series.Sum(one => one.Count));
        Assert.Equal([1, 100, 100, 100, 100, 100], Enumerable.Range(0, 6).Select(counters.Answered));
        Assert.Equal(1, series.Single(one => one.MethodName == "_OTHER").Bucket(RequestDurations.BucketBounds.Length));
    }
}
