using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Cheops.Agent.Transport;

namespace Cheops.Tests.Integration.Transport;

/// <summary>What the reactor's sockets promise below the channel.</summary>
public sealed class ReactorSocketTests
{
    [Fact]
    public async Task An_empty_receive_waits_until_something_is_there_and_takes_nothing()
    {
        var (left, right) = await SocketPair.ConnectAsync();
        using (left)
        using (right)
        {
            for (var round = 0; round < 3; round++)
            {
                // On a new connection, and again on one that has been read empty.
                var waiting = right.ReceiveAsync(Memory<byte>.Empty).AsTask();
                Assert.False(waiting.IsCompleted);
                await left.SendAsync("abc"u8.ToArray());
                Assert.Equal(0, await waiting.WaitAsync(TimeSpan.FromSeconds(20)));
                var buffer = new byte[10];
                Assert.Equal(3, await right.ReceiveAsync(buffer));
                Assert.Equal("abc"u8.ToArray(), buffer[..3]);
            }
        }
    }

    [Fact]
    public async Task What_came_before_it_was_watched_is_received()
    {
        var (left, right) = await SocketPair.RawAsync();
        using var sender = new ReactorSocket(left);
        await sender.SendAsync("early"u8.ToArray());
        await sender.EndSendAsync();
        while (right.Available < 5) await Task.Yield();
        using var receiver = new ReactorSocket(right);
        var buffer = new byte[10];
        Assert.Equal(5, await receiver.ReceiveAsync(buffer).AsTask().WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(0, await receiver.ReceiveAsync(buffer).AsTask().WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task Who_dials_where_nobody_listens_or_no_name_is_known_is_told_so()
    {
        var nobody = new TcpListener(IPAddress.Loopback, 0);
        nobody.Start();
        var port = ((IPEndPoint)nobody.LocalEndpoint).Port;
        nobody.Stop();
        var refused = await Assert.ThrowsAsync<IOException>(async () => await TcpDialer.ConnectAsync("127.0.0.1", port, CancellationToken.None));
        Assert.Contains("nothing listens there", refused.Message, StringComparison.Ordinal);
        refused = await Assert.ThrowsAsync<IOException>(async () => await TcpDialer.ConnectAsync("localhost", port, CancellationToken.None));
        Assert.Contains("nothing listens there", refused.Message, StringComparison.Ordinal);
        var unknown = await Assert.ThrowsAsync<IOException>(async () => await TcpDialer.ConnectAsync("no-such-host.invalid", port, CancellationToken.None));
        Assert.Contains("no-such-host.invalid", unknown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dial_that_nobody_answers_ends_with_its_time()
    {
        // A backlog of none that is full: the system drops what else asks.
        using var full = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        full.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        full.Listen(0);
        var address = (IPEndPoint)full.LocalEndPoint!;
        using var limit = new CancellationTokenSource();
        var dials = Enumerable.Range(0, 8).Select(_ => ReactorSocket.DialAsync(address, limit.Token).AsTask()).ToArray();
        await Task.WhenAny(dials);
        Assert.Contains(dials, dial => !dial.IsCompleted);
        await limit.CancelAsync();
        foreach (var dial in dials)
        {
            try
            {
                using var answered = await dial.WaitAsync(TimeSpan.FromSeconds(20));
            }
            catch (OperationCanceledException)
            {
                continue;
            }
        }

        Assert.Contains(dials, dial => dial.IsCanceled);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await ReactorSocket.DialAsync(address, limit.Token));
    }

    [Fact]
    public async Task A_dialed_socket_is_watched_by_the_reactor_alone()
    {
        var (left, right) = await SocketPair.ConnectAsync();
        using (left)
        using (right)
        {
            foreach (var socket in (ReactorSocket[])[left, right]) Assert.Equal(1, WatchersOf(socket.Descriptor));
        }
    }

    // How many epoll instances of this process name a descriptor.
    private static int WatchersOf(int descriptor) => Directory.EnumerateFiles("/proc/self/fdinfo")
        .Select(file =>
        {
            try
            {
                return File.ReadAllText(file);
            }
            catch (IOException)
            {
                return "";
            }
        })
        .Count(text => text.Split('\n').Any(line => line.StartsWith("tfd:", StringComparison.Ordinal) && line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1] == $"{descriptor}"));

    [Fact]
    public async Task A_closed_socket_is_let_go_of()
    {
        List<WeakReference> closed = [];
        for (var i = 0; i < 10; i++) closed.AddRange(await OpenAndCloseAsync(byAborting: i % 2 == 0));
        for (var tries = 0; tries < 50 && closed.Any(one => one.IsAlive); tries++)
        {
            GC.Collect();
            await Task.Delay(10);
        }

        Assert.DoesNotContain(closed, one => one.IsAlive);
    }

    // Not inlined, so that no local of the caller keeps them.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference[]> OpenAndCloseAsync(bool byAborting)
    {
        var (left, right) = await SocketPair.ConnectAsync();
        var waiting = right.ReceiveAsync(new byte[10]).AsTask();
        foreach (var socket in new[] { left, right })
        {
            if (byAborting) socket.Abort();
            socket.Dispose();
        }

        await Task.WhenAny(waiting);
        return [new WeakReference(left), new WeakReference(right)];
    }
}
