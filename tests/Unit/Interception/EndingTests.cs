using Cheops.Agent.Interception;
using Cheops.Proto;

namespace Cheops.Tests.Unit.Interception;

/// <summary>A connection that the agent has ended carries nothing out any more; what it takes it answers.</summary>
public sealed class EndingTests
{
    private const string Post = "POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nab";

    private static async Task UsedAsync(Rig rig, End client)
    {
        await client.GetAsync("/warm");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.AnswerAsync("warm");
        await client.ReadAnswerAsync();
        await Rig.UntilAsync(() => rig.Pool.Idle == 1, "the connection waits in the pool");
    }

    private static async Task NothingIsCarriedOutAsync(Rig rig, End client, long answered)
    {
        await client.EndAsync();
        await Rig.UntilAsync(() => rig.Counters.Connections == 0, "the connection is over");
        Assert.False(rig.HasDialed);
        Assert.Equal(0, rig.Pool.Reused);
        Assert.Equal(answered, rig.Counters.Durations.All.Sum(series => series.Count));
    }

    [Fact]
    public async Task A_request_whose_head_was_late_is_not_carried_out_when_the_rest_comes_all_the_same()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync(Post[..30]);
        await rig.UntilHeadBegunAsync();
        await rig.PassTimeUntilEndedAsync(2 * Bounds.HeadTimeMaxMs);
        var answer = await client.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 408 ", answer, StringComparison.Ordinal);
        Assert.Contains("\"retrySafe\":true", answer, StringComparison.Ordinal);
        await client.SendAsync(Post[30..]);
        await NothingIsCarriedOutAsync(rig, client, answered: 0);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_request_that_crosses_the_end_of_a_connection_that_waited_is_not_carried_out(bool byDrain)
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await UsedAsync(rig, client);
        if (byDrain) rig.Drain();
        else await rig.PassTimeUntilEndedAsync(2 * Bounds.IdleTimeMaxMs);
        await client.SendAsync(Post);
        Assert.Equal("", await client.ReadToEndAsync());
        await NothingIsCarriedOutAsync(rig, client, answered: 1);
        Assert.Empty(rig.Lines);
    }

    [Fact]
    public async Task Bad_HTTP_that_crosses_the_end_of_a_connection_is_not_answered()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await UsedAsync(rig, client);
        rig.Drain();
        await client.SendAsync("GET / HTTP/1.1\nHost: shop\n\n");
        Assert.Equal("", await client.ReadToEndAsync());
        await NothingIsCarriedOutAsync(rig, client, answered: 1);
        Assert.Empty(rig.Lines);
    }

    [Fact]
    public async Task The_answer_to_a_late_head_is_its_own_and_says_that_the_connection_closes()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("HEAD /warm HTTP/1.1\r\nHost: shop\r\n\r\n");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.1 204 Fine\r\n\r\n");
        await client.ReadHeadAsync();
        await Rig.UntilAsync(() => rig.Pool.Idle == 1, "the connection waits in the pool");
        await client.SendAsync("GET /next HTTP/1.1\r\n");
        await rig.UntilHeadBegunAsync();
        await rig.PassTimeUntilEndedAsync(2 * Bounds.HeadTimeMaxMs);
        var head = await client.ReadHeadAsync();
        var fields = head.Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(line => line[..line.IndexOf(':', StringComparison.Ordinal)]).ToArray();
        Assert.Equal(fields.Distinct(StringComparer.OrdinalIgnoreCase), fields);
        Assert.Contains("\r\nConnection: close\r\n", head, StringComparison.Ordinal);
        Assert.Contains("\"site\":\"Here\",\"service\":\"shop\"", await client.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whatever_is_carried_out_while_connections_are_ended_is_answered()
    {
        for (var round = 0; round < 200; round++)
        {
            var handler = new CountingHandler();
            await using var rig = new Rig(handler);
            var client = rig.Connect();
            await client.GetAsync("/warm");
            Assert.Equal("done", await client.ReadAnswerAsync());
            using var together = new Barrier(2);
            var draining = Task.Run(() =>
            {
                together.SignalAndWait();
                rig.Drain();
            });
            var asking = Task.Run(async () =>
            {
                together.SignalAndWait();
                await client.GetAsync("/again");
            });
            await Task.WhenAll(draining, asking).WaitAsync(Rig.Patience);
            var answer = await client.ReadToEndAsync();
            Assert.Equal(handler.Count == 2, answer.Contains("\r\n\r\ndone", StringComparison.Ordinal));
            Assert.Equal(handler.Count == 2, answer.Length > 0);
        }
    }

    private sealed class CountingHandler : IExchangeHandler
    {
        public int Count { get; private set; }

        public ValueTask HandleAsync(Exchange exchange)
        {
            Count++;
            return exchange.RespondAsync(200, "text/plain", "done"u8.ToArray());
        }
    }
}
