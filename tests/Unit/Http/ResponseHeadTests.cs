using Cheops.Proto.Http;
using Cheops.Tests.Fuzz.Http;

namespace Cheops.Tests.Unit.Http;

public sealed class ResponseHeadTests
{
    public static TheoryData<string> Accepted => [.. ResponseCases.All.Select(one => one.Name)];

    public static TheoryData<string> Refused => [.. ResponseCases.Refused.Select(one => one.Name)];

    [Theory, MemberData(nameof(Accepted))]
    public void Says_what_the_head_says_however_it_is_split(string name)
    {
        var one = ResponseCases.All.Single(one => one.Name == name);
        var head = new ResponseHead { RequestMethod = one.Method };
        var whole = HeadReading.Whole(one.Bytes, head);
        Assert.Equal((ParseStatus.Done, HttpRefusal.None, (long)one.Bytes.Length), (whole.Status, whole.Refusal, whole.Consumed));
        Assert.Equal(one.Summary, HeadText.Summary(head));
        foreach (var place in HeadReading.Places(one.Bytes.Length))
        {
            Assert.Equal(ParseStatus.NeedMore, HeadReading.Whole(one.Bytes[..place], head).Status);
            Assert.Equal(whole, HeadReading.Segmented(one.Bytes, head, place));
            Assert.Equal(whole, HeadReading.Growing(one.Bytes, head, [place, one.Bytes.Length], segmented: true).Outcome);
        }

        var each = Enumerable.Range(1, one.Bytes.Length).ToArray();
        Assert.Equal((whole, one.Bytes.Length), HeadReading.Growing(one.Bytes, head, each, segmented: true));
        Assert.Equal(whole, HeadReading.Whole([.. one.Bytes, .. "body"u8], head));
    }

    [Theory, MemberData(nameof(Refused))]
    public void Is_refused_however_it_is_split(string name)
    {
        var one = ResponseCases.Refused.Single(one => one.Name == name);
        var head = new ResponseHead();
        var whole = HeadReading.Whole(one.Bytes, head);
        Assert.Equal((ParseStatus.Refused, one.Refusal), (whole.Status, whole.Refusal));
        foreach (var place in HeadReading.Places(one.Bytes.Length))
        {
            Assert.Equal(ParseStatus.Refused, HeadReading.Segmented(one.Bytes, head, place).Status);
            Assert.Equal(ParseStatus.Refused, HeadReading.Growing(one.Bytes, head, [place, one.Bytes.Length], segmented: true).Outcome.Status);
        }
    }

    [Fact]
    public void Reset_forgets()
    {
        var head = new ResponseHead();
        HeadReading.Whole(HeadText.Lines("HTTP/1.1 200 OK", "Content-Length: 1"), head);
        head.Reset();
        Assert.Equal((0, 0, 0L, false), (head.Status, head.Length, head.ContentLength, head.KeepAlive));
        Assert.True(head.Reason.IsEmpty);
    }
}
