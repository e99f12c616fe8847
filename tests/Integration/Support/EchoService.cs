using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Cheops.Tests.Integration.Support;

/// <summary>
/// A small HTTP service of its own making, which can misbehave: it echoes bodies, and by path answers early (<c>/early</c>),
/// cuts its answer short (<c>/cut</c>), or closes before it answers (<c>/close</c>). <c>/version</c> tells Kubernetes' version.
/// </summary>
public sealed class EchoService : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();

    public EchoService()
    {
        _listener.Start();
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await _listener.AcceptSocketAsync(_end.Token));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using var connection = socket;
        socket.NoDelay = true;
        var buffer = new byte[64 * 1024];
        var held = 0;
        try
        {
            while (true)
            {
                int end;
                while ((end = buffer.AsSpan(0, held).IndexOf("\r\n\r\n"u8)) < 0)
                {
                    var read = await socket.ReceiveAsync(buffer.AsMemory(held), _end.Token);
                    if (read == 0) return;
                    held += read;
                }

                var head = Encoding.ASCII.GetString(buffer, 0, end + 4);
                var rest = buffer.AsMemory(end + 4, held - end - 4);
                held = await AnswerAsync(socket, head, rest, buffer);
                if (held < 0) return;
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The agent, or the test, has closed it.
        }
    }

    // Returns how many bytes of the next request are at the start of the buffer; below zero to close.
    private async Task<int> AnswerAsync(Socket socket, string head, Memory<byte> rest, byte[] buffer)
    {
        var path = head.Split(' ')[1];
        var at = head.IndexOf("Content-Length: ", StringComparison.OrdinalIgnoreCase);
        var left = at < 0 ? 0 : long.Parse(head[(at + 16)..head.IndexOf('\r', at)], System.Globalization.CultureInfo.InvariantCulture);
        switch (path)
        {
            case "/close":
                return -1;
            case "/early":
                await socket.SendAsync("HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large"u8.ToArray(), _end.Token);

                // Closing with unread bytes resets the connection, as careless services do.
                return -1;
            case "/cut":
                await socket.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"u8.ToArray(), _end.Token);
                return -1;
        }

        if (path == "/version")
        {
            await socket.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"gitVersion\":\"v1.27.3\"}"u8.ToArray(), _end.Token);
            return 0;
        }

        await socket.SendAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n"), _end.Token);
        while (left > 0)
        {
            if (rest.IsEmpty)
            {
                var read = await socket.ReceiveAsync(buffer, _end.Token);
                if (read == 0) return -1;
                rest = buffer.AsMemory(0, read);
            }

            var piece = rest[..(int)Math.Min(left, rest.Length)];
            for (var sent = 0; sent < piece.Length;) sent += await socket.SendAsync(piece[sent..], _end.Token);
            left -= piece.Length;
            rest = rest[piece.Length..];
        }

        rest.CopyTo(buffer);
        return rest.Length;
    }

    public void Dispose()
    {
        _end.Cancel();
        _listener.Dispose();
        _end.Dispose();
    }
}
