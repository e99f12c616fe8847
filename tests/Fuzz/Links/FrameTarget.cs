using System.Text;
using Cheops.Proto;
using Cheops.Proto.Links;
using static Cheops.Tests.Fuzz.FuzzException;

namespace Cheops.Tests.Fuzz.Links;

/// <summary>Frames between agents: any bytes give a frame within its bounds or a refusal; what was read is written again.</summary>
internal sealed class FrameTarget : IFuzzTarget
{
    private static readonly StreamHead Opening = new()
    {
        Service = "glance",
        WorkflowId = "0af7651916cd43dd8448eb211c80319c",
        Scope = "{glance: Site2}",
        User = "alice",
        Groups = ["dev", "ops"],
        ClientAddress = "10.0.0.1",
        Scheme = "https",
    };

    private static readonly HeartbeatStatus Status = new()
    {
        Echo = 7,
        HeldMicroseconds = 9,
        Draining = true,
        SharesBulk = true,
        AgentVersion = "0.1.0",
        Incarnation = "i",
        Services = HeartbeatStatus.Decode(new HeartbeatStatus().Encode().Span)!.Services.Add("glance", "2.9"),
    };

    public string Name => "frame";

    public string Purpose => "frames between agents, openings, heartbeats: within bounds or refused, written as read";

    public IEnumerable<byte[]> Seeds
    {
        get
        {
            foreach (var kind in Enum.GetValues<FrameKind>())
            {
                byte[] payload = kind switch
                {
                    FrameKind.Open => Opening.Encode().ToArray(),
                    FrameKind.Heartbeat => Status.Encode().ToArray(),
                    _ => [1, 2, 3],
                };
                var header = new byte[Frame.HeaderSize];
                new Frame { Kind = kind, Flags = FrameFlags.End, Epoch = 1, FromSession = 2, ToSession = 3, TimeToLiveMs = 4, SentAtMs = 5, Stream = 6, Offset = 7, Sequence = 8 }.Write(header);
                yield return [.. header, .. payload];
            }

            yield return new byte[Frame.HeaderSize];
        }
    }

    public IReadOnlyList<byte[]> Words { get; } =
    [
        [Frame.Magic], [Frame.Magic, Frame.Major], [0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0, 0, 0, 0, 0x80], new byte[300],
        .. new[]
        {
            "{", "}", "[", "]", ",", ":", "\"", "null", "true", "1e999", "-1", "9223372036854775808", "\"\\ud800\"", "\"service\":\"a\"", "\"groups\":[]", "\"user\":\"\u00e9\"", "\"scheme\":\"ftp\"",
            "\"roundTrips\":{\"a\":1}", "\"services\":{\"a\":\"1\"}", "\"draining\":1", "[[[[[[[[[", "\\u0000",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public int Run(byte[] input)
    {
        var status = Frame.Read(input, out var frame, out var payload);
        if (status is not (FrameStatus.Understood or FrameStatus.UnknownKind)) return (int)status;
        Demand(payload.Length <= Bounds.FramePayloadSizeMax, "a payload past its bound");
        var header = new byte[Frame.HeaderSize];
        frame.Write(header);
        Equal(FrameStatus.Understood, status == FrameStatus.UnknownKind ? FrameStatus.Understood : Frame.Read(header, out var again, out _), "a header written again");
        Equal(Convert.ToHexString(input.AsSpan(6, Frame.HeaderSize - 6)), Convert.ToHexString(header.AsSpan(6)), "a header written again");
        return HashCode.Combine(status, frame.Kind, CheckOpening(payload), CheckHeartbeat(payload));
    }

    private static int CheckOpening(ReadOnlySpan<byte> payload)
    {
        if (StreamHead.Decode(payload) is not { } head) return 0;
        Demand(head.Service.Length is > 0 and <= Bounds.ServiceNameLengthMax && head.Scope.Length <= Bounds.ScopeLengthMax && head.User.Length <= Bounds.UserNameLengthMax, "an opening past its bounds");
        Demand(new[] { head.Service, head.Scope, head.User, head.WorkflowId, head.ClientAddress }.Concat(head.Groups).All(text => text.All(c => c is >= ' ' and <= '~')), "an opening that is no plain text");
        var encoded = head.Encode().ToArray();
        Equal(Convert.ToHexString(encoded), Convert.ToHexString(StreamHead.Decode(encoded)!.Encode().Span), "an opening written again");
        return HashCode.Combine(head.Groups.Length, head.User.Length > 0, head.Scope.Length > 0, head.Scheme);
    }

    private static int CheckHeartbeat(ReadOnlySpan<byte> payload)
    {
        if (HeartbeatStatus.Decode(payload) is not { } heard) return 0;
        Demand(heard.Services.Count <= Bounds.HeartbeatServicesMax && heard.RoundTrips.Count <= Bounds.SiteCountMax, "a heartbeat past its bounds");
        var again = HeartbeatStatus.Decode(heard.Encode().Span);
        Demand(again is not null, "a heartbeat that is not understood again");
        Equal((heard.Echo, heard.HeldMicroseconds, heard.Draining, heard.SharesBulk, heard.AgentVersion, heard.Services.Count, heard.RoundTrips.Count),
            (again!.Echo, again.HeldMicroseconds, again.Draining, again.SharesBulk, again.AgentVersion, again.Services.Count, again.RoundTrips.Count), "a heartbeat written again");
        return HashCode.Combine(heard.Services.Count, heard.RoundTrips.Count, heard.Draining, heard.SharesBulk);
    }
}
