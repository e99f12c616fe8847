using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Cheops.Agent.Collaboration;

/// <summary>Where a service instance listens.</summary>
/// <param name="Service">The service.</param>
/// <param name="Address">Its address; null when settings give a name instead of an address: any address then.</param>
/// <param name="Port">Its port.</param>
internal readonly record struct ServiceSocket(string Service, IPAddress? Address, int Port);

/// <summary>
/// Tells which of this site's services calls, by who owns the client's end of a connection: for services on the agent's
/// machine that hand nothing of a request on.
/// </summary>
/// <remarks>
/// A service is the processes that hold the socket on which it listens. An agent that may not look into those processes
/// goes by the user that owns both sockets, if only one service runs as that user. Reads /proc alone, which never waits
/// for a device; it is asked only while services here carry out requests with scopes.
/// </remarks>
internal sealed class SocketOwners(IEnumerable<ServiceSocket> services, TimeProvider time)
{
    // Processes come and go as services are restarted or fork; a look at all of them takes milliseconds.
    private static readonly TimeSpan HoldersKept = TimeSpan.FromSeconds(2);

    private readonly ServiceSocket[] _services = [.. services];
    private readonly Lock _lock = new();
    private Holder[] _holders = [];
    private long _holdersAt;
    private bool _looked;

    // What is known of one service: who may have made its sockets, and the processes that hold them, if they can be seen.
    private sealed record Holder(string Service, int[] UserIds, int[] ProcessIds);

    /// <summary>The service that owns the client's end of a connection; null when none does, or more than one might.</summary>
    /// <param name="address">The client's address.</param>
    /// <param name="port">The client's port.</param>
    public string? Find(string address, int port)
    {
        if (!IPAddress.TryParse(address, out var client) || FindSocket(client, port) is not { } socket) return null;
        var candidates = Holders().Where(holder => holder.UserIds.Contains(socket.UserId)).ToArray();
        var link = LinkOf(socket.Inode);
        var seen = candidates.Where(holder => holder.ProcessIds.Any(process => Sockets(process).Contains(link))).ToArray();
        if (seen.Length > 0) return seen.Length == 1 ? seen[0].Service : null;
        return candidates is [{ ProcessIds: [] } only] ? only.Service : null;
    }

    private static SocketEntry? FindSocket(IPAddress address, int port)
    {
        if (address.AddressFamily == AddressFamily.InterNetwork && SocketTable.FindConnected(Read("tcp"), new IPEndPoint(address, port)) is { } found) return found;
        return SocketTable.FindConnected(Read("tcp6"), new IPEndPoint(address.MapToIPv6(), port));
    }

    private Holder[] Holders()
    {
        lock (_lock)
        {
            if (_looked && time.GetElapsedTime(_holdersAt) < HoldersKept) return _holders;
            _holders = Look();
            _holdersAt = time.GetTimestamp();
            _looked = true;
            return _holders;
        }
    }

    private Holder[] Look()
    {
        byte[][] tables = [Read("tcp"), Read("tcp6")];
        var listening = _services
            .GroupBy(service => service.Service, service => Listening(tables, service))
            .Select(group => (Service: group.Key, Sockets: group.SelectMany(sockets => sockets).ToArray()))
            .Where(service => service.Sockets.Length > 0)
            .ToArray();
        var links = listening.ToDictionary(service => service.Service, service => service.Sockets.Select(socket => LinkOf(socket.Inode)).ToArray());
        var processes = listening.ToDictionary(service => service.Service, _ => new List<int>());
        foreach (var process in Processes())
        {
            var sockets = Sockets(process);
            foreach (var (service, wanted) in links)
            {
                if (wanted.Any(sockets.Contains)) processes[service].Add(process);
            }
        }

        return [.. listening.Select(service => new Holder(
            service.Service, [.. service.Sockets.Select(socket => socket.UserId).Distinct()], [.. processes[service.Service]]))];
    }

    private static IEnumerable<SocketEntry> Listening(byte[][] tables, ServiceSocket service) =>
        tables.SelectMany(table => SocketTable.FindListening(table, service.Address, service.Port));

    private static string LinkOf(long inode) => string.Create(CultureInfo.InvariantCulture, $"socket:[{inode}]");

    private static IEnumerable<int> Processes() =>
        from directory in Directory.EnumerateDirectories("/proc")
        let process = int.TryParse(Path.GetFileName(directory.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0
        where process > 0
        select process;

    // Of a process that is gone, or that is not ours to look into: none.
    private static HashSet<string> Sockets(int process)
    {
        var links = new HashSet<string>();
        try
        {
            foreach (var descriptor in new DirectoryInfo(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/fd")).EnumerateFileSystemInfos())
            {
                if (descriptor.LinkTarget is { } target && target.StartsWith("socket:", StringComparison.Ordinal)) links.Add(target);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return links;
        }

        return links;
    }

    private static byte[] Read(string table)
    {
        try
        {
            return File.ReadAllBytes($"/proc/net/{table}");
        }
        catch (IOException)
        {
            // No IPv6 in this kernel, or no /proc: nothing can be told.
            return [];
        }
    }
}
