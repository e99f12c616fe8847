using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Cheops.Proto;
using Cheops.Proto.Http;

namespace Cheops.Agent.Interception;

/// <summary>Writes a body's pieces as its framing wants them.</summary>
internal static class BodyWriter
{
    /// <summary>Writes one piece and sends it, with what was gathered before it.</summary>
    public static ValueTask<FlushResult> WriteAsync(PipeWriter output, BodyFraming framing, ReadOnlyMemory<byte> piece)
    {
        if (framing != BodyFraming.Chunked) return output.WriteAsync(piece);
        output.Advance(HeadWriter.WriteChunkHead(output.GetSpan(HeadWriter.ChunkHeadSizeMax), piece.Length));
        if (piece.Length > Bounds.JoinedSendSizeMax) return WriteLargeChunkAsync(output, piece);
        output.Write(piece.Span);
        output.Write("\r\n"u8);
        return output.FlushAsync();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private static async ValueTask<FlushResult> WriteLargeChunkAsync(PipeWriter output, ReadOnlyMemory<byte> piece)
    {
        await output.WriteAsync(piece);
        output.Write("\r\n"u8);
        return await output.FlushAsync();
    }

    /// <summary>Writes what ends a body, without sending it.</summary>
    public static void WriteEnd(PipeWriter output, BodyFraming framing, ReadOnlySpan<byte> trailers)
    {
        if (framing != BodyFraming.Chunked) return;
        output.Write("0\r\n"u8);
        output.Write(trailers);
        output.Write("\r\n"u8);
    }
}
