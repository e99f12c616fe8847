using System.Buffers;
using Cheops.Proto;
using Cheops.Proto.Http;
using static Cheops.Tests.Fuzz.FuzzException;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>What must hold of every request that goes on to a service.</summary>
public static class ForwardedRequest
{
    // The fields of one hop, by name: written down here once more on purpose.
    private static readonly string[] OneHop = ["keep-alive", "proxy-connection", "proxy-authorization", "http2-settings"];

    /// <summary>
    /// The forwarded head is accepted by the parser, says the same, has exactly one framing, and forwards to itself.
    /// </summary>
    public static void Check(RequestHead head)
    {
        if (head.MaxForwards == 0) return;
        var once = Write(head);
        var again = new RequestHead();
        var status = new HeadParser().Parse(once, again, out var consumed, out var refusal);
        if (Bound.MayBePassed(head)) return;
        Demand(status == ParseStatus.Done, $"what is forwarded is not accepted: {refusal}\n{HeadText.Text(once)}");
        Equal(once.Length, (int)consumed, "a forwarded head ends where it ends");
        Equal(HeadText.Text(head.MethodBytes), HeadText.Text(again.MethodBytes), "method");
        Equal(HeadText.Text(head.Target), HeadText.Text(again.Target), "target");
        Equal(HeadText.Text(head.Authority), HeadText.Text(again.Authority), "authority");
        Equal((1, head.Framing, head.ContentLength), (again.MinorVersion, again.Framing, again.ContentLength), "version and framing");
        Equal((head.IsUpgrade, head.TakesTrailers), (again.IsUpgrade, again.TakesTrailers), "what is asked of the connection");
        Equal(head.MaxForwards - 1, again.MaxForwards, "how far it may go");
        Demand(again.KeepAlive, "the connection to the service is kept");

        var names = new List<string>();
        foreach (ref readonly var line in again.Fields) names.Add(HeadText.Text(again.Name(line)).ToLowerInvariant());
        Equal(1, names.Count(name => name == "host"), "Host fields");
        Equal(head.Framing == BodyFraming.Length ? 1 : 0, names.Count(name => name == "content-length"), "Content-Length fields");
        Equal(head.Framing == BodyFraming.Chunked ? 1 : 0, names.Count(name => name == "transfer-encoding"), "Transfer-Encoding fields");
        Equal(head.IsUpgrade ? 1 : 0, names.Count(name => name == "upgrade"), "Upgrade fields");
        Equal(head.IsUpgrade || head.TakesTrailers ? 1 : 0, names.Count(name => name == "connection"), "Connection fields");
        Demand(!names.Intersect(OneHop).Any(), "a field of one hop has passed");
        if (head.MaxForwards is null) Equal(HeadText.Text(once), HeadText.Text(Write(again)), "what is forwarded twice");
        again.Reset();
    }

    private static byte[] Write(RequestHead head)
    {
        var output = new ArrayBufferWriter<byte>();
        HeadWriter.WriteRequest(output, head, head.Target, new HeadEdits());
        return output.WrittenSpan.ToArray();
    }
}

/// <summary>A head just within its bounds may be past them with what the agent puts in; the next agent then refuses it.</summary>
internal static class Bound
{
    public static bool MayBePassed(MessageHead head) => head.FieldCount > Bounds.FieldCountMax - 4 || head.Length > Bounds.HeadSizeMax - 256;
}

/// <summary>What must hold of every response that goes back to a client.</summary>
public static class RelayedResponse
{
    /// <summary>The relayed head is accepted by the parser and says the same.</summary>
    public static void Check(ResponseHead head)
    {
        var framing = head.Framing == BodyFraming.UntilClose ? BodyFraming.Chunked : head.Framing;
        var output = new ArrayBufferWriter<byte>();
        HeadWriter.WriteResponse(output, head, new HeadEdits(), framing, default);
        var once = output.WrittenSpan.ToArray();
        var again = new ResponseHead { RequestMethod = head.RequestMethod };
        var status = new HeadParser().Parse(once, again, out var consumed, out var refusal);
        if (Bound.MayBePassed(head)) return;
        Demand(status == ParseStatus.Done, $"what is relayed is not accepted: {refusal}\n{HeadText.Text(once)}");
        Equal(once.Length, (int)consumed, "a relayed head ends where it ends");
        Equal((head.Status, HeadText.Text(head.Reason)), (again.Status, HeadText.Text(again.Reason)), "status line");
        Equal((framing, head.ContentLength > 0 && framing == BodyFraming.Length), (again.Framing, again.ContentLength > 0 && framing == BodyFraming.Length), "framing");
        Equal(head.IsSwitching, again.IsSwitching, "switching");
        Demand(!again.Has(KnownField.KeepAlive) && !again.Has(KnownField.ProxyConnection), "a field of one hop has passed");
        Demand(head.Status is >= 200 and not 204 || !again.Has(KnownField.ContentLength), "a length where there can be no body");
        again.Reset();
    }
}
