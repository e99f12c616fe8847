using Cheops.Proto.Http;

namespace Cheops.Tests.Unit.Interception;

/// <summary>Requests and answers as they pass: heads, bodies, interim answers, keep-alive, pipelining, upgrades.</summary>
public sealed class ExchangeTests
{
    [Fact]
    public async Task A_request_passes_and_its_answer_comes_back()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("GET /v1/items?x=%2F%7e HTTP/1.1\r\nHost: shop:80\r\nX-One: 1\r\nConnection: x-hop\r\nX-Hop: gone\r\nKeep-Alive: 5\r\n\r\n");
        var service = await rig.AcceptAsync();
        var head = await service.ReadHeadAsync();
        Assert.StartsWith("GET /v1/items?x=%2F%7e HTTP/1.1\r\nHost: shop:80\r\n", head, StringComparison.Ordinal);
        Assert.Contains("\r\nX-One: 1\r\n", head, StringComparison.Ordinal);
        Assert.Contains("\r\nX-Forwarded-For: 192.0.2.1\r\n", head, StringComparison.Ordinal);
        Assert.Contains("\r\nVia: 1.1 Here\r\n", head, StringComparison.Ordinal);
        Assert.DoesNotContain("X-Hop", head, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Keep-Alive", head, StringComparison.OrdinalIgnoreCase);
        await service.AnswerAsync("hello", fields: "X-Two: 2\r\nCheops-Site: Elsewhere\r\nConnection: x-back\r\nX-Back: gone\r\n");
        var answer = await client.ReadHeadAsync();
        Assert.StartsWith("HTTP/1.1 200 Fine\r\n", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nX-Two: 2\r\n", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nCheops-Site: Here\r\n", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("Elsewhere", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("X-Back", answer, StringComparison.OrdinalIgnoreCase);
        await client.ExpectAsync("hello");
    }

    [Theory]
    [InlineData("", "Sat, 01 Jan 2000 00:01:02 GMT")]
    [InlineData("Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n", "Tue, 15 Nov 1994 08:12:31 GMT")]
    [InlineData("Date: Tue, 15 Nov 1994 08:12:31 GMT\r\nConnection: date\r\n", "Sat, 01 Jan 2000 00:01:02 GMT")]
    public async Task An_answer_tells_its_time(string fields, string date)
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        rig.Time.SetUtcNow(new DateTimeOffset(2000, 1, 1, 0, 1, 2, 900, TimeSpan.Zero));
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.1 100 Go on\r\n\r\n");
        Assert.DoesNotContain("Date:", await client.ReadHeadAsync(), StringComparison.OrdinalIgnoreCase);
        await service.AnswerAsync("hello", fields: fields);
        var dates = (await client.ReadHeadAsync()).Split("\r\n").Where(line => line.StartsWith("Date:", StringComparison.OrdinalIgnoreCase));
        Assert.Equal($"Date: {date}", Assert.Single(dates));
    }

    [Fact]
    public async Task An_answer_of_the_agents_own_tells_its_time_and_time_goes_on()
    {
        await using var rig = new Rig { Refusing = true };
        var client = rig.Connect();
        rig.Time.SetUtcNow(new DateTimeOffset(2000, 1, 1, 0, 1, 2, TimeSpan.Zero));
        await client.GetAsync();
        Assert.Contains("\r\nDate: Sat, 01 Jan 2000 00:01:02 GMT\r\n", await client.ReadHeadAsync(), StringComparison.Ordinal);
        rig.Time.SetUtcNow(new DateTimeOffset(2000, 1, 1, 0, 1, 3, TimeSpan.Zero));
        var again = rig.Connect();
        await again.GetAsync();
        Assert.Contains("\r\nDate: Sat, 01 Jan 2000 00:01:03 GMT\r\n", await again.ReadHeadAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Both_connections_are_used_again()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        for (var i = 0; i < 5; i++)
        {
            if (i > 0) await client.GetAsync($"/{i}");
            await service.ReadHeadAsync();
            await service.AnswerAsync($"answer {i}");
            Assert.Equal($"answer {i}", await client.ReadAnswerAsync());
        }

        Assert.False(rig.HasDialed);
        await client.EndAsync();
        Assert.Equal("", await client.ReadToEndAsync());
        Assert.Equal(1, rig.Pool.Opened);
        Assert.Equal(4, rig.Pool.Reused);
        Assert.Equal(5, rig.Counters.Answered(2));
    }

    [Fact]
    public async Task Requests_sent_ahead_are_answered_in_order()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync(
            "POST /1 HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n\r\none"
            + "POST /2 HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
            + "GET /3 HTTP/1.1\r\nHost: shop\r\n\r\n");
        var service = await rig.AcceptAsync();
        Assert.StartsWith("POST /1 ", await service.ReadHeadAsync(), StringComparison.Ordinal);
        await service.ExpectAsync("one");
        await service.AnswerAsync("first");
        Assert.StartsWith("POST /2 ", await service.ReadHeadAsync(), StringComparison.Ordinal);
        await service.ExpectAsync("3\r\ntwo\r\n0\r\n\r\n");
        await service.AnswerAsync("second");
        Assert.StartsWith("GET /3 ", await service.ReadHeadAsync(), StringComparison.Ordinal);
        await service.AnswerAsync("third");
        Assert.Equal("first", await client.ReadAnswerAsync());
        Assert.Equal("second", await client.ReadAnswerAsync());
        Assert.Equal("third", await client.ReadAnswerAsync());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4_095)]
    [InlineData(4_096)]
    [InlineData(65_536)]
    [InlineData(1_000_000)]
    public async Task Bodies_of_any_size_pass_both_ways(int size)
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        var body = new string('b', size);
        var sending = client.SendAsync($"PUT /x HTTP/1.1\r\nHost: shop\r\nContent-Length: {size}\r\n\r\n{body}");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.ExpectAsync(body);
        await sending;
        var answering = service.AnswerAsync(body);
        Assert.Equal(body, await client.ReadAnswerAsync());
        await answering;
        await Rig.UntilAsync(() => rig.Counters.BytesIn == size, "the body was counted");
    }

    [Fact]
    public async Task Chunks_pass_with_their_trailers()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4;ext=1\r\nabcd\r\n0\r\nX-Sum: 9\r\n\r\n");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.ExpectAsync("4\r\nabcd\r\n0\r\nX-Sum: 9\r\n\r\n");
        await service.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
        await client.ReadHeadAsync();
        await client.ExpectAsync("2\r\nhi\r\n");
        await service.SendAsync("0\r\nX-Back: 7\r\n\r\n");
        await client.ExpectAsync("0\r\nX-Back: 7\r\n\r\n");
    }

    [Fact]
    public async Task Each_piece_of_an_answer_is_passed_on_at_once()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync("/watch");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        Assert.Contains("Transfer-Encoding: chunked", await client.ReadHeadAsync(), StringComparison.Ordinal);
        for (var i = 0; i < 10; i++)
        {
            await service.SendAsync("8\r\nevent " + i + "\n\r\n");
            await client.ExpectAsync("8\r\nevent " + i + "\n\r\n");
        }
    }

    [Theory]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")]
    [InlineData("GET", "HTTP/1.1 204 No Content\r\n\r\n")]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n")]
    public async Task An_answer_that_has_no_body_ends_with_its_head(string method, string answer)
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync($"{method} / HTTP/1.1\r\nHost: shop\r\n\r\n");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync(answer);
        Assert.StartsWith(answer[..answer.IndexOf('\r', StringComparison.Ordinal)], await client.ReadHeadAsync(), StringComparison.Ordinal);
        await client.GetAsync("/next");
        Assert.StartsWith("GET /next", await service.ReadHeadAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_that_ends_with_its_connection_becomes_chunked()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.0 200 OK\r\n\r\nall of it");
        await service.EndAsync();
        Assert.Contains("Transfer-Encoding: chunked", await client.ReadHeadAsync(), StringComparison.Ordinal);
        await client.ExpectAsync("9\r\nall of it\r\n0\r\n\r\n");
        await client.GetAsync("/next");
        Assert.StartsWith("GET /next", await (await rig.AcceptAsync()).ReadHeadAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_of_the_old_version_gets_its_answer_until_the_end()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("GET / HTTP/1.0\r\n\r\n");
        var service = await rig.AcceptAsync();
        Assert.StartsWith("GET / HTTP/1.1\r\n", await service.ReadHeadAsync(), StringComparison.Ordinal);
        await service.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n");
        var answer = await client.ReadToEndAsync();
        Assert.DoesNotContain("chunked", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\nabc", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_old_client_that_asks_for_it_keeps_its_connection()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.AnswerAsync("x");
        Assert.Contains("\r\nConnection: keep-alive\r\n", await client.ReadHeadAsync(), StringComparison.Ordinal);
        await client.ExpectAsync("x");
        await client.GetAsync("/next");
        Assert.StartsWith("GET /next", await service.ReadHeadAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_says_close_gets_an_end_after_its_answer()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync(fields: "Connection: close\r\n");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.AnswerAsync("bye");
        var answer = await client.ReadToEndAsync();
        Assert.Contains("\r\nConnection: close\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("bye", answer, StringComparison.Ordinal);
        await rig.PassTimeAsync(client.EndAsync(), 0);
    }

    [Fact]
    public async Task A_service_that_says_close_is_not_used_again()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.AnswerAsync("x", fields: "Connection: close\r\n");
        Assert.Equal("x", await client.ReadAnswerAsync());
        await client.GetAsync();
        await (await rig.AcceptAsync()).ReadHeadAsync();
        Assert.Equal(2, rig.Pool.Opened);
    }

    // ---- interim answers and expectations ---------------------------------------------------------------------

    [Fact]
    public async Task A_client_that_waits_for_permission_gets_the_service_s()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        var service = await rig.AcceptAsync();
        Assert.Contains("Expect: 100-continue", await service.ReadHeadAsync(), StringComparison.Ordinal);
        await service.SendAsync("HTTP/1.1 100 Continue\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 100 Continue\r\n", await client.ReadHeadAsync(), StringComparison.Ordinal);
        await client.SendAsync("data");
        await service.ExpectAsync("data");
        await service.AnswerAsync("done");
        Assert.Equal("done", await client.ReadAnswerAsync());
    }

    [Fact]
    public async Task A_service_that_refuses_before_the_body_is_heard()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.AnswerAsync("no", status: 401);
        var answer = await client.ReadHeadAsync();
        Assert.StartsWith("HTTP/1.1 401 ", answer, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", answer, StringComparison.Ordinal);
        await client.ExpectAsync("no");
    }

    [Fact]
    public async Task Interim_answers_pass_before_the_final_one_and_not_to_old_clients()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n");
        await service.AnswerAsync("x");
        Assert.Contains("</a>", await client.ReadHeadAsync(), StringComparison.Ordinal);
        Assert.Contains("</b>", await client.ReadHeadAsync(), StringComparison.Ordinal);
        Assert.Equal("x", await client.ReadAnswerAsync());

        var old = rig.Connect();
        await old.SendAsync("GET / HTTP/1.0\r\n\r\n");
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.1 103 Early Hints\r\n\r\n");
        await service.AnswerAsync("y");
        Assert.Equal("y", await old.ReadAnswerAsync());
    }

    // ---- early answers ----------------------------------------------------------------------------------------

    [Fact]
    public async Task An_answer_that_comes_before_the_body_was_read_reaches_a_client_that_only_sends()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        var body = new string('b', 3_000_000);
        var sending = client.SendAsync($"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.AnswerAsync("too large", status: 413, fields: "Connection: close\r\n");
        await service.EndAsync();
        await service.Channel.DisposeAsync();

        // The client reads only when it has sent everything.
        await sending;
        Assert.Equal("too large", await client.ReadAnswerAsync(413));
        Assert.Equal("", await client.ReadToEndAsync());
    }

    [Fact]
    public async Task A_body_and_its_answer_can_pass_at_the_same_time()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("POST /echo HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        await client.ReadHeadAsync();
        for (var i = 0; i < 20; i++)
        {
            var chunk = $"10\r\n{new string((char)('a' + i), 16)}\r\n";
            await client.SendAsync(chunk);
            await service.ExpectAsync(chunk);
            await service.SendAsync(chunk);
            await client.ExpectAsync(chunk);
        }

        await client.SendAsync("0\r\n\r\n");
        await service.ExpectAsync("0\r\n\r\n");
        await service.SendAsync("0\r\n\r\n");
        await client.ExpectAsync("0\r\n\r\n");
    }

    // ---- upgrades ---------------------------------------------------------------------------------------------

    [Fact]
    public async Task An_upgrade_becomes_a_tunnel_whose_directions_end_on_their_own()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("GET /exec HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
        var service = await rig.AcceptAsync();
        Assert.Contains("Upgrade: websocket\r\n", await service.ReadHeadAsync(), StringComparison.Ordinal);
        await service.SendAsync("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
        var head = await client.ReadHeadAsync();
        Assert.StartsWith("HTTP/1.1 101 ", head, StringComparison.Ordinal);
        Assert.Contains("Upgrade: websocket\r\n", head, StringComparison.Ordinal);
        await client.ExpectAsync("hello");
        await service.ExpectAsync("early");
        await client.SendAsync("ping");
        await service.ExpectAsync("ping");
        await client.EndAsync();
        Assert.Equal("", await service.ReadToEndAsync());
        await service.SendAsync("still here");
        await client.ExpectAsync("still here");
        await service.EndAsync();
        Assert.Equal("", await client.ReadToEndAsync());
    }

    [Fact]
    public async Task A_tunnel_that_breaks_at_one_end_breaks_at_the_other()
    {
        foreach (var byClient in new[] { true, false })
        {
            await using var rig = new Rig();
            var client = rig.Connect();
            await client.SendAsync("GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: spdy/3.1\r\n\r\n");
            var service = await rig.AcceptAsync();
            await service.ReadHeadAsync();
            await service.SendAsync("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: spdy/3.1\r\n\r\n");
            await client.ReadHeadAsync();
            (byClient ? client : service).Abort();
            await (byClient ? service : client).ReadUntilLostAsync().WaitAsync(Rig.Patience);
        }
    }

    [Fact]
    public async Task A_switch_that_nobody_asked_for_is_refused()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        Assert.Contains("answer-", await client.ReadAnswerAsync(502), StringComparison.Ordinal);
    }

    // ---- refusals ---------------------------------------------------------------------------------------------

    [Fact]
    public async Task A_request_that_is_no_HTTP_is_refused_and_the_connection_ends()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: shop\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: shop\r\n\r\n");
        var answer = await client.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Contains("Content-Type: application/problem+json", answer, StringComparison.Ordinal);
        Assert.Contains("\"refusal\":\"LengthAndCoding\"", answer, StringComparison.Ordinal);
        Assert.Contains("Connection: close", answer, StringComparison.Ordinal);
        Assert.False(rig.HasDialed);
        Assert.Equal(1, rig.Counters.Refusals(HttpRefusal.LengthAndCoding));
    }

    [Fact]
    public async Task A_body_that_is_no_HTTP_is_refused_and_never_reaches_the_service_whole()
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.ExpectAsync("3\r\nabc\r\n");
        await client.SendAsync("zz\r\n");
        Assert.Equal("", await service.ReadUntilLostAsync().WaitAsync(Rig.Patience));
        var answer = await client.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Contains("Connection: close", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HTTP/2 200 OK\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nX : y\r\n\r\n")]
    [InlineData("nonsense\r\n\r\n")]
    public async Task An_answer_that_is_no_HTTP_is_not_passed_on(string answer)
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.GetAsync();
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await service.SendAsync(answer);
        Assert.Contains("\"retrySafe\":false", await client.ReadAnswerAsync(502), StringComparison.Ordinal);
        await service.ReadUntilLostAsync().WaitAsync(Rig.Patience);
        await client.GetAsync();
        await rig.AcceptAsync();
    }
}
