using System.Buffers;
using System.Text;
using Cheops.Proto.Http;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>Heads as text: what a test expects, and what a failure shows. Bytes are Latin-1 here.</summary>
public static class HeadText
{
    /// <summary>Lines, each ended by CR LF, and the blank line.</summary>
    public static byte[] Lines(params string[] lines) => Bytes(string.Concat(lines.Select(line => line + "\r\n")) + "\r\n");

    public static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    public static string Text(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);

    /// <summary>Everything that a request's head says but its fields: <c>POST /a 1.1 host=h Length:5 keep</c>.</summary>
    public static string Summary(RequestHead head) =>
        $"{Text(head.MethodBytes)} {Text(head.Target)} 1.{head.MinorVersion} host={Text(head.Authority)} {Body(head)}"
        + (head.ExpectsContinue ? " expects" : "") + (head.IsUpgrade ? " upgrade" : "") + (head.TakesTrailers ? " trailers" : "")
        + (head.MaxForwards is { } hops ? $" forwards:{hops}" : "");

    /// <summary>Everything that a response's head says but its fields: <c>200 OK 1.1 Length:5 keep</c>.</summary>
    public static string Summary(ResponseHead head) =>
        $"{head.Status} {Text(head.Reason)} 1.{head.MinorVersion} {Body(head)}"
        + (head.IsInterim ? " interim" : "") + (head.IsSwitching ? " switching" : "");

    private static string Body(MessageHead head) =>
        $"{head.Framing}{(head.Framing == BodyFraming.Length ? $":{head.ContentLength}" : "")} {(head.KeepAlive ? "keep" : "close")}";

    /// <summary>All fields, one a line.</summary>
    public static string Fields(MessageHead head)
    {
        var text = new StringBuilder();
        foreach (ref readonly var line in head.Fields) text.Append(Text(head.Name(line))).Append('=').Append(Text(head.Value(line))).Append('\n');
        return text.ToString();
    }

    /// <summary>Everything.</summary>
    public static string Everything(MessageHead head) =>
        (head is RequestHead request ? Summary(request) : Summary((ResponseHead)head)) + "\n" + Fields(head);

    /// <summary>The bytes in segments that begin at 0 and at each of the given places, which ascend.</summary>
    public static ReadOnlySequence<byte> Split(byte[] bytes, params int[] places)
    {
        var ends = places.Where(place => place > 0 && place < bytes.Length).Append(bytes.Length).ToArray();
        Segment? first = null;
        Segment? last = null;
        var start = 0;
        foreach (var end in ends)
        {
            // A copy of its own: reading past a segment's end is then seen.
            last = new Segment(bytes[start..end], last);
            first ??= last;
            start = end;
        }

        return new ReadOnlySequence<byte>(first!, 0, last!, last!.Memory.Length);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(byte[] bytes, Segment? before)
        {
            Memory = bytes;
            if (before is null) return;
            RunningIndex = before.RunningIndex + before.Memory.Length;
            before.Next = this;
        }
    }
}
