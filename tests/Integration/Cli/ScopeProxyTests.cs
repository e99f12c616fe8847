using System.Net;
using System.Net.Sockets;
using System.Text;
using Cheops.Agent.Cli.Running;

namespace Cheops.Tests.Integration.Cli;

public sealed class ScopeProxyTests : IAsyncDisposable
{
    private readonly List<string> _notes = [];
    private readonly ScopeProxy _proxy;
    private readonly Socket _service = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public ScopeProxyTests()
    {
        _proxy = new ScopeProxy("shop: Site2", _notes.Add, TimeProvider.System);
        _proxy.Start();
        _service.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _service.Listen();
    }

    private IPEndPoint Service => (IPEndPoint)_service.LocalEndPoint!;

    public async ValueTask DisposeAsync()
    {
        await _proxy.DisposeAsync();
        _service.Dispose();
    }

    private async Task<Socket> ConnectAsync()
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 10_000 };
        await client.ConnectAsync(_proxy.Address);
        return client;
    }

    private static async Task SendAsync(Socket to, string text) => await to.SendAsync(Encoding.ASCII.GetBytes(text));

    private static async Task<string> ReadUntilAsync(Socket from, string end)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (!text.ToString().EndsWith(end, StringComparison.Ordinal))
        {
            var read = await from.ReceiveAsync(buffer, SocketFlags.None, limit.Token);
            if (read == 0) break;
            text.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }

        return text.ToString();
    }

    // An end that no text has: reads until the other side closes.
    private static Task<string> ReadToEndAsync(Socket from) => ReadUntilAsync(from, "\0\0");

    [Fact]
    public async Task A_plain_request_gets_the_scope_and_the_answer_passes_unchanged()
    {
        using var client = await ConnectAsync();
        await SendAsync(client, $"GET http://{Service}/v1/items?a=%2F HTTP/1.1\r\nHost: {Service}\r\nProxy-Connection: keep-alive\r\nX-A: 1\r\n\r\n");
        using var far = await _service.AcceptAsync();
        Assert.Equal($"GET /v1/items?a=%2F HTTP/1.1\r\nHost: {Service}\r\nX-A: 1\r\nScope: shop: Site2\r\nConnection: close\r\n\r\n", await ReadUntilAsync(far, "\r\n\r\n"));
        const string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        await SendAsync(far, answer);
        far.Shutdown(SocketShutdown.Send);
        Assert.Equal(answer, await ReadToEndAsync(client));
        Assert.Empty(_notes);
    }

    [Theory]
    [InlineData("Content-Length: 5\r\n", "hello")]
    [InlineData("Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")]
    public async Task A_body_passes_and_nothing_behind_it_does(string framing, string body)
    {
        using var client = await ConnectAsync();
        await SendAsync(client, $"POST http://{Service}/ HTTP/1.1\r\nHost: {Service}\r\nScope: own\r\n{framing}\r\n{body[..4]}");
        using var far = await _service.AcceptAsync();
        var head = await ReadUntilAsync(far, body[..4]);
        Assert.Contains("Scope: own\r\n", head, StringComparison.Ordinal);
        Assert.DoesNotContain("Site2", head, StringComparison.Ordinal);
        await SendAsync(client, body[4..] + "GET / HTTP/1.1\r\n\r\n");
        Assert.Equal(body[4..], await ReadUntilAsync(far, body[4..]));
        await SendAsync(far, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        far.Shutdown(SocketShutdown.Both);
        Assert.StartsWith("HTTP/1.1 204", await ReadToEndAsync(client), StringComparison.Ordinal);
        Assert.Equal("", await ReadToEndAsync(far));
    }

    [Fact]
    public async Task A_tunnel_passes_untouched_and_is_told_once()
    {
        for (var i = 0; i < 2; i++)
        {
            using var client = await ConnectAsync();
            await SendAsync(client, $"CONNECT {Service} HTTP/1.1\r\nHost: {Service}\r\n\r\nearly");
            using var far = await _service.AcceptAsync();
            Assert.Equal("HTTP/1.1 200 Connection established\r\n\r\n", await ReadUntilAsync(client, "\r\n\r\n"));
            Assert.Equal("early", await ReadUntilAsync(far, "early"));
            await SendAsync(far, "late");
            Assert.Equal("late", await ReadUntilAsync(client, "late"));
        }

        Assert.Contains("https://127.0.0.1", Assert.Single(_notes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_upgrade_goes_on_in_both_directions()
    {
        using var client = await ConnectAsync();
        await SendAsync(client, $"GET http://{Service}/ws HTTP/1.1\r\nHost: {Service}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        using var far = await _service.AcceptAsync();
        var head = await ReadUntilAsync(far, "\r\n\r\n");
        Assert.Contains("Upgrade: websocket\r\n", head, StringComparison.Ordinal);
        Assert.Contains("Scope: shop: Site2\r\n", head, StringComparison.Ordinal);
        Assert.DoesNotContain("close", head, StringComparison.Ordinal);
        await SendAsync(far, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
        await ReadUntilAsync(client, "\r\n\r\n");
        await SendAsync(client, "ping");
        Assert.Equal("ping", await ReadUntilAsync(far, "ping"));
        await SendAsync(far, "pong");
        Assert.Equal("pong", await ReadUntilAsync(client, "pong"));
    }

    [Theory]
    [InlineData("GET /origin HTTP/1.1\r\nHost: x\r\n\r\n", "400")]
    [InlineData("GET https://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "400")]
    [InlineData("CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n", "400")]
    [InlineData("GET http://x y/ HTTP/1.1\r\nHost: x\r\n\r\n", "400")]
    [InlineData("GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n", "502")]
    public async Task What_cannot_be_passed_on_is_answered(string request, string status)
    {
        using var client = await ConnectAsync();
        await SendAsync(client, request);
        Assert.StartsWith($"HTTP/1.1 {status} ", await ReadToEndAsync(client), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_aborted_answer_ends_the_client_s()
    {
        using var client = await ConnectAsync();
        await SendAsync(client, $"GET http://{Service}/ HTTP/1.1\r\nHost: {Service}\r\n\r\n");
        using var far = await _service.AcceptAsync();
        await ReadUntilAsync(far, "\r\n\r\n");
        await SendAsync(far, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        far.Close();
        Assert.EndsWith("half", await ReadToEndAsync(client), StringComparison.Ordinal);
    }
}
