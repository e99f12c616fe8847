using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Cheops.Agent.Redirection;

/// <summary>Where a connection was meant to go before <c>cheops redirect</c> sent it to the agent (SO_ORIGINAL_DST).</summary>
public static partial class OriginalDestination
{
    private const int LevelIp = 0;
    private const int LevelIpv6 = 41;
    private const int OriginalDestinationOption = 80; // SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST alike

    /// <summary>The address that the client dialed; null when the connection was not redirected.</summary>
    /// <param name="socket">An accepted TCP socket.</param>
    public static IPEndPoint? Of(Socket socket)
    {
        var isIpv6 = socket.AddressFamily == AddressFamily.InterNetworkV6;
        Span<byte> address = stackalloc byte[28];
        var length = address.Length;

        // ENOENT, connection tracking knows nothing of it, and ENOPROTOOPT, there is none, are what most connections answer:
        // the framework's own call would throw for each.
        if (GetOption(socket.SafeHandle, isIpv6 ? LevelIpv6 : LevelIp, OriginalDestinationOption, ref MemoryMarshal.GetReference(address), ref length) != 0) return null;
        var original = isIpv6 ? ReadIpv6(address[..length]) : ReadIpv4(address[..length]);
        return original.Equals(socket.LocalEndPoint) ? null : original;
    }

    [LibraryImport("libc", EntryPoint = "getsockopt")]
    private static partial int GetOption(SafeHandle socket, int level, int option, ref byte value, ref int length);

    // struct sockaddr_in: family (2), port (2, network order), address (4).
    private static IPEndPoint ReadIpv4(ReadOnlySpan<byte> address) =>
        new(new IPAddress(address.Slice(4, 4)), BinaryPrimitives.ReadUInt16BigEndian(address[2..]));

    // struct sockaddr_in6: family (2), port (2, network order), flow (4), address (16), scope (4).
    private static IPEndPoint ReadIpv6(ReadOnlySpan<byte> address) =>
        new(new IPAddress(address.Slice(8, 16)), BinaryPrimitives.ReadUInt16BigEndian(address[2..]));
}
