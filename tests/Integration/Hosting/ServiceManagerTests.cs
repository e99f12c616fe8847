using System.Net.Sockets;
using System.Text;
using Cheops.Agent.Hosting;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Integration.Hosting;

public sealed class ServiceManagerTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-test-");
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = 10_000 };
    private readonly FakeTimeProvider _time = new();

    public void Dispose()
    {
        _socket.Dispose();
        _directory.Delete(recursive: true);
    }

    private string BindPath()
    {
        var path = Path.Combine(_directory.FullName, "notify");
        _socket.Bind(new UnixDomainSocketEndPoint(path));
        return path;
    }

    private string Receive()
    {
        var buffer = new byte[1024];
        return Encoding.UTF8.GetString(buffer, 0, _socket.Receive(buffer));
    }

    private ServiceManager Manager(string address, params (string, string)[] more)
    {
        var environment = more.ToDictionary(pair => pair.Item1, pair => pair.Item2);
        environment["NOTIFY_SOCKET"] = address;
        return ServiceManager.From(environment, 42, _time);
    }

    [Fact]
    public void Its_states_are_told_as_the_protocol_says()
    {
        using var manager = Manager(BindPath());
        manager.Ready("Site1: serving\nshop");
        Assert.Equal("READY=1\nSTATUS=Site1: serving shop", Receive());
        manager.Reloading();
        Assert.Matches("^RELOADING=1\nMONOTONIC_USEC=[0-9]+$", Receive());
        manager.Stopping("draining");
        Assert.Equal("STOPPING=1\nSTATUS=draining", Receive());
        manager.Alive();
        Assert.Equal("WATCHDOG=1", Receive());
    }

    [Fact]
    public void An_abstract_address_is_reached()
    {
        var name = $"cheops-test-{Guid.NewGuid():N}";
        _socket.Bind(new UnixDomainSocketEndPoint("\0" + name));
        using var manager = Manager("@" + name);
        manager.Status("x");
        Assert.Equal("STATUS=x", Receive());
    }

    [Theory]
    [InlineData("")]
    [InlineData("/none/at/all")]
    [InlineData("relative")]
    [InlineData("vsock:2:1")]
    public void Without_a_manager_that_listens_nothing_fails(string address)
    {
        using var manager = Manager(address);
        manager.Ready("x");
        manager.Alive();
        Assert.Equal(address.StartsWith('/'), manager.IsPresent);
    }

    [Theory]
    [InlineData("2000000", "42", 2000)]
    [InlineData("2000000", null, 2000)]
    [InlineData("2000000", "43", null)]
    [InlineData("-1", "42", null)]
    [InlineData("0", "42", null)]
    [InlineData("99999999999999999999", "42", null)]
    public void The_watchdog_holds_for_the_process_it_is_meant_for(string microseconds, string? process, int? expectedMs)
    {
        using var manager = process is null
            ? Manager("/none", ("WATCHDOG_USEC", microseconds))
            : Manager("/none", ("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", process));
        Assert.Equal(expectedMs, (int?)manager.WatchdogInterval?.TotalMilliseconds);
    }

    [Fact]
    public async Task The_watchdog_hears_at_half_its_interval_while_the_agent_lives_and_no_longer()
    {
        using var manager = Manager(BindPath(), ("WATCHDOG_USEC", "2000000"));
        using var ending = new CancellationTokenSource();
        var alive = true;
        var asked = new SemaphoreSlim(0);
        var running = Watchdog.RunAsync(manager, _ =>
        {
            // Read before the test goes on and changes it.
            var lives = alive;
            asked.Release();
            return lives ? Task.FromResult(true) : throw new InvalidOperationException("stuck");
        }, _time, ending.Token);
        Assert.Equal("WATCHDOG=1", Receive());
        await asked.WaitAsync();
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("WATCHDOG=1", Receive());
        await asked.WaitAsync();

        alive = false;
        _time.Advance(TimeSpan.FromSeconds(1));
        await asked.WaitAsync();
        alive = true;
        _time.Advance(TimeSpan.FromSeconds(1));
        await asked.WaitAsync();
        Assert.Equal("WATCHDOG=1", Receive());
        Assert.Equal(0, _socket.Available);
        await ending.CancelAsync();
        await running;
    }
}
