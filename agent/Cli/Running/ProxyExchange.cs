using System.Buffers;
using System.Net.Sockets;
using System.Text;
using Cheops.Agent.Settings;
using Cheops.Proto;
using Cheops.Proto.Http;

namespace Cheops.Agent.Cli.Running;

/// <summary>One request through <see cref="ScopeProxy"/>: its head is rewritten, everything else passes byte for byte.</summary>
internal sealed class ProxyExchange(Socket client, string scope, Action<string> noteTunnel, TimeProvider time)
{
    private const int BufferSize = 64 * 1024;

    private readonly RequestHead _head = new();
    private byte[] _input = new byte[BufferSize];
    private int _length;

    public async Task RunAsync(CancellationToken cancellation)
    {
        var consumed = await ReadHeadAsync(cancellation);
        if (consumed == 0) return;
        var rest = _input.AsMemory(consumed, _length - consumed);
        if (TunnelTarget() is { } tunnel)
        {
            noteTunnel(tunnel.Host);
            if (await ConnectAsync(tunnel, cancellation) is not { } far) return;
            using var _ = far;
            await SendAsync(client, "HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray(), cancellation);
            await SendAsync(far, rest, cancellation);
            await RelayBothAsync(far, cancellation);
            return;
        }

        if (Target(out var reason) is not { } target)
        {
            await AnswerAsync(400, reason, cancellation);
            return;
        }

        if (await ConnectAsync(target, cancellation) is not { } service) return;
        using (service)
        {
            await SendAsync(service, Rewritten(), cancellation);
            var answering = RelayAsync(service, client, cancellation);
            var asking = _head.IsUpgrade ? SendThenRelayAsync(rest, service, cancellation) : RelayBodyAsync(rest, service, cancellation);
            await Task.WhenAny(answering, asking);
            if (asking.IsFaulted) await asking;
            await answering;
        }
    }

    // ---- head -------------------------------------------------------------------------------------------------

    // CONNECT is refused by the parser, which serves agents; its line is looked at by hand.
    private bool IsConnect => _input.AsSpan(0, _length).StartsWith("CONNECT "u8);

    private async Task<int> ReadHeadAsync(CancellationToken cancellation)
    {
        var parser = new HeadParser();
        while (true)
        {
            if (_length == _input.Length) Array.Resize(ref _input, _input.Length * 2);
            var read = await client.ReceiveAsync(_input.AsMemory(_length), SocketFlags.None, cancellation);
            if (read == 0) return 0;
            _length += read;
            if (IsConnect)
            {
                var end = _input.AsSpan(0, _length).IndexOf("\r\n\r\n"u8);
                if (end >= 0) return end + 4;
                if (_length <= Bounds.HeadSizeMax) continue;
                await AnswerAsync(431, "the head of the request is too large", cancellation);
                return 0;
            }

            switch (parser.Parse(_input.AsSpan(0, _length), _head, out var consumed, out var refusal))
            {
                case ParseStatus.Done: return (int)consumed;
                case ParseStatus.Refused:
                    await AnswerAsync(refusal.Status(), refusal.Describe(), cancellation);
                    return 0;
            }
        }
    }

    private HostPort? TunnelTarget()
    {
        if (!IsConnect) return null;
        var line = _input.AsSpan("CONNECT ".Length);
        var authority = Encoding.ASCII.GetString(line[..Math.Max(0, line.IndexOf((byte)' '))]);
        return HostPort.TryParse(authority, out var target) is null ? target : null;
    }

    private HostPort? Target(out string reason)
    {
        reason = "this is a proxy: it takes requests for http:// addresses";
        if (IsConnect) return null;
        var target = _head.Bytes[(_head.MethodBytes.Length + 1)..];
        if (target.Length < 7 || !target[..7].SequenceEqual("http://"u8)) return null;
        var authority = Encoding.ASCII.GetString(_head.Authority);
        var hasPort = authority.LastIndexOf(':') > authority.LastIndexOf(']');
        var wrong = HostPort.TryParse(hasPort ? authority : authority + ":80", out var address);
        reason = wrong ?? "";
        return wrong is null ? address : null;
    }

    private ReadOnlyMemory<byte> Rewritten()
    {
        var edits = new HeadEdits();
        if (!_head.Has(KnownField.Scope)) edits.Added.Add("Scope"u8, scope);

        // One request on each connection: that the service closes is how the client learns that the answer is over.
        if (!_head.IsUpgrade) edits.Added.Add("Connection"u8, "close"u8);
        var output = new ArrayBufferWriter<byte>(_head.Length + 256);
        HeadWriter.WriteRequest(output, _head, _head.Target, edits);
        return output.WrittenMemory;
    }

    // ---- bytes ------------------------------------------------------------------------------------------------

    private async Task<Socket?> ConnectAsync(HostPort target, CancellationToken cancellation)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(Bounds.ConnectTimeMaxMs), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        try
        {
            await socket.ConnectAsync(target.Host, target.Port, either.Token);
            return socket;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            socket.Dispose();
            await AnswerAsync(502, $"{target} was not reached: {e.Message}", cancellation);
            return null;
        }
    }

    private Task AnswerAsync(int status, string why, CancellationToken cancellation)
    {
        var body = $"cheops run: {why}\n";
        var head = $"HTTP/1.1 {status} {Encoding.ASCII.GetString(Reasons.Of(status))}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n";
        return SendAsync(client, Encoding.UTF8.GetBytes(head + body), cancellation);
    }

    private static async Task SendAsync(Socket to, ReadOnlyMemory<byte> data, CancellationToken cancellation)
    {
        while (data.Length > 0) data = data[await to.SendAsync(data, SocketFlags.None, cancellation)..];
    }

    private async Task RelayBothAsync(Socket far, CancellationToken cancellation) =>
        await Task.WhenAll(RelayAsync(far, client, cancellation), RelayAsync(client, far, cancellation));

    private async Task SendThenRelayAsync(ReadOnlyMemory<byte> first, Socket to, CancellationToken cancellation)
    {
        await SendAsync(to, first, cancellation);
        await RelayAsync(client, to, cancellation);
    }

    private static async Task RelayAsync(Socket from, Socket to, CancellationToken cancellation)
    {
        var buffer = new byte[BufferSize];
        while (await from.ReceiveAsync(buffer, SocketFlags.None, cancellation) is > 0 and var read)
            await SendAsync(to, buffer.AsMemory(0, read), cancellation);
        to.Shutdown(SocketShutdown.Send);
    }

    // Exactly the request's body goes on: a next request must not reach this service without its scope.
    private async Task RelayBodyAsync(ReadOnlyMemory<byte> first, Socket to, CancellationToken cancellation)
    {
        var left = _head.Framing == BodyFraming.Length ? _head.ContentLength : 0;
        var chunks = new ChunkedDecoder();
        var buffer = new byte[BufferSize];
        var piece = first;
        while (_head.Framing == BodyFraming.Chunked || left > 0)
        {
            if (piece.IsEmpty)
            {
                var read = await client.ReceiveAsync(buffer, SocketFlags.None, cancellation);
                if (read == 0) throw new IOException("the client went away within its request");
                piece = buffer.AsMemory(0, read);
            }

            var own = _head.Framing == BodyFraming.Chunked ? TakeChunks(ref chunks, piece.Span, out var isLast) : TakeLength(piece, ref left, out isLast);
            await SendAsync(to, piece[..own], cancellation);
            if (isLast) break;
            piece = default;
        }

        chunks.Reset();
    }

    private static int TakeLength(ReadOnlyMemory<byte> piece, ref long left, out bool isLast)
    {
        var own = (int)Math.Min(left, piece.Length);
        left -= own;
        isLast = left == 0;
        return own;
    }

    private static int TakeChunks(ref ChunkedDecoder chunks, ReadOnlySpan<byte> piece, out bool isLast)
    {
        isLast = false;
        var own = 0;
        while (own < piece.Length)
        {
            var step = chunks.Step(piece[own..], out var consumed, out _, out _, out var refusal);
            own += consumed;
            if (step == ChunkedStep.Refused) throw new IOException(refusal.Describe());
            isLast = step == ChunkedStep.Done;
            if (step is ChunkedStep.NeedMore or ChunkedStep.Done) break;
        }

        return own;
    }
}
