using System.IO.Pipelines;
using Cheops.Agent.Transport;
using Cheops.Proto;

namespace Cheops.Agent.Interception;

/// <summary>Bytes both ways after an upgrade: WebSocket, SPDY. Each direction ends on its own.</summary>
internal static class Tunnel
{
    public static async ValueTask<CallFailure> RunAsync(Exchange exchange, Channel service, InputWatch serviceInput)
    {
        try
        {
            await exchange.Output.FlushAsync();
            var down = CopyAsync(exchange, serviceInput, exchange.Output);
            var up = CopyAsync(exchange, exchange.Input, service.Output);

            // When one direction has ended in order, the other may go on; when it broke, both are over.
            var first = await Task.WhenAny(down, up);
            var second = first == down ? up : down;
            var failure = await EndAsync(exchange, service, await first, isDown: first == down);
            var later = await EndAsync(exchange, service, await second, isDown: second == down);
            return failure == CallFailure.None ? later : failure;
        }
        catch (IOException)
        {
            Break(exchange, service);
            return CallFailure.ClientGone;
        }
        finally
        {
            exchange.Disarm();
        }
    }

    private enum CopyEnd
    {
        InOrder,
        SenderLost,
        ReceiverLost,
    }

    private static async ValueTask<CallFailure> EndAsync(Exchange exchange, Channel service, CopyEnd end, bool isDown)
    {
        if (end == CopyEnd.InOrder)
        {
            await (isDown ? exchange.EndOutputAsync() : service.CompleteOutputAsync());
            return CallFailure.None;
        }

        // That the client has gone may be known, and have ended the service's side, before the copy from it has ended.
        var isClient = exchange.ClientGone || isDown == (end == CopyEnd.ReceiverLost);
        Break(exchange, service);
        return isClient ? CallFailure.ClientGone : CallFailure.AnswerLost;
    }

    private static void Break(Exchange exchange, Channel service)
    {
        service.Abort();
        exchange.AbortClient();
    }

    private static async Task<CopyEnd> CopyAsync(Exchange exchange, InputWatch from, PipeWriter to)
    {
        var lost = CopyEnd.SenderLost;
        try
        {
            while (true)
            {
                exchange.Arm(Exchange.Phase.Tunnel, Bounds.TunnelIdleTimeMaxMs);
                lost = CopyEnd.SenderLost;
                var read = await from.ReadAsync();
                lost = CopyEnd.ReceiverLost;
                foreach (var piece in read.Buffer) await to.WriteAsync(piece);
                from.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) return CopyEnd.InOrder;
            }
        }
        catch (IOException)
        {
            return lost;
        }
    }
}
