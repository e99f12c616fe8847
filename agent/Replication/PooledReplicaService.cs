using System.Buffers;
using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Interception;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Http;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Replication;

/// <summary>Sends over the pools of connections that requests share.</summary>
/// <param name="site">This site.</param>
/// <param name="services">Its service instances.</param>
/// <param name="deadlines">Where time is counted.</param>
internal sealed class PooledReplicaService(string site, FrozenDictionary<string, LocalService> services, Deadlines deadlines) : IReplicaService
{
    private static readonly CallLimits Limits = new(Bounds.OperationAnswerSizeMax, Bounds.AnswerTimeMaxMs);

    /// <inheritdoc/>
    public Task<ServiceReply> SendAsync(ServiceSend send, CancellationToken cancellation) =>
        OverConnectionAsync(send, connection => connection.CallAsync(Encode(send), send.Body, MethodOf(send.Method), Limits, deadlines), cancellation);

    /// <inheritdoc/>
    public Task<ServiceReply> ReadAsync(ServiceSend send, Func<ReadOnlyMemory<byte>, ValueTask> take, CancellationToken cancellation) => OverConnectionAsync(
        send,
        async connection =>
        {
            await connection.ExchangeAsync(
                Encode(send), null, HttpMethod.Get, Bounds.BodyStallTimeMaxMs, deadlines, piece => connection.Answer.Status == 200 ? take(piece) : default);
            return new KeptAnswer(connection.Answer.Status, KeptAnswer.FieldsOf(connection.Answer), default);
        },
        cancellation);

    private async Task<ServiceReply> OverConnectionAsync(ServiceSend send, Func<UpstreamConnection, Task<KeptAnswer>> exchange, CancellationToken cancellation)
    {
        if (!services.TryGetValue(send.Service, out var service)) return new(ReplyKind.NotReached, null, $"{site} has no instance of {send.Service}");
        UpstreamConnection connection;
        try
        {
            connection = await service.Pool.AcquireAsync(send.AsFrontProxy);
        }
        catch (IOException e)
        {
            return new(ReplyKind.NotReached, null, $"{send.Service} at {site}: {e.Message}");
        }

        try
        {
            using var abort = cancellation.UnsafeRegister(static connection => ((UpstreamConnection)connection!).Abort(), connection);
            var answer = await exchange(connection);
            service.Pool.Release(connection, send.AsFrontProxy);
            return new(ReplyKind.Answered, answer, "");
        }
        catch (IOException e)
        {
            _ = connection.CloseAsync();
            return new(ReplyKind.Lost, null, $"{send.Service} at {site}: {e.Message}");
        }
    }

    private static HttpMethod MethodOf(string method) => method switch
    {
        "HEAD" => HttpMethod.Head,
        "POST" => HttpMethod.Post,
        _ => HttpMethod.Get,
    };

    private ReadOnlyMemory<byte> Encode(ServiceSend send)
    {
        var buffer = new ArrayBufferWriter<byte>(send.Target.Length + send.Fields.Length + 160);
        buffer.Write(Encoding.ASCII.GetBytes(send.Method));
        buffer.Write(" "u8);
        buffer.Write(send.Target.Span);
        buffer.Write(" HTTP/1.1\r\n"u8);
        buffer.Write(send.Fields.Span);
        if (send.Body is { Framing: BodyFraming.Chunked }) buffer.Write("Transfer-Encoding: chunked\r\n"u8);
        else if (send.Body is not null) buffer.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"Content-Length: {send.BodySize}\r\n")));
        buffer.Write(Encoding.ASCII.GetBytes($"Via: 1.1 {site}\r\n\r\n"));
        return buffer.WrittenMemory;
    }
}
