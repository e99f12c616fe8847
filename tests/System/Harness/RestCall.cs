using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Cheops.Tests.System.Harness;

/// <summary>One request at a <see cref="RestService"/>, and its answer.</summary>
internal sealed class RestCall(Socket socket, NetworkStream stream, WireReader reader, WireHead head)
{
    private bool _closed;

    public WireHead Head { get; } = head;

    public string Method { get; } = head.StartLine.Split(' ')[0];

    public string Target { get; } = head.StartLine.Split(' ')[1];

    /// <summary>Bytes as they come, for upgrades and faults.</summary>
    public NetworkStream Stream => stream;

    public WireReader Reader => reader;

    public async Task<string> BodyAsync() => Encoding.UTF8.GetString(await reader.ReadBodyAsync(Head));

    /// <summary>Reads the body to its end without keeping it.</summary>
    public Task<long> SkipBodyAsync(Action<ReadOnlyMemory<byte>>? seen = null) => reader.SkipBodyAsync(Head, seen);

    /// <summary>Answers with a whole body.</summary>
    public async Task AnswerAsync(int status, string body = "", params (string Name, string Value)[] fields)
    {
        await SkipBodyAsync();
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"HTTP/1.1 {status} Because\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n");
        foreach (var (name, value) in fields) text.Append(name).Append(": ").Append(value).Append("\r\n");
        text.Append("\r\n");
        if (Method != "HEAD") text.Append(body);
        await WriteAsync(text.ToString());
    }

    public Task AnswerJsonAsync(int status, string json) => AnswerAsync(status, json, ("Content-Type", "application/json"));

    /// <summary>Writes bytes as they are.</summary>
    public async Task WriteAsync(string text) => await stream.WriteAsync(Encoding.UTF8.GetBytes(text));

    /// <summary>Begins a chunked answer.</summary>
    public Task BeginAsync(int status, params (string Name, string Value)[] fields) => WriteAsync(
        $"HTTP/1.1 {status} Because\r\nTransfer-Encoding: chunked\r\n{string.Concat(fields.Select(field => $"{field.Name}: {field.Value}\r\n"))}\r\n");

    public Task ChunkAsync(string text) => WriteAsync($"{Encoding.UTF8.GetByteCount(text):x}\r\n{text}\r\n");

    public Task EndAsync() => WriteAsync("0\r\n\r\n");

    /// <summary>Cuts the connection with a reset.</summary>
    public void Reset()
    {
        _closed = true;
        socket.Close(0);
    }

    /// <summary>Closes the connection in order.</summary>
    public void Close()
    {
        _closed = true;
        socket.Shutdown(SocketShutdown.Both);
        socket.Dispose();
    }

    /// <summary>Completes when the other end closes or resets the connection.</summary>
    public async Task GoneAsync()
    {
        var one = new byte[4096];
        try
        {
            while (await stream.ReadAsync(one) > 0)
            {
            }
        }
        catch (IOException)
        {
            // A reset says the same.
        }

        _closed = true;
    }

    internal async Task<bool> FinishAsync()
    {
        if (_closed) return false;
        await SkipBodyAsync();
        return true;
    }
}
