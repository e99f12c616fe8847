using System.Net;
using System.Net.Sockets;
using Cheops.Agent.Hosting;
using Cheops.Agent.Settings;
using Cheops.Agent.Transport;
using Microsoft.Extensions.Logging.Abstractions;

namespace Cheops.Tests.Integration.Hosting;

/// <summary>What the watchdog is told: the agent is alive only while the threads that serve come round, and time-outs are kept.</summary>
public sealed class AgentAliveTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-test-");

    public void Dispose() => _directory.Delete(recursive: true);

    private Agent.Hosting.Agent Make(DataDirectory data, TimeProvider time) => new(new AgentContext
    {
        Settings = new AgentSettings
        {
            Site = "Site1",
            DataDirectory = data.PathOf(""),
            Services = [new ServiceSettings { Name = "shop", Listen = [IPEndPoint.Parse("127.0.0.1:0")], Upstream = new UpstreamAddress(false, "127.0.0.1", 1) }],
        },
        Log = NullLoggerFactory.Instance,
        Time = time,
        Data = data,
    });

    [Fact]
    public async Task A_thread_that_hangs_among_the_sockets_is_noticed()
    {
        using var data = DataDirectory.Open(_directory.FullName);
        await using var agent = Make(data, TimeProvider.System);
        Assert.True(await agent.IsAliveAsync(CancellationToken.None).WaitAsync(Patience));

        // Whoever awaits a socket runs on the thread that polls it: this one does what none may.
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using var socket = new ReactorSocket(await listener.AcceptSocketAsync());
        var hangs = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var go = new ManualResetEventSlim();
        var hanging = HangAsync(socket, hangs, go);
        await client.GetStream().WriteAsync("x"u8.ToArray());
        await hangs.Task.WaitAsync(Patience);
        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => agent.IsAliveAsync(limit.Token));
        }
        finally
        {
            go.Set();
        }

        await hanging.WaitAsync(Patience);
        Assert.True(await agent.IsAliveAsync(CancellationToken.None).WaitAsync(Patience));
    }

    private static async Task HangAsync(ReactorSocket socket, TaskCompletionSource hangs, ManualResetEventSlim go)
    {
        await socket.ReceiveAsync(new byte[1]);
        hangs.SetResult();
        go.Wait(Patience);
    }

    [Fact]
    public async Task Time_outs_that_are_kept_no_more_are_noticed()
    {
        using var data = DataDirectory.Open(_directory.FullName);
        var time = new NoTimers();
        await using var agent = Make(data, time);
        Assert.True(await agent.IsAliveAsync(CancellationToken.None).WaitAsync(Patience));
        time.Later = TimeSpan.FromMinutes(1);
        Assert.False(await agent.IsAliveAsync(CancellationToken.None).WaitAsync(Patience));
    }

    // As of a pool whose threads all hang: time passes, and no timer's callback runs.
    private sealed class NoTimers : TimeProvider
    {
        public TimeSpan Later { get; set; }

        public override long GetTimestamp() => Later.Ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => new Never();

        private sealed class Never : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
