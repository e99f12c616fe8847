using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Identity;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Agent.Profiles;
using Cheops.Agent.Transport;
using Cheops.Agent.Workflows;
using Cheops.Store.Bodies;
using Cheops.Tests.Integration.Support;

namespace Cheops.Tests.Integration.Interception;

/// <summary>Runs alone: it counts what the whole process allocates.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}

/// <summary>Requests through listener, handler and pool, over real sockets, to a service that may misbehave.</summary>
[Collection(Alone.Name)]
public sealed class RelayTests : IAsyncLifetime, IDisposable, IRequestLog, IMesh, IServiceClient
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly EchoService _service = new();
    private readonly InterceptionCounters _counters = new();
    private readonly Deadlines _deadlines = new(TimeProvider.System);
    private readonly UpstreamPool _pool;
    private readonly Listener _listener;
    private Exception? _unexpected;

    public RelayTests()
    {
        _pool = new UpstreamPool(
            async (_, cancellation) => new BufferedChannel(await TcpDialer.ConnectAsync("127.0.0.1", _service.Port, cancellation)),
            _deadlines,
            TimeProvider.System);
        var profiles = ProfileSet.Combine([], out _);
        var handler = new RequestHandler(new RequestHandlerParts
        {
            Site = "Here",
            Services = new Dictionary<string, LocalService> { ["echo"] = new("echo", profiles.For("echo"), _pool) }.ToFrozenDictionary(),
            Profiles = profiles,
            Mesh = this,
            Workflows = new WorkflowTable(TimeProvider.System, () => throw new InvalidOperationException("no workflow is expected"), profiles),
            Bodies = new MemoryBodyStore(),
            Tokens = new TokenUsers(this, TimeProvider.System),
            Replicants = EmptyReplicantIndex.Instance,
            Counters = new CollaborationCounters(TimeProvider.System),
        });
        var context = new ServerContext(handler, _deadlines, _counters, TimeProvider.System, "Here", "Cheops-Site: Here\r\n"u8.ToArray(), this);
        _listener = new Listener(new ListenerOptions(new IPEndPoint(IPAddress.Loopback, 0), "echo"), context, _ => { });
        _listener.Start();
    }

    private async Task<Socket> DialAsync()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(_listener.Address);
        return socket;
    }

    private static async Task SendAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes)..];
    }

    // Reads an answer with a length: its head as text, and its body.
    private static async Task<(string Head, byte[] Body)> ReadAnswerAsync(Socket socket)
    {
        var head = new List<byte>();
        var one = new byte[1];
        while (head.Count < 4 || Encoding.ASCII.GetString([.. head[^4..]]) != "\r\n\r\n")
        {
            if (await socket.ReceiveAsync(one) == 0) throw new EndOfStreamException(Encoding.ASCII.GetString([.. head]));
            head.Add(one[0]);
        }

        var text = Encoding.ASCII.GetString([.. head]);
        var at = text.IndexOf("Content-Length: ", StringComparison.OrdinalIgnoreCase);
        var body = new byte[int.Parse(text[(at + 16)..text.IndexOf('\r', at)], System.Globalization.CultureInfo.InvariantCulture)];
        for (var read = 0; read < body.Length;)
        {
            var count = await socket.ReceiveAsync(body.AsMemory(read));
            if (count == 0) throw new EndOfStreamException($"{read} of {body.Length} bytes came");
            read += count;
        }

        return (text, body);
    }

    private static bool Closes(string head) => head.Contains("\r\nConnection: close\r\n", StringComparison.Ordinal);

    private static byte[] Request(string path, int length) =>
        Encoding.ASCII.GetBytes($"POST {path} HTTP/1.1\r\nHost: echo\r\nContent-Length: {length}\r\n\r\n");

    [Fact]
    public async Task Bodies_of_many_clients_never_mix_even_when_some_go_away()
    {
        async Task ClientAsync(int number)
        {
            var chance = new Random(number);
            var socket = await DialAsync();
            for (var i = 0; i < 15; i++)
            {
                // Every byte says whose it is.
                var body = new byte[chance.Next(10) == 0 ? chance.Next(2_000_000) : chance.Next(100_000)];
                Array.Fill(body, (byte)number);
                var sending = SendAsync(socket, (byte[])[.. Request("/echo", body.Length), .. body]);
                if (chance.Next(6) == 0)
                {
                    // Goes away somewhere on the way, and comes back.
                    for (var spins = chance.Next(3); spins > 0; spins--) await Task.Delay(1);
                    socket.LingerState = new LingerOption(true, 0);
                    socket.Dispose();
                    try
                    {
                        await sending;
                    }
                    catch (Exception e) when (e is SocketException or ObjectDisposedException)
                    {
                        // As intended.
                    }

                    socket = await DialAsync();
                    continue;
                }

                var (head, echoed) = await ReadAnswerAsync(socket);
                await sending;
                Assert.StartsWith("HTTP/1.1 200 ", head, StringComparison.Ordinal);
                Assert.Equal(body.Length, echoed.Length);
                Assert.Equal(-1, echoed.AsSpan().IndexOfAnyExcept((byte)number));
                if (!Closes(head)) continue;
                Assert.Equal(0, await socket.ReceiveAsync(new byte[1]));
                socket.Dispose();
                socket = await DialAsync();
            }

            socket.Dispose();
        }

        await Task.WhenAll(Enumerable.Range(1, 60).Select(ClientAsync)).WaitAsync(Patience);
        while (_counters.Connections > 0) await Task.Delay(1);
        Assert.Equal(0, _counters.Active);
    }

    [Fact]
    public async Task An_early_refusal_of_a_service_that_resets_reaches_a_client_that_only_sends()
    {
        var body = new byte[5_000_000];
        for (var round = 0; round < 20; round++)
        {
            using var socket = await DialAsync();
            await SendAsync(socket, (byte[])[.. Request("/early", body.Length), .. body]).WaitAsync(Patience);
            var (head, text) = await ReadAnswerAsync(socket).WaitAsync(Patience);

            // The reset may overtake the answer on its way from the service; then the client is told so.
            Assert.Matches("^HTTP/1.1 (413|502) ", head);
            if (head.StartsWith("HTTP/1.1 413 ", StringComparison.Ordinal)) Assert.Equal("too large", Encoding.ASCII.GetString(text));

            // Unless all of the body had been taken before the answer was there.
            if (Closes(head)) Assert.Equal(0, await socket.ReceiveAsync(new byte[10]));
        }
    }

    [Fact]
    public async Task An_answer_that_is_cut_short_is_seen_to_be()
    {
        using var socket = await DialAsync();
        await SendAsync(socket, Request("/cut", 0));
        await Assert.ThrowsAsync<SocketException>(() => ReadAnswerAsync(socket).WaitAsync(Patience));
    }

    [Fact]
    public async Task A_service_that_closes_before_it_answers_is_told_truthfully()
    {
        using var socket = await DialAsync();
        await SendAsync(socket, Request("/close", 0));
        var (head, body) = await ReadAnswerAsync(socket).WaitAsync(Patience);
        Assert.StartsWith("HTTP/1.1 502 ", head, StringComparison.Ordinal);
        Assert.Contains("\"retrySafe\":false", Encoding.UTF8.GetString(body), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_plain_path_allocates_next_to_nothing()
    {
        var request = "GET /echo HTTP/1.1\r\nHost: echo\r\n\r\n"u8.ToArray();
        var answer = new byte[4096];
        using var socket = await DialAsync();
        async Task<long> AskAsync(int count)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);
            for (var i = 0; i < count; i++)
            {
                await socket.SendAsync(request);
                if (await socket.ReceiveAsync(answer) < 50) throw new EndOfStreamException();
            }

            return (GC.GetTotalAllocatedBytes(precise: true) - before) / count;
        }

        await AskAsync(500);

        // Client and service are in this process and allocate as well (a few strings for each head): what is bounded is
        // the sum, so that a buffer or a head allocated for each request would be seen at once.
        Assert.InRange(await AskAsync(2_000), 0, 6_000);
    }

    void IRequestLog.Failed(Exchange exchange)
    {
    }

    void IRequestLog.Unexpected(Exchange exchange, Exception error) => _unexpected = error;

    ImmutableArray<SiteStatus> IMesh.Sites { get; } = [new SiteStatus { Name = "Here", IsSelf = true, State = SiteState.Up }];

    Func<InboundStream, Task> IMesh.StreamHandler
    {
        set => throw new NotSupportedException();
    }

    Channel IMesh.OpenStream(string site, StreamOpening opening) => throw new NotSupportedException();

    Task<ServiceAnswer> IServiceClient.CallAsync(ServiceRequest request, CancellationToken cancellation) => throw new NotSupportedException();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _listener.DisposeAsync().AsTask().WaitAsync(Patience);
        await _pool.DisposeAsync();
        Assert.Null(_unexpected);
    }

    public void Dispose()
    {
        _service.Dispose();
        _deadlines.Dispose();
    }
}
