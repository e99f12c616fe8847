using Cheops.Proto;

namespace Cheops.Tests.Unit.Interception;

/// <summary>Clients and services that go away, stall or cannot be reached, at every stage.</summary>
public sealed class LossTests
{
    // ---- the service ------------------------------------------------------------------------------------------

    [Fact]
    public async Task A_service_that_is_not_there_is_told_with_a_safe_retry()
    {
        await using var rig = new Rig { Refusing = true };
        var client = rig.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\ndata");
        var answer = await client.ReadAnswerAsync(503);
        Assert.Contains("\"stage\":\"connect\"", answer, StringComparison.Ordinal);
        Assert.Contains("\"retrySafe\":true", answer, StringComparison.Ordinal);
        Assert.Equal(1, rig.Pool.Failed);
    }

    [Fact]
    public async Task Connecting_takes_its_time_and_no_more()
    {
        await using var rig = new Rig { Hanging = true };
        var client = rig.Connect();
        await client.GetAsync();
        var answering = client.ReadAnswerAsync(503);
        Assert.InRange(await rig.PassTimeAsync(answering, 10 * Bounds.ConnectTimeMaxMs), Bounds.ConnectTimeMaxMs, 10 * Bounds.ConnectTimeMaxMs);
        Assert.Contains("\"retrySafe\":true", await answering, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_new_connection_that_ends_before_an_answer_is_told_and_not_tried_again(bool inOrder)
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        if (inOrder) await service.EndAsync();
        else service.Abort();
        var answer = await client.ReadAnswerAsync(502);
        Assert.Contains("\"stage\":\"respond\"", answer, StringComparison.Ordinal);
        Assert.Contains("\"retrySafe\":false", answer, StringComparison.Ordinal);
        Assert.False(rig.HasDialed);
    }

    private static async Task<(End Client, End Service)> UsedAsync(Rig rig)
    {
        var client = rig.Connect();
        await client.GetAsync("/warm");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.AnswerAsync("warm");
        await client.ReadAnswerAsync();
        await Rig.UntilAsync(() => rig.Pool.Idle == 1, "the connection waits in the pool");
        return (client, service);
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("DELETE")]
    public async Task A_used_connection_that_ends_before_an_answer_leads_to_one_more_try(string method)
    {
        await using var rig = new Rig();
        var (client, service) = await UsedAsync(rig);
        await client.SendAsync($"{method} /again HTTP/1.1\r\nHost: shop\r\n\r\n");
        await service.ReadHeadAsync();
        service.Abort();
        var second = await rig.AcceptAsync();
        Assert.StartsWith($"{method} /again HTTP/1.1\r\n", await second.ReadHeadAsync(), StringComparison.Ordinal);
        await second.AnswerAsync("after all");
        Assert.Equal("after all", await client.ReadAnswerAsync());
        Assert.Equal(1, rig.Pool.Retried);
    }

    [Fact]
    public async Task The_second_try_is_the_last()
    {
        await using var rig = new Rig();
        var (client, service) = await UsedAsync(rig);
        await client.GetAsync("/again");
        await service.ReadHeadAsync();
        service.Abort();
        var second = await rig.AcceptAsync();
        await second.ReadHeadAsync();
        second.Abort();
        Assert.Contains("\"retrySafe\":false", await client.ReadAnswerAsync(502), StringComparison.Ordinal);
        Assert.False(rig.HasDialed);
    }

    [Theory]
    [InlineData("POST / HTTP/1.1\r\nHost: shop\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nab")]
    [InlineData("PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nab")]
    public async Task What_cannot_be_repeated_is_not_tried_again(string request)
    {
        await using var rig = new Rig();
        var (client, service) = await UsedAsync(rig);
        await client.SendAsync(request);
        await service.ReadHeadAsync();
        if (request.EndsWith("ab", StringComparison.Ordinal)) await service.ExpectAsync("ab");
        service.Abort();
        Assert.Contains("\"retrySafe\":false", await client.ReadAnswerAsync(502), StringComparison.Ordinal);
        Assert.False(rig.HasDialed);
    }

    [Fact]
    public async Task An_answer_that_has_begun_is_never_tried_again()
    {
        await using var rig = new Rig();
        var (client, service) = await UsedAsync(rig);
        await client.GetAsync("/again");
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.1 200");
        await Task.Yield();
        await service.EndAsync();
        Assert.Contains("\"retrySafe\":false", await client.ReadAnswerAsync(502), StringComparison.Ordinal);
        Assert.False(rig.HasDialed);
    }

    [Theory]
    [InlineData("end")]
    [InlineData("reset")]
    [InlineData("words")]
    public async Task A_connection_that_ends_while_it_waits_is_dropped(string how)
    {
        await using var rig = new Rig();
        var (client, service) = await UsedAsync(rig);
        if (how == "end") await service.EndAsync();
        else if (how == "reset") service.Abort();
        else await service.SendAsync("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
        await Rig.UntilAsync(() => rig.Pool.Idle == 0, "the connection left the pool");
        await client.SendAsync("POST / HTTP/1.1\r\nHost: shop\r\n\r\n");
        var second = await rig.AcceptAsync();
        await second.ReadHeadAsync();
        await second.AnswerAsync("fresh");
        Assert.Equal("fresh", await client.ReadAnswerAsync());
        Assert.Equal(0, rig.Pool.Retried);
    }

    [Fact]
    public async Task A_connection_waits_its_time_in_the_pool_and_no_more()
    {
        await using var rig = new Rig();
        var (_, service) = await UsedAsync(rig);
        var passed = await rig.PassTimeAsync(service.ReadUntilLostAsync(), 4 * Bounds.PoolIdleTimeMaxMs);
        Assert.InRange(passed, Bounds.PoolIdleTimeMaxMs - Bounds.DeadlineSweepMs, 4 * Bounds.PoolIdleTimeMaxMs);
        Assert.Equal(0, rig.Pool.Idle);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\nabc", true)]
    public async Task An_answer_that_breaks_off_reaches_the_client_as_incomplete(string answer, bool byReset)
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync(answer);
        await client.ReadHeadAsync();
        await client.ReadAsync(3);
        if (byReset) service.Abort();
        else await service.EndAsync();
        var rest = await client.ReadUntilLostAsync().WaitAsync(Rig.Patience);
        Assert.DoesNotContain("0\r\n\r\n", rest, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_whose_chunks_are_malformed_reaches_the_client_as_incomplete()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        await client.ReadHeadAsync();
        await client.ExpectAsync("3\r\nabc\r\n");
        await service.SendAsync("xyz\r\n");
        Assert.Equal("", await client.ReadUntilLostAsync().WaitAsync(Rig.Patience));
        await service.ReadUntilLostAsync().WaitAsync(Rig.Patience);
    }

    [Fact]
    public async Task A_service_that_never_answers_is_cut_and_told()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        var answering = client.ReadHeadAsync();
        var passed = await rig.PassTimeAsync(service.ReadUntilLostAsync(), 2 * Bounds.AnswerTimeMaxMs);
        Assert.InRange(passed, Bounds.AnswerTimeMaxMs, 2 * Bounds.AnswerTimeMaxMs);
        Assert.StartsWith("HTTP/1.1 504 ", await answering, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_that_is_slow_to_read_is_not_the_client_s_fault()
    {
        await using var rig = new Rig(capacity: 1_000);
        var client = rig.Connect();
        var body = new string('b', 100_000);
        var sending = client.SendAsync($"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        for (var ms = 0; ms < 3 * Bounds.BodyStallTimeMaxMs; ms += 1_000)
        {
            await Task.Delay(1);
            rig.Time.Advance(TimeSpan.FromSeconds(1));
        }

        await service.ExpectAsync(body);
        await sending;
        await service.AnswerAsync("taken");
        Assert.Equal("taken", await client.ReadAnswerAsync());
    }

    [Fact]
    public async Task A_watch_may_be_silent_for_long()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync("/watch");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        await client.ReadHeadAsync();
        await client.ExpectAsync("1\r\na\r\n");
        for (var ms = 0; ms < 2 * Bounds.AnswerTimeMaxMs; ms += 10_000)
        {
            await Task.Delay(1);
            rig.Time.Advance(TimeSpan.FromSeconds(10));
        }

        await service.SendAsync("1\r\nb\r\n");
        await client.ExpectAsync("1\r\nb\r\n");
    }

    // ---- the client -------------------------------------------------------------------------------------------

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_client_that_goes_while_the_service_thinks_takes_the_request_with_it(bool inOrder)
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        if (inOrder) await client.EndAsync();
        else client.Abort();
        await service.ReadUntilLostAsync().WaitAsync(Rig.Patience);
        await Rig.UntilAsync(() => rig.Counters.Answered(0) == 1, "it is counted as never answered");
    }

    [Fact]
    public async Task A_client_that_goes_within_its_body_takes_the_request_with_it()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\n\r\nabc");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.ExpectAsync("abc");
        await client.EndAsync();
        Assert.Equal("", await service.ReadUntilLostAsync().WaitAsync(Rig.Patience));
    }

    [Fact]
    public async Task A_client_that_goes_within_a_watch_ends_it_at_the_service()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync("/watch");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        await client.ReadHeadAsync();
        await client.ExpectAsync("1\r\na\r\n");
        client.Abort();
        await service.ReadUntilLostAsync().WaitAsync(Rig.Patience);
    }

    [Fact]
    public async Task A_client_that_takes_nothing_is_cut()
    {
        await using var rig = new Rig(capacity: 1_000);
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        var answering = service.AnswerAsync(new string('x', 1_000_000));
        var passed = await rig.PassTimeAsync(service.ReadUntilLostAsync(), 4 * Bounds.WriteStallTimeMaxMs);
        Assert.InRange(passed, Bounds.WriteStallTimeMaxMs, 4 * Bounds.WriteStallTimeMaxMs);
        await Assert.ThrowsAnyAsync<IOException>(() => answering);
        Assert.Equal(1, rig.Counters.Stalled);
    }

    [Fact]
    public async Task A_client_that_says_nothing_is_shown_out()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        Assert.InRange(await rig.PassTimeUntilEndedAsync(3 * Bounds.IdleTimeMaxMs), Bounds.IdleTimeMaxMs, 3 * Bounds.IdleTimeMaxMs);
        Assert.Equal("", await client.ReadToEndAsync());
    }

    [Fact]
    public async Task A_head_that_comes_byte_by_byte_is_given_its_time_and_no_more()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        var reading = client.ReadToEndAsync();
        var passed = 0;
        foreach (var c in "GET / HTTP/1.1\r\nHost: shop\r\nX-Slow: zzzz")
        {
            // Not up to the very end: who writes where nobody reads any more may lose the answer.
            if (passed > Bounds.HeadTimeMaxMs - 3_000) break;
            await client.SendAsync(c.ToString());

            // The head's time begins when the agent has read of it: on a busy machine the clock must not be ahead of that.
            if (passed == 0) await rig.UntilHeadBegunAsync();
            await Task.Delay(1);
            for (var i = 0; i < 4; i++) rig.Time.Advance(TimeSpan.FromMilliseconds(250));
            passed += 1_000;
        }

        // A byte that gave it its time anew would let it live longer than this.
        Assert.False(reading.IsCompleted);
        passed += await rig.PassTimeUntilEndedAsync(10_000);
        Assert.StartsWith("HTTP/1.1 408 ", await reading, StringComparison.Ordinal);
        Assert.InRange(passed, Bounds.HeadTimeMaxMs, Bounds.HeadTimeMaxMs + 11_000);
    }

    [Fact]
    public async Task A_body_that_stalls_is_cut()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 10\r\n\r\nabc");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.ExpectAsync("abc");
        var passed = await rig.PassTimeAsync(client.ReadUntilLostAsync(), 4 * Bounds.BodyStallTimeMaxMs);
        Assert.InRange(passed, Bounds.BodyStallTimeMaxMs, 4 * Bounds.BodyStallTimeMaxMs);
        Assert.Equal("", await service.ReadUntilLostAsync().WaitAsync(Rig.Patience));
    }

    [Fact]
    public async Task The_time_for_a_head_does_not_run_while_the_request_is_carried_out()
    {
        var handler = new SlowHandler();
        await using var rig = new Rig(handler);
        var client = rig.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\n");
        await Rig.UntilAsync(() => rig.Counters.Connections == 1, "the connection is served");
        await Task.Delay(20);
        await client.SendAsync("Host: shop\r\n\r\n");
        await handler.Begun.Task.WaitAsync(Rig.Patience);
        rig.Time.Advance(TimeSpan.FromMilliseconds(4 * (Bounds.HeadTimeMaxMs + Bounds.IdleTimeMaxMs)));
        rig.Drain();
        await Task.Delay(20);
        handler.Go.SetResult();
        Assert.Equal("slow", await client.ReadAnswerAsync());
        Assert.Equal("", await client.ReadToEndAsync());
    }

    // Takes its time before it waits for anything that the exchange knows of, as asking who a token belongs to does.
    private sealed class SlowHandler : Cheops.Agent.Interception.IExchangeHandler
    {
        public TaskCompletionSource Begun { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Go { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async ValueTask HandleAsync(Cheops.Agent.Interception.Exchange exchange)
        {
            Begun.SetResult();
            await Go.Task;
            await exchange.RespondAsync(200, "text/plain", "slow"u8.ToArray());
        }
    }

    // ---- draining ---------------------------------------------------------------------------------------------

    [Fact]
    public async Task Draining_ends_what_waits_and_finishes_what_is_under_way()
    {
        await using var rig = new Rig();
        var idle = rig.Connect();
        var busy = rig.Connect();
        await busy.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        rig.Drain();
        Assert.Equal("", await idle.ReadToEndAsync());
        await service.AnswerAsync("last");
        var answer = await busy.ReadToEndAsync();
        Assert.Contains("\r\nConnection: close\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("last", answer, StringComparison.Ordinal);
    }
}
