using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Cheops.Agent.Hosting;

/// <summary>
/// Tells the service manager what state the agent is in (sd_notify(3)): datagrams to the Unix socket in
/// <c>NOTIFY_SOCKET</c>. Without one nothing is told. A manager that does not listen is no reason to fail.
/// </summary>
public sealed class ServiceManager : IDisposable
{
    private readonly Socket? _socket;
    private readonly UnixDomainSocketEndPoint? _address;
    private readonly TimeProvider _time;

    private ServiceManager(Socket? socket, UnixDomainSocketEndPoint? address, TimeSpan? watchdog, TimeProvider time) =>
        (_socket, _address, WatchdogInterval, _time) = (socket, address, watchdog, time);

    /// <summary>Within which time it must hear from the agent again and again; null when it does not mind.</summary>
    public TimeSpan? WatchdogInterval { get; }

    /// <summary>Whether there is a manager.</summary>
    public bool IsPresent => _socket is not null;

    /// <summary>Finds the manager from the environment that it gave the process.</summary>
    /// <param name="environment"><c>NOTIFY_SOCKET</c>, <c>WATCHDOG_USEC</c> and <c>WATCHDOG_PID</c>.</param>
    /// <param name="processId">This process: the watchdog may be meant for another.</param>
    /// <param name="time">The clock.</param>
    public static ServiceManager From(IReadOnlyDictionary<string, string> environment, int processId, TimeProvider time)
    {
        if (environment.GetValueOrDefault("NOTIFY_SOCKET") is not { Length: > 1 } path || path[0] is not ('/' or '@'))
            return new ServiceManager(null, null, null, time);

        // A leading @ stands for the zero byte of an abstract address.
        var address = new UnixDomainSocketEndPoint(path[0] == '@' ? "\0" + path[1..] : path);
        var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { Blocking = false };
        return new ServiceManager(socket, address, Watchdog(environment, processId), time);
    }

    private static TimeSpan? Watchdog(IReadOnlyDictionary<string, string> environment, int processId)
    {
        var isOurs = environment.GetValueOrDefault("WATCHDOG_PID") is not { Length: > 0 } pid || pid == processId.ToString(CultureInfo.InvariantCulture);
        return isOurs && long.TryParse(environment.GetValueOrDefault("WATCHDOG_USEC"), NumberStyles.None, CultureInfo.InvariantCulture, out var microseconds)
            && microseconds is > 0 and < long.MaxValue / 10
            ? TimeSpan.FromMicroseconds(microseconds)
            : null;
    }

    /// <summary>All listeners are bound and requests are served.</summary>
    public void Ready(string status) => Send($"READY=1\nSTATUS={OneLine(status)}");

    /// <summary>One line for <c>systemctl status</c>.</summary>
    public void Status(string status) => Send($"STATUS={OneLine(status)}");

    /// <summary>Settings are being read again; <see cref="Ready"/> follows.</summary>
    public void Reloading()
    {
        // The manager compares with CLOCK_MONOTONIC, which is what timestamps are on Linux.
        var microseconds = (long)(_time.GetTimestamp() / (double)_time.TimestampFrequency * 1e6);
        Send(string.Create(CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// <summary>The agent is draining and will end.</summary>
    public void Stopping(string status) => Send($"STOPPING=1\nSTATUS={OneLine(status)}");

    /// <summary>The agent is alive.</summary>
    public void Alive() => Send("WATCHDOG=1");

    private static string OneLine(string text) => text.ReplaceLineEndings(" ");

    private void Send(string message)
    {
        if (_socket is null || _address is null) return;
        try
        {
            _socket.SendTo(Encoding.UTF8.GetBytes(message), _address);
        }
        catch (SocketException)
        {
            // Gone, or its queue is full: the next message may get through.
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket?.Dispose();
}
