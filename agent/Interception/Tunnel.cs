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
            if (await first) await (first == down ? exchange.EndOutputAsync() : service.CompleteOutputAsync());
            else Break(exchange, service);
            var second = first == down ? up : down;
            if (await second) await (second == down ? exchange.EndOutputAsync() : service.CompleteOutputAsync());
            else Break(exchange, service);
            return await first && await second ? CallFailure.None : CallFailure.AnswerLost;
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

    private static void Break(Exchange exchange, Channel service)
    {
        service.Abort();
        exchange.AbortClient();
    }

    private static async Task<bool> CopyAsync(Exchange exchange, InputWatch from, PipeWriter to)
    {
        try
        {
            while (true)
            {
                exchange.Arm(Exchange.Phase.Tunnel, Bounds.TunnelIdleTimeMaxMs);
                var read = await from.ReadAsync();
                foreach (var piece in read.Buffer) await to.WriteAsync(piece);
                from.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) return true;
            }
        }
        catch (IOException)
        {
            return false;
        }
    }
}
