using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Cheops.Tests.System.Harness;

/// <summary>A connection on which a test says exactly what it wants.</summary>
internal sealed class RawClient : IAsyncDisposable
{
    private readonly Socket _socket;

    private RawClient(Socket socket)
    {
        _socket = socket;
        Stream = new NetworkStream(socket);
        Reader = new WireReader(Stream);
    }

    public NetworkStream Stream { get; }

    public WireReader Reader { get; }

    public static async Task<RawClient> ConnectAsync(Uri to)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Parse(to.Host), to.Port));
            return new RawClient(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public async Task SendAsync(string text) => await Stream.WriteAsync(Encoding.Latin1.GetBytes(text));

    /// <summary>The next answer's head; the connection must not have been closed.</summary>
    public async Task<WireHead> AnswerAsync(TimeSpan? most = null) =>
        await Wait.ForAsync(Reader.ReadHeadAsync(), "an answer's head", most) ?? throw new IOException("closed without an answer");

    public async Task<string> BodyAsync(WireHead head) => Encoding.UTF8.GetString(await Wait.ForAsync(Reader.ReadBodyAsync(head), "an answer's body"));

    /// <summary>Cuts the connection with a reset.</summary>
    public void Reset() => _socket.Close(0);

    public async ValueTask DisposeAsync()
    {
        await Stream.DisposeAsync();
        _socket.Dispose();
    }
}
