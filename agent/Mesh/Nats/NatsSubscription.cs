using System.Buffers;
using NATS.Client.Core;

namespace Cheops.Agent.Mesh.Nats;

/// <summary>
/// A subscription whose messages are handed over where they are read, without a queue and without a copy: what is sent
/// beyond what can be taken stays in the socket. A message's bytes are valid during the call only.
/// </summary>
internal sealed class NatsSubscription(NatsConnection connection, string subject, Action<string, bool, ReadOnlyMemory<byte>> receive)
    : NatsSubBase(connection, connection.SubscriptionManager, subject, queueGroup: null, opts: null, CancellationToken.None)
{
    private static ReadOnlySpan<byte> NoRespondersHeader => "NATS/1.0 503"u8;

    protected override ValueTask ReceiveInternalAsync(
        string subject, string? replyTo, ReadOnlySequence<byte>? headersBuffer, ReadOnlySequence<byte> payloadBuffer)
    {
        var noResponders = headersBuffer is { } headers && payloadBuffer.IsEmpty && IsNoResponders(headers);
        if (payloadBuffer.IsSingleSegment)
        {
            receive(subject, noResponders, payloadBuffer.First);
            return ValueTask.CompletedTask;
        }

        var size = (int)payloadBuffer.Length;
        var copy = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            payloadBuffer.CopyTo(copy);
            receive(subject, noResponders, copy.AsMemory(0, size));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(copy);
        }

        return ValueTask.CompletedTask;
    }

    private static bool IsNoResponders(ReadOnlySequence<byte> headers)
    {
        if (headers.Length < NoRespondersHeader.Length) return false;
        Span<byte> start = stackalloc byte[NoRespondersHeader.Length];
        headers.Slice(0, start.Length).CopyTo(start);
        return start.SequenceEqual(NoRespondersHeader);
    }

    protected override void TryComplete()
    {
        // Nobody waits for its end.
    }
}
