using System.Buffers.Text;
using System.Globalization;
using System.Net;
using System.Text;

namespace Cheops.Agent.Collaboration;

/// <summary>One TCP socket of this machine, as <c>/proc/net/tcp</c> tells of it.</summary>
/// <param name="Inode">Its number; a process's descriptors link to <c>socket:[number]</c>.</param>
/// <param name="UserId">The user that made it.</param>
internal readonly record struct SocketEntry(long Inode, int UserId);

/// <summary>
/// Reads the text of <c>/proc/net/tcp</c> and <c>tcp6</c> (proc_pid_net(5)): a line of headings, then one line a socket:
/// number, local address, remote address, state, queues, timers, retransmissions, user, timeout, inode. Addresses are
/// the words of the address in the machine's byte order, in hexadecimal, and the port.
/// </summary>
internal static class SocketTable
{
    private const int LocalColumn = 1;
    private const int StateColumn = 3;
    private const int UserColumn = 7;
    private const int InodeColumn = 9;

    /// <summary>The socket whose own end is <paramref name="local"/> and that is not listening; null when there is none.</summary>
    /// <param name="table">The whole text of a table.</param>
    /// <param name="local">Its end.</param>
    public static SocketEntry? FindConnected(ReadOnlySpan<byte> table, IPEndPoint local)
    {
        var wanted = TextOf(local);
        foreach (var line in Lines(table))
        {
            if (line.IndexOf(wanted) >= 0 && Column(line, LocalColumn).SequenceEqual(wanted) && !IsListening(line)) return EntryOf(line);
        }

        return null;
    }

    /// <summary>The sockets that listen at <paramref name="port"/>, on <paramref name="address"/> or all addresses.</summary>
    /// <param name="table">The whole text of a table.</param>
    /// <param name="address">The address; null for any.</param>
    /// <param name="port">The port.</param>
    public static IEnumerable<SocketEntry> FindListening(byte[] table, IPAddress? address, int port)
    {
        var found = new List<SocketEntry>();
        var end = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $":{port:X4}"));
        var wanted = address is null ? null : TextOf(new IPEndPoint(address, port));
        foreach (var line in Lines(table))
        {
            if (!IsListening(line)) continue;
            var local = Column(line, LocalColumn);
            var isAny = local.EndsWith(end) && local[..^end.Length].IndexOfAnyExcept((byte)'0') < 0;
            if ((wanted is null ? local.EndsWith(end) : local.SequenceEqual(wanted) || isAny) && EntryOf(line) is { } entry) found.Add(entry);
        }

        return found;
    }

    /// <summary>An end as the table writes it.</summary>
    internal static byte[] TextOf(IPEndPoint end)
    {
        Span<byte> address = stackalloc byte[16];
        end.Address.TryWriteBytes(address, out var length);
        var text = new StringBuilder();
        for (var word = 0; word < length; word += 4) text.Append(CultureInfo.InvariantCulture, $"{BitConverter.ToUInt32(address[word..]):X8}");
        return Encoding.ASCII.GetBytes(text.Append(CultureInfo.InvariantCulture, $":{end.Port:X4}").ToString());
    }

    private static SocketEntry? EntryOf(ReadOnlySpan<byte> line) =>
        Utf8Parser.TryParse(Column(line, InodeColumn), out long inode, out _) && inode != 0 && Utf8Parser.TryParse(Column(line, UserColumn), out int user, out _)
            ? new SocketEntry(inode, user)
            : null;

    private static bool IsListening(ReadOnlySpan<byte> line) => Column(line, StateColumn).SequenceEqual("0A"u8);

    private static ReadOnlySpan<byte> Column(ReadOnlySpan<byte> line, int column)
    {
        while (true)
        {
            line = line.TrimStart((byte)' ');
            var end = line.IndexOf((byte)' ');
            if (column-- == 0) return end < 0 ? line : line[..end];
            if (end < 0) return default;
            line = line[end..];
        }
    }

    private static LineEnumerator Lines(ReadOnlySpan<byte> table) => new(table);

    private ref struct LineEnumerator(ReadOnlySpan<byte> left)
    {
        private ReadOnlySpan<byte> _left = left;

        public ReadOnlySpan<byte> Current { get; private set; }

        public readonly LineEnumerator GetEnumerator() => this;

        public bool MoveNext()
        {
            if (_left.IsEmpty) return false;
            var end = _left.IndexOf((byte)'\n');
            Current = end < 0 ? _left : _left[..end];
            _left = end < 0 ? default : _left[(end + 1)..];
            return true;
        }
    }
}
