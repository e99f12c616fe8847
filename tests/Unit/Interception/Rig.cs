using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Identity;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Agent.Profiles;
using Cheops.Agent.Transport;
using Cheops.Agent.Workflows;
using Cheops.Proto;
using Cheops.Proto.Problems;
using Cheops.Store.Bodies;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Interception;

/// <summary>
/// One agent's interception with everything real but the network and the clock: clients and the service are ends of
/// channels in memory, which the test holds.
/// </summary>
internal sealed class Rig : IRequestLog, IMesh, IServiceClient, IAsyncDisposable
{
    public const string Service = "shop";

    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly System.Threading.Channels.Channel<End> _dialed = System.Threading.Channels.Channel.CreateUnbounded<End>();
    private readonly List<ServerConnection> _connections = [];
    private readonly List<Task> _running = [];
    private readonly Deadlines _deadlines;
    private readonly ServerContext _context;
    private readonly int _capacity;

    public Rig(IExchangeHandler? handler = null, int capacity = 64 * 1024)
    {
        _capacity = capacity;
        _deadlines = new Deadlines(Time);
        Pool = new UpstreamPool(Dial, _deadlines, Time);
        var profiles = ProfileSet.Combine([], out _);
        var services = new Dictionary<string, LocalService> { [Service] = new(Service, profiles.For(Service), Pool) }.ToFrozenDictionary();
        handler ??= new RequestHandler(new RequestHandlerParts
        {
            Site = "Here",
            Services = services,
            Profiles = profiles,
            Mesh = this,
            Workflows = new WorkflowTable(Time, () => throw new InvalidOperationException("no workflow is expected"), profiles),
            Bodies = new MemoryBodyStore(),
            Tokens = new TokenUsers(this, Time),
            Replicants = EmptyReplicantIndex.Instance,
            Counters = new CollaborationCounters(Time),
        });
        _context = new ServerContext(handler, _deadlines, Counters, Time, "Here", "Cheops-Site: Here\r\n"u8.ToArray(), this) { IsDraining = () => Draining };
    }

    public FakeTimeProvider Time { get; } = new();

    public UpstreamPool Pool { get; }

    public InterceptionCounters Counters { get; } = new();

    public ConcurrentQueue<Exception> Unexpected { get; } = new();

    /// <summary>The lines of the log about requests.</summary>
    public ConcurrentQueue<Problem> Lines { get; } = new();

    public bool Draining { get; set; }

    /// <summary>Whether the service's address refuses connections.</summary>
    public bool Refusing { get; set; }

    /// <summary>Whether connecting to the service never ends.</summary>
    public bool Hanging { get; set; }

    private async ValueTask<Channel> Dial(bool asFrontProxy, CancellationToken cancellation)
    {
        if (Refusing) throw new IOException("the connection was refused (nothing listens there)");
        if (Hanging) await Task.Delay(Timeout.Infinite, cancellation);
        var (here, there) = MemoryTransport.Pair(_capacity);
        _dialed.Writer.TryWrite(new End(there));
        return here;
    }

    /// <summary>A client's new connection.</summary>
    public End Connect()
    {
        var (client, server) = MemoryTransport.Pair(_capacity);
        var origin = new ExchangeOrigin { Service = Service, Scheme = "http", ClientAddress = "192.0.2.1", ClientPort = 1234 };
        var connection = new ServerConnection(server, origin, _context);
        _connections.Add(connection);
        _running.Add(connection.RunAsync());
        return new End(client);
    }

    /// <summary>The service's end of the next connection that the agent makes to it.</summary>
    public async Task<End> AcceptAsync()
    {
        using var limit = new CancellationTokenSource(Patience);
        return await _dialed.Reader.ReadAsync(limit.Token);
    }

    /// <summary>Whether the agent made another connection to the service.</summary>
    public bool HasDialed => _dialed.Reader.TryPeek(out _);

    public void Drain()
    {
        Draining = true;
        foreach (var connection in _connections) connection.Drain();
    }

    /// <summary>Waits until <paramref name="condition"/> holds.</summary>
    public static async Task UntilAsync(Func<bool> condition, string what)
    {
        var end = DateTime.UtcNow + Patience;
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < end, $"awaited in vain: {what}");
            await Task.Delay(1);
        }
    }

    /// <summary>Lets time pass until <paramref name="task"/> ends; returns how much it took, in milliseconds.</summary>
    public async Task<int> PassTimeAsync(Task task, int atMostMs)
    {
        // The agent's steps take real time, of which the clock knows nothing: give it some at every step, and more when what is
        // awaited may be due, so that on a busy machine time does not run away from it.
        var passed = 0;
        for (; !task.IsCompleted && passed <= atMostMs; passed += Bounds.DeadlineSweepMs)
        {
            await Task.WhenAny(task, Task.Delay(passed > atMostMs / 2 ? 10 : 1));
            if (!task.IsCompleted) Time.Advance(TimeSpan.FromMilliseconds(Bounds.DeadlineSweepMs));
        }

        await task.WaitAsync(Patience);
        return passed;
    }

    /// <summary>Waits until the agent has read a part of the head on the last connection that was made.</summary>
    public Task UntilHeadBegunAsync() => UntilAsync(() => !_connections[^1].IsIdle, "a head has begun");

    /// <summary>
    /// Lets time pass until the agent has ended the last connection that was made, and no longer: what is read of the end is not
    /// awaited for long. Returns how much it took, in milliseconds.
    /// </summary>
    public async Task<int> PassTimeUntilEndedAsync(int atMostMs)
    {
        var passed = 0;
        for (; !_connections[^1].IsEnded; passed += Bounds.DeadlineSweepMs)
        {
            Assert.True(passed <= atMostMs, "the connection was not ended in time");
            await Task.Yield();
            Time.Advance(TimeSpan.FromMilliseconds(Bounds.DeadlineSweepMs));
        }

        return passed;
    }

    /// <summary>Resets all connections, as an agent that ends does.</summary>
    public void Abort()
    {
        foreach (var connection in _connections) connection.Abort();
    }

    /// <summary>The one line that the log has, once everything has ended.</summary>
    public async Task<Problem> LineAsync()
    {
        await UntilAsync(() => !Lines.IsEmpty, "the log has a line");
        await UntilAsync(() => Counters.Active == 0, "the request is over");
        return Assert.Single(Lines);
    }

    public void Failed(Exchange exchange)
    {
        // Read as the log does: the head may be no head at all.
        _ = exchange.Request.MethodBytes.Length + exchange.Target.Length;
        Lines.Enqueue(exchange.Failure!);
    }

    void IRequestLog.Unexpected(Exchange exchange, Exception error) => Unexpected.Enqueue(error);

    ImmutableArray<SiteStatus> IMesh.Sites { get; } = [new SiteStatus { Name = "Here", IsSelf = true, State = SiteState.Up }];

    Func<InboundStream, Task> IMesh.StreamHandler
    {
        set => throw new NotSupportedException();
    }

    Channel IMesh.OpenStream(string site, StreamOpening opening) => throw new NotSupportedException();

    Task<ServiceAnswer> IServiceClient.CallAsync(ServiceRequest request, CancellationToken cancellation) => throw new NotSupportedException();

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in _connections) connection.Abort();
        await Task.WhenAll(_running).WaitAsync(Patience);
        await Pool.DisposeAsync();
        _deadlines.Dispose();
        Assert.Empty(Unexpected);
        Assert.All(Lines, line => Assert.Equal(("Here", Service), (line.Site, line.Service)));
        Assert.Equal(0, Counters.Connections);
        Assert.Equal(0, Counters.Active);
    }
}
