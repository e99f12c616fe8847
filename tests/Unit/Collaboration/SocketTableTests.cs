using System.Net;
using System.Text;
using Cheops.Agent.Collaboration;
using CsCheck;

namespace Cheops.Tests.Unit.Collaboration;

public sealed class SocketTableTests
{
    private static readonly byte[] Table = Encoding.ASCII.GetBytes("""
          sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
           0: 0101007F:2379 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4001 1 0000000000000000 100 0 0 10 0
           1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 4002 1 0000000000000000 100 0 0 10 0
           2: 0100007F:CAFE 0101007F:2379 01 00000000:00000000 00:00000000 00000000    33        0 4003 1 0000000000000000 20 4 30 10 -1
           3: 0101007F:2379 0100007F:CAFE 01 00000000:00000000 00:00000000 00000000  1000        0 4004 1 0000000000000000 20 4 30 10 -1
           4: 0100007F:CAFF 0101007F:2379 06 00000000:00000000 03:00000D3C 00000000     0        0 0 3 0000000000000000

        """);

    [Theory]
    [InlineData("127.0.0.1:51966", 4003L, 33)]
    [InlineData("127.0.1.1:9081", 4004L, 1000)]
    [InlineData("127.0.0.1:51967", 0L, 0)] // TIME_WAIT: nobody's
    [InlineData("127.0.0.2:51966", 0L, 0)]
    public void FindsTheClientsEnd(string end, long inode, int user) =>
        Assert.Equal(inode == 0 ? null : new SocketEntry(inode, user), SocketTable.FindConnected(Table, IPEndPoint.Parse(end)));

    [Theory]
    [InlineData("127.0.1.1", 9081, 4001L)]
    [InlineData("127.0.2.1", 9081, 0L)]
    [InlineData("127.0.2.1", 8080, 4002L)] // listens on all addresses
    [InlineData(null, 9081, 4001L)]
    public void FindsWhoListens(string? address, int port, long inode) => Assert.Equal(
        inode == 0 ? [] : [inode],
        SocketTable.FindListening(Table, address is null ? null : IPAddress.Parse(address), port).Select(entry => entry.Inode));

    [Fact]
    public void WritesAddressesAsTheKernelDoes()
    {
        Assert.Equal("0100007F:1F90", Text("127.0.0.1:8080"));
        Assert.Equal("0000000000000000FFFF00000100007F:0001", Text("[::ffff:127.0.0.1]:1"));
        Assert.Equal("00000000000000000000000001000000:FFFF", Text("[::1]:65535"));

        static string Text(string end) => Encoding.ASCII.GetString(SocketTable.TextOf(IPEndPoint.Parse(end)));
    }

    [Fact]
    public void AnyBytesAreReadWithoutHarm() => Gen.Byte.Array[0, 400].Sample(bytes =>
    {
        SocketTable.FindConnected(bytes, new IPEndPoint(IPAddress.Loopback, 80));
        _ = SocketTable.FindListening(bytes, null, 80).Count();
    });

    [Fact]
    public void EveryPrefixOfATableIsReadWithoutHarm()
    {
        for (var length = 0; length <= Table.Length; length++)
        {
            var found = SocketTable.FindConnected(Table.AsSpan(0, length), IPEndPoint.Parse("127.0.0.1:51966"));
            Assert.True(found is null or { UserId: 33 or 3 });
        }
    }
}
