using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Cheops.Agent.Interception;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Tests.Integration.Support;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Integration.Interception;

/// <summary>A listener over real sockets: what it accepts, plain and through TLS, and how it ends.</summary>
public sealed class ListenerTests(TestAuthority authority) : IClassFixture<TestAuthority>, IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly FakeTimeProvider _time = new();
    private readonly InterceptionCounters _counters = new();
    private readonly List<string> _warnings = [];
    private readonly Answering _handler = new();
    private Deadlines _deadlines = null!;
    private Listener? _listener;
    private volatile bool _draining;
    private SslStreamCertificateContext _identity = authority.ServerIdentity;

    // Answers with the scheme and the user.
    private sealed class Answering : IExchangeHandler, IRequestLog
    {
        public TaskCompletionSource? Hold { get; set; }

        public async ValueTask HandleAsync(Exchange exchange)
        {
            if (Hold is { } hold) await hold.Task;
            var text = $"{exchange.Origin.Scheme} {exchange.Origin.CertificateUser?.Name ?? "nobody"} {exchange.Origin.ClientAddress}";
            await exchange.RespondAsync(200, "text/plain", Encoding.ASCII.GetBytes(text));
        }

        public void Failed(Exchange exchange)
        {
        }

        public void Unexpected(Exchange exchange, Exception error) => Assert.Fail(error.ToString());
    }

    private Listener Start(bool tls, int connectionsMax = Bounds.ListenerConnectionsMax)
    {
        var context = new ServerContext(_handler, _deadlines, _counters, _time, "Here", "Cheops-Site: Here\r\n"u8.ToArray(), _handler) { IsDraining = () => _draining };
        var options = new ListenerOptions(new IPEndPoint(IPAddress.Loopback, 0), "shop")
        {
            Tls = tls ? () => TlsOptions.ForServer(_identity, authority.Certificates) : null,
            ConnectionsMax = connectionsMax,
        };
        _listener = new Listener(options, context, line =>
        {
            lock (_warnings) _warnings.Add(line);
        });
        _listener.Start();
        return _listener;
    }

    private static async Task<TcpClient> DialAsync(Listener listener)
    {
        var client = new TcpClient();
        await client.ConnectAsync(listener.Address);
        return client;
    }

    private async Task<SslStream> DialTlsAsync(Listener listener, SslStreamCertificateContext? own = null)
    {
        var client = await DialAsync(listener);
        var stream = new SslStream(client.GetStream());
        await stream.AuthenticateAsClientAsync(TlsOptions.ForClient("localhost", authority.Certificates, own)).WaitAsync(Patience);
        return stream;
    }

    private static async Task<string> AskAsync(Stream stream)
    {
        await stream.WriteAsync("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray());
        var text = new StringBuilder();
        var buffer = new byte[4096];
        while (!text.ToString().Contains("\r\n\r\n", StringComparison.Ordinal))
        {
            var read = await stream.ReadAsync(buffer).AsTask().WaitAsync(Patience);
            if (read == 0) throw new EndOfStreamException(text.ToString());
            text.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }

        return text.ToString();
    }

    // Lets time pass until the peer has closed the connection.
    private async Task<int> PassTimeUntilClosedAsync(NetworkStream stream, int atMostMs)
    {
        var closing = Task.Run(async () =>
        {
            try
            {
                while (await stream.ReadAsync(new byte[4096]) > 0)
                {
                    // A refusal may come before the end.
                }
            }
            catch (IOException)
            {
                // A reset closes as well.
            }
        });
        var passed = 0;
        for (; !closing.IsCompleted && passed < atMostMs; passed += Bounds.DeadlineSweepMs)
        {
            await Task.WhenAny(closing, Task.Delay(2));
            _time.Advance(TimeSpan.FromMilliseconds(Bounds.DeadlineSweepMs));
        }

        await closing.WaitAsync(Patience);
        return passed;
    }

    [Fact]
    public async Task A_plain_client_is_answered_again_and_again()
    {
        using var client = await DialAsync(Start(tls: false));
        for (var i = 0; i < 3; i++) Assert.EndsWith("http nobody 127.0.0.1", await AskAsync(client.GetStream()), StringComparison.Ordinal);
        Assert.Equal(1, _counters.ConnectionsTotal);
    }

    [Fact]
    public async Task A_client_certificate_makes_its_user_known()
    {
        var listener = Start(tls: true);
        await using (var named = await DialTlsAsync(listener, TestAuthority.Identity(authority.Issue(CertificateUse.Client, "O=devs, CN=alice"))))
            Assert.EndsWith("https alice 127.0.0.1", await AskAsync(named), StringComparison.Ordinal);
        await using var nameless = await DialTlsAsync(listener);
        Assert.EndsWith("https nobody 127.0.0.1", await AskAsync(nameless), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_certificate_can_be_replaced_under_way()
    {
        var listener = Start(tls: true);
        await using var before = await DialTlsAsync(listener);
        _identity = TestAuthority.Identity(authority.Issue(CertificateUse.Server, "CN=replaced"));
        await using var after = await DialTlsAsync(listener);
        Assert.Equal("CN=replaced", ((X509Certificate2)after.RemoteCertificate!).Subject);
        Assert.NotEqual("CN=replaced", ((X509Certificate2)before.RemoteCertificate!).Subject);
        Assert.Contains("200 OK", await AskAsync(before), StringComparison.Ordinal);
        Assert.Contains("200 OK", await AskAsync(after), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\u0016\u0003\u0001")]
    public async Task A_client_that_does_not_shake_hands_is_cut_and_others_are_served(string said)
    {
        var listener = Start(tls: true);
        using var silent = await DialAsync(listener);
        await silent.GetStream().WriteAsync(Encoding.Latin1.GetBytes(said));
        await using var other = await DialTlsAsync(listener);
        Assert.Contains("200 OK", await AskAsync(other), StringComparison.Ordinal);
        var passed = await PassTimeUntilClosedAsync(silent.GetStream(), 10 * Bounds.HandshakeTimeMaxMs);
        Assert.InRange(passed, Bounds.HandshakeTimeMaxMs, 10 * Bounds.HandshakeTimeMaxMs);
    }

    [Fact]
    public async Task Plain_HTTP_to_a_TLS_listener_is_refused_by_TLS()
    {
        var listener = Start(tls: true);
        using var plain = await DialAsync(listener);
        await Assert.ThrowsAnyAsync<Exception>(async () => Assert.DoesNotContain("HTTP/1.1 ", await AskAsync(plain.GetStream()), StringComparison.Ordinal));
        await using var other = await DialTlsAsync(listener);
        Assert.Contains("200 OK", await AskAsync(other), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_trusts_another_authority_is_not_served()
    {
        var listener = Start(tls: true);
        using var client = await DialAsync(listener);
        await using var stream = new SslStream(client.GetStream());
        using var others = new OtherTrust();
        await Assert.ThrowsAnyAsync<AuthenticationException>(() => stream.AuthenticateAsClientAsync(TlsOptions.ForClient("localhost", others.Certificates, own: null)));
    }

    private sealed class OtherTrust : IDisposable
    {
        private readonly TestAuthority _authority = new();

        public X509Certificate2Collection Certificates => _authority.Certificates;

        public void Dispose() => _authority.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Draining_refuses_new_clients_and_lets_the_others_finish(bool tls)
    {
        var listener = Start(tls);
        _handler.Hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var idle = tls ? null : await DialAsync(listener);
        Stream busy = tls ? await DialTlsAsync(listener) : (await DialAsync(listener)).GetStream();
        await using (busy)
        {
            var asking = AskAsync(busy);
            while (_counters.Active == 0 || (!tls && _counters.Connections < 2)) await Task.Delay(1);
            _draining = true;
            listener.StopAccepting();
            var drained = listener.DrainedAsync();
            await Assert.ThrowsAnyAsync<SocketException>(() => DialAsync(listener));
            if (idle is not null) Assert.Equal(0, await idle.GetStream().ReadAsync(new byte[10]).AsTask().WaitAsync(Patience));
            Assert.False(drained.IsCompleted);
            _handler.Hold.SetResult();
            Assert.Contains("Connection: close", await asking, StringComparison.Ordinal);
            Assert.Equal(0, await busy.ReadAsync(new byte[10]).AsTask().WaitAsync(Patience));
            busy.Close();
            idle?.Close();
            await drained.WaitAsync(Patience);
            Assert.Equal(0, _counters.Connections);
        }
    }

    private static async Task IsResetAsync(TcpClient client) =>
        await Assert.ThrowsAsync<IOException>(() => client.GetStream().ReadAsync(new byte[10]).AsTask().WaitAsync(Patience));

    // The reset may come before the client has seen that it was connected.
    private static async Task IsRefusedAsync(Listener listener)
    {
        TcpClient client;
        try
        {
            client = await DialAsync(listener);
        }
        catch (SocketException)
        {
            return;
        }

        using (client) await IsResetAsync(client);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Past_its_bound_connections_are_reset_and_the_log_has_one_line(bool tls)
    {
        // With TLS, none of them says a word: they still shake hands.
        var listener = Start(tls, connectionsMax: 2);
        using var first = await DialAsync(listener);
        using var second = await DialAsync(listener);
        for (var i = 0; i < 3; i++) await IsRefusedAsync(listener);
        Assert.Equal(3, _counters.ConnectionsRefused);
        lock (_warnings) Assert.Equal("shop: 2 connections are open, and all further ones are reset", Assert.Single(_warnings));
        first.Dispose();
        var answer = "";
        while (answer.Length == 0)
        {
            // Until the listener has seen that one of them is gone.
            try
            {
                answer = tls ? await AskAsync(await DialTlsAsync(listener)) : await AskAsync((await DialAsync(listener)).GetStream());
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // Still reset.
            }
        }

        Assert.Contains("200 OK", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Those_that_still_shake_hands_end_with_the_listener(bool byDisposing)
    {
        var listener = Start(tls: true);
        using var shaking = await DialAsync(listener);
        await using var served = await DialTlsAsync(listener);
        Assert.Contains("200 OK", await AskAsync(served), StringComparison.Ordinal);
        _draining = true;
        if (byDisposing) await listener.DisposeAsync().AsTask().WaitAsync(Patience);
        else listener.StopAccepting();
        await IsResetAsync(shaking);
        served.Close();
        await listener.DrainedAsync().WaitAsync(Patience);
        Assert.Equal((0, 1), (_counters.Connections, _counters.HandshakesFailed));
    }

    [Fact]
    public async Task Thousands_of_connections_come_and_go()
    {
        var listener = Start(tls: false);
        for (var round = 0; round < 3; round++)
        {
            var clients = new List<TcpClient>();
            for (var i = 0; i < 600; i++) clients.Add(await DialAsync(listener));
            var answers = await Task.WhenAll(clients.Select(client => AskAsync(client.GetStream())));
            Assert.All(answers, answer => Assert.Contains("200 OK", answer, StringComparison.Ordinal));
            foreach (var client in clients) client.Dispose();
            while (_counters.Connections > 0) await Task.Delay(1);
        }

        Assert.Empty(_warnings);
    }

    public Task InitializeAsync()
    {
        _deadlines = new Deadlines(_time);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        _handler.Hold?.TrySetResult();
        if (_listener is not null) await _listener.DisposeAsync().AsTask().WaitAsync(Patience);
    }

    public void Dispose() => _deadlines.Dispose();
}
