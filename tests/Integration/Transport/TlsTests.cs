using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Tests.Integration.Support;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Integration.Transport;

/// <summary>Whom TLS believes, what it says of the peer, and what it does with a peer that misbehaves.</summary>
public sealed class TlsTests(TestAuthority authority, OtherAuthority other) : IClassFixture<TestAuthority>, IClassFixture<OtherAuthority>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private SslStreamCertificateContext Issue(CertificateUse use, string subject, bool throughIntermediate = false, bool expired = false, string host = "localhost") =>
        TestAuthority.Identity(authority.Issue(use, subject, throughIntermediate, expired, host));

    // Shakes hands and, as in TLS 1.3 a refusal of the client's certificate reaches it only when it reads, lets one byte pass.
    private static async Task<(Channel Client, Channel Server)> ShakeAsync(SslClientAuthenticationOptions client, SslServerAuthenticationOptions server)
    {
        var (left, right) = MemoryTransport.TransportPair();
        var serving = TlsTransport.ServeAsync(right, server, default).AsTask();
        var dialing = TlsTransport.DialAsync(left, client, default).AsTask();
        await Task.WhenAll(serving, dialing).WaitAsync(Patience);
        var (there, here) = (new BufferedChannel(await dialing), new BufferedChannel(await serving));
        await here.Output.WriteAsync("!"u8.ToArray());
        await Bytes.ReadExactlyAsync(there, 1);
        return (there, here);
    }

    private Task<(Channel Client, Channel Server)> WithClientCertificateAsync(SslStreamCertificateContext? own, bool asked = true) =>
        ShakeAsync(
            TlsOptions.ForClient("localhost", authority.Certificates, own),
            TlsOptions.ForServer(authority.ServerIdentity, asked ? authority.Certificates : null));

    private Task<(Channel Client, Channel Server)> WithServerCertificateAsync(SslStreamCertificateContext server, string host = "localhost") =>
        ShakeAsync(TlsOptions.ForClient(host, authority.Certificates, own: null), TlsOptions.ForServer(server, clientCa: null));

    // ---- clients ----------------------------------------------------------------------------------------------

    [Fact]
    public async Task A_client_certificate_names_the_user_and_its_groups()
    {
        var (client, server) = await WithClientCertificateAsync(Issue(CertificateUse.Client, "O=system:masters, O=devs, CN=alice"));
        Assert.Equal("alice", server.PeerUser!.Name);
        Assert.Equal(["devs", "system:masters"], server.PeerUser.Groups.Order());
        await client.DisposeAsync();
        await server.DisposeAsync();
    }

    [Fact]
    public async Task A_client_may_come_without_a_certificate()
    {
        var (_, server) = await WithClientCertificateAsync(own: null);
        Assert.Null(server.PeerUser);
    }

    [Fact]
    public async Task A_certificate_that_was_not_asked_for_names_nobody()
    {
        var (_, server) = await WithClientCertificateAsync(Issue(CertificateUse.Client, "CN=alice"), asked: false);
        Assert.Null(server.PeerUser);
    }

    [Fact]
    public async Task A_client_certificate_through_an_intermediate_authority_is_believed()
    {
        var (_, server) = await WithClientCertificateAsync(Issue(CertificateUse.Client, "CN=bob", throughIntermediate: true));
        Assert.Equal("bob", server.PeerUser!.Name);
    }

    [Theory]
    [InlineData("another authority's")]
    [InlineData("a server's")]
    [InlineData("one whose time is over")]
    public async Task A_client_certificate_that_is_not_believed_is_refused(string which)
    {
        var certificate = which switch
        {
            "another authority's" => TestAuthority.Identity(other.Issue(CertificateUse.Client, "CN=alice")),
            "a server's" => Issue(CertificateUse.Server, "CN=alice"),
            _ => Issue(CertificateUse.Client, "CN=alice", expired: true),
        };
        await Assert.ThrowsAnyAsync<IOException>(() => WithClientCertificateAsync(certificate));
    }

    [Theory]
    [InlineData("O=devs")]
    [InlineData("CN=")]
    public async Task A_certificate_without_a_name_names_nobody(string subject)
    {
        var (_, server) = await WithClientCertificateAsync(Issue(CertificateUse.Client, subject));
        Assert.Null(server.PeerUser);
    }

    [Fact]
    public async Task A_name_that_cannot_stand_in_a_field_names_nobody()
    {
        var (_, server) = await WithClientCertificateAsync(Issue(CertificateUse.Client, "CN=\"al\u00e9\""));
        Assert.Null(server.PeerUser);
    }

    // ---- servers ----------------------------------------------------------------------------------------------

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1")]
    public async Task A_server_is_believed_by_name_or_address(string host)
    {
        var (client, _) = await WithServerCertificateAsync(Issue(CertificateUse.Server, "CN=whatever", throughIntermediate: host == "localhost"), host);
        Assert.NotNull(client);
    }

    [Theory]
    [InlineData("another name's")]
    [InlineData("another authority's")]
    [InlineData("a client's")]
    [InlineData("one whose time is over")]
    public async Task A_server_certificate_that_is_not_believed_is_refused(string which)
    {
        var certificate = which switch
        {
            "another name's" => Issue(CertificateUse.Server, "CN=localhost", host: "elsewhere"),
            "another authority's" => TestAuthority.Identity(other.Issue(CertificateUse.Server, "CN=localhost")),
            "a client's" => Issue(CertificateUse.Client, "CN=localhost"),
            _ => Issue(CertificateUse.Server, "CN=localhost", expired: true),
        };
        var refused = await Assert.ThrowsAnyAsync<IOException>(() => WithServerCertificateAsync(certificate));
        Assert.StartsWith("TLS: ", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_http_1_is_spoken()
    {
        var (left, right) = await SocketPair.HalfRawAsync();
        var serving = TlsTransport.ServeAsync(right, TlsOptions.ForServer(authority.ServerIdentity, clientCa: null), default).AsTask();
        await using var both = RawTls(left);
        await both.AuthenticateAsClientAsync(RawOptions(SslApplicationProtocol.Http2, SslApplicationProtocol.Http11));
        Assert.Equal(SslApplicationProtocol.Http11, both.NegotiatedApplicationProtocol);
        (await serving).Dispose();

        (left, right) = await SocketPair.HalfRawAsync();
        serving = TlsTransport.ServeAsync(right, TlsOptions.ForServer(authority.ServerIdentity, clientCa: null), default).AsTask();
        await using var only2 = RawTls(left);
        await Assert.ThrowsAnyAsync<AuthenticationException>(() => only2.AuthenticateAsClientAsync(RawOptions(SslApplicationProtocol.Http2)));
        await Assert.ThrowsAnyAsync<IOException>(() => serving);
    }

    private SslClientAuthenticationOptions RawOptions(params SslApplicationProtocol[] protocols) => new()
    {
        TargetHost = "localhost",
        ApplicationProtocols = [.. protocols],
        CertificateChainPolicy = TlsOptions.ForClient("localhost", authority.Certificates, own: null).CertificateChainPolicy,
    };

    private static SslStream RawTls(Socket socket) => new(new NetworkStream(socket, ownsSocket: true));

    // ---- peers that misbehave ---------------------------------------------------------------------------------

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_end_without_the_session_s_own_is_no_end(bool orderly)
    {
        var (left, right) = await SocketPair.HalfRawAsync();
        var serving = TlsTransport.ServeAsync(right, TlsOptions.ForServer(authority.ServerIdentity, clientCa: null), default).AsTask();
        var raw = RawTls(left);
        await raw.AuthenticateAsClientAsync(RawOptions(SslApplicationProtocol.Http11));
        await using var channel = new BufferedChannel(await serving);
        await raw.WriteAsync("half a message"u8.ToArray());
        if (orderly) await raw.ShutdownAsync();
        left.Shutdown(SocketShutdown.Send);
        var (received, lost) = await Bytes.ReadUntilLostAsync(channel).WaitAsync(Patience);
        Assert.Equal(14, received);
        Assert.NotEqual(orderly, lost);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: plain\r\n\r\n")]
    [InlineData("\u0016\u0003\u0001\u0000\u0005hello")]
    [InlineData("")]
    public async Task What_is_no_handshake_is_refused(string spoken)
    {
        var (left, right) = await SocketPair.ConnectAsync();
        var serving = TlsTransport.ServeAsync(right, TlsOptions.ForServer(authority.ServerIdentity, clientCa: null), default).AsTask();
        await left.SendAsync(System.Text.Encoding.Latin1.GetBytes(spoken));
        await left.EndSendAsync();
        var refused = await Assert.ThrowsAnyAsync<IOException>(() => serving.WaitAsync(Patience));
        Assert.StartsWith("TLS: ", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_peer_that_says_nothing_is_given_its_time_and_no_more(bool serving)
    {
        var time = new FakeTimeProvider();
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(Bounds.HandshakeTimeMaxMs), time);
        var (left, right) = MemoryTransport.TransportPair();
        var shaking = serving
            ? TlsTransport.ServeAsync(right, TlsOptions.ForServer(authority.ServerIdentity, clientCa: null), limit.Token).AsTask()
            : TlsTransport.DialAsync(right, TlsOptions.ForClient("localhost", authority.Certificates, own: null), limit.Token).AsTask();
        time.Advance(TimeSpan.FromMilliseconds(Bounds.HandshakeTimeMaxMs - 1));
        Assert.False(shaking.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => shaking.WaitAsync(Patience));
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (await left.ReceiveAsync(new byte[4096]) > 0)
            {
                // The peer's hello, if there was time for it; then the reset.
            }
        });
    }

    [Fact]
    public async Task Signing_is_left_to_the_thread_pool()
    {
        // The carrier completes on a thread of its own, as the socket engine does when completions run inline.
        using var engine = new EngineThread();
        var (left, right) = MemoryTransport.TransportPair();
        var server = TlsOptions.ForServer(authority.ServerIdentity, clientCa: null);
        var onPool = new List<bool>();
        var client = TlsOptions.ForClient("localhost", authority.Certificates, own: null);
        client.RemoteCertificateValidationCallback = (_, _, _, errors) =>
        {
            onPool.Add(Thread.CurrentThread.IsThreadPoolThread);
            return errors == SslPolicyErrors.None;
        };
        var serving = TlsTransport.ServeAsync(engine.Carry(right), server, default).AsTask();
        using var dialed = await TlsTransport.DialAsync(engine.Carry(left), client, default);
        using var served = await serving;
        Assert.Equal([true], onPool);
    }

    // Completes every receive on one thread.
    private sealed class EngineThread : IDisposable
    {
        private readonly System.Collections.Concurrent.BlockingCollection<Action> _work = [];
        private readonly Thread _thread;

        public EngineThread()
        {
            _thread = new Thread(() =>
            {
                foreach (var work in _work.GetConsumingEnumerable()) work();
            });
            _thread.Start();
        }

        public ByteTransport Carry(ByteTransport transport) => new Carried(this, transport);

        public void Dispose()
        {
            _work.CompleteAdding();
            _thread.Join();
            _work.Dispose();
        }

        private sealed class Carried(EngineThread engine, ByteTransport transport) : ByteTransport
        {
            public override ValueTask<int> ReceiveAsync(Memory<byte> buffer)
            {
                var completion = new TaskCompletionSource<int>();
                _ = CompleteAsync(buffer, completion);
                return new ValueTask<int>(completion.Task);
            }

            private async Task CompleteAsync(Memory<byte> buffer, TaskCompletionSource<int> completion)
            {
                var received = await transport.ReceiveAsync(buffer);
                engine._work.Add(() => completion.SetResult(received));
            }

            public override ValueTask SendAsync(ReadOnlyMemory<byte> data) => transport.SendAsync(data);

            public override ValueTask EndSendAsync() => transport.EndSendAsync();

            public override void Abort() => transport.Abort();

            protected override void Dispose(bool disposing) => transport.Abort();
        }
    }
}

/// <summary>An authority that nobody here believes.</summary>
public sealed class OtherAuthority : IDisposable
{
    private readonly TestAuthority _authority = new();

    public (string Certificate, string Key) Issue(CertificateUse use, string subject) => _authority.Issue(use, subject);

    public void Dispose() => _authority.Dispose();
}
