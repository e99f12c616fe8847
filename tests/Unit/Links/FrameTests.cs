using System.Collections.Immutable;
using Cheops.Proto;
using Cheops.Proto.Links;
using CsCheck;

namespace Cheops.Tests.Unit.Links;

public sealed class FrameTests
{
    private static readonly Gen<Frame> AnyFrame =
        Gen.Select(Gen.Int[1, 7], Gen.UShort, Gen.UInt, Gen.UInt, Gen.ULong, Gen.ULong, Gen.ULong).Select(
            (kind, epoch, from, to, stream, offset, sequence) => new Frame
            {
                Kind = (FrameKind)kind,
                Flags = (FrameFlags)(epoch & 1),
                Epoch = epoch,
                FromSession = from,
                ToSession = to,
                TimeToLiveMs = from ^ to,
                SentAtMs = to / 3,
                Stream = stream,
                Offset = offset,
                Sequence = sequence,
            });

    [Fact]
    public void A_frame_that_is_written_is_read_again() =>
        Gen.Select(AnyFrame, Gen.Byte.Array[0, 300]).Sample((frame, payload) =>
        {
            var message = new byte[Frame.HeaderSize + payload.Length];
            frame.Write(message);
            payload.CopyTo(message, Frame.HeaderSize);
            Assert.Equal(FrameStatus.Understood, Frame.Read(message, out var read, out var rest));
            Assert.Equal(frame, read);
            Assert.True(rest.SequenceEqual(payload));
        });

    [Fact]
    public void Every_prefix_of_a_header_is_malformed()
    {
        var message = new byte[Frame.HeaderSize];
        new Frame { Kind = FrameKind.Data, Stream = 3 }.Write(message);
        for (var length = 0; length < message.Length; length++)
            Assert.Equal(FrameStatus.Malformed, Frame.Read(message.AsSpan(0, length), out _, out _));
    }

    [Fact]
    public void Versions_are_told_apart()
    {
        var message = new byte[80];
        new Frame { Kind = FrameKind.Credit, Offset = 9 }.Write(message);
        Assert.Equal(FrameStatus.Understood, Frame.Read(message, out _, out _));
        message[2] = 200;
        message[5] = 70;
        Assert.Equal(FrameStatus.Understood, Frame.Read(message, out var newer, out var payload));
        Assert.Equal((9UL, 10), (newer.Offset, payload.Length));
        message[3] = 99;
        Assert.Equal(FrameStatus.UnknownKind, Frame.Read(message, out _, out _));
        message[1] = 2;
        Assert.Equal(FrameStatus.NewerMajor, Frame.Read(message, out _, out _));
        message[1] = 0;
        Assert.Equal(FrameStatus.Malformed, Frame.Read(message, out _, out _));
        message[0] = 0;
        Assert.Equal(FrameStatus.Malformed, Frame.Read(message, out _, out _));
    }

    [Fact]
    public void A_payload_past_its_bound_is_malformed()
    {
        var message = new byte[Frame.HeaderSize + Bounds.FramePayloadSizeMax + 1];
        new Frame { Kind = FrameKind.Message }.Write(message);
        Assert.Equal(FrameStatus.Malformed, Frame.Read(message, out _, out _));
        Assert.Equal(FrameStatus.Understood, Frame.Read(message.AsSpan(0, message.Length - 1), out _, out _));
    }

    [Fact]
    public void Any_bytes_give_an_answer() =>
        Gen.Byte.Array[0, 200].Sample(bytes =>
        {
            Frame.Read(bytes, out _, out _);
            HeartbeatStatus.Decode(bytes);
            StreamHead.Decode(bytes);
        });

    [Fact]
    public void A_heartbeat_is_read_again_and_each_of_its_prefixes_is_refused()
    {
        var status = new HeartbeatStatus
        {
            Echo = 7,
            HeldMicroseconds = 1234,
            Draining = true,
            SharesBulk = true,
            HoldsReplicants = true,
            AgentVersion = "1.2.3",
            Incarnation = "abc",
            Services = ImmutableDictionary<string, string>.Empty.Add("kube", "1.29").Add("glance", ""),
            RoundTrips = ImmutableDictionary<string, long>.Empty.Add("Site3", 1500),
        };
        var bytes = status.Encode().Span;
        var read = HeartbeatStatus.Decode(bytes)!;
        Assert.Equal((7UL, 1234UL, true, true, "1.2.3", "abc"), (read.Echo, read.HeldMicroseconds, read.Draining, read.SharesBulk, read.AgentVersion, read.Incarnation));
        Assert.Equal(status.Services.OrderBy(pair => pair.Key), read.Services.OrderBy(pair => pair.Key));
        Assert.Equal(1500, read.RoundTrips["Site3"]);
        Assert.True(read.HoldsReplicants);
        for (var length = 0; length < bytes.Length; length++) Assert.Null(HeartbeatStatus.Decode(bytes[..length]));
    }

    [Theory]
    [InlineData("""{"service":"","scheme":"http"}""")]
    [InlineData("""{"service":"a","scheme":"ftp"}""")]
    [InlineData("""{"service":"a\r\nHost: b","scheme":"http"}""")]
    [InlineData("""{"service":"a","scheme":"http","user":"x\u0000y"}""")]
    [InlineData("""{"service":"a","scheme":"http","groups":"all"}""")]
    [InlineData("""{"service":["a"],"scheme":"http"}""")]
    [InlineData("""[]""")]
    [InlineData("""{"service":{"service":{"service":{"service":{"service":{"service":{"service":{"service":{"service":1}}}}}}}}}""")]
    public void An_opening_that_breaks_a_rule_is_refused(string json) => Assert.Null(StreamHead.Decode(System.Text.Encoding.UTF8.GetBytes(json)));

    [Fact]
    public void An_opening_is_read_again_and_each_of_its_prefixes_is_refused()
    {
        var head = new StreamHead { Service = "nova", WorkflowId = new string('a', 32), Scope = "nova: Site1 & Site2", User = "u", Groups = ["g", "h"], ClientAddress = "::1", Scheme = "https" };
        var bytes = head.Encode().Span;
        var read = StreamHead.Decode(bytes)!;
        Assert.Equal(head with { Groups = [] }, read with { Groups = [] });
        Assert.Equal(head.Groups.AsEnumerable(), read.Groups);
        for (var length = 0; length < bytes.Length; length++) Assert.Null(StreamHead.Decode(bytes[..length]));
    }
}
