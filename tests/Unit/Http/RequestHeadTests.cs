using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Tests.Fuzz.Http;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Unit.Http;

public sealed class RequestHeadTests
{
    public static TheoryData<string> Accepted => [.. RequestCases.All.Select(one => one.Name)];

    public static TheoryData<string> Refused => [.. RefusedRequestCases.All.Select(one => one.Name)];

    private static RequestCase AcceptedCase(string name) => RequestCases.All.Single(one => one.Name == name);

    private static RefusedCase RefusedCase(string name) => RefusedRequestCases.All.Single(one => one.Name == name);

    [Theory, MemberData(nameof(Accepted))]
    public void Says_what_the_head_says(string name)
    {
        var one = AcceptedCase(name);
        var head = new RequestHead();
        var outcome = HeadReading.Whole(one.Bytes, head);
        Assert.Equal((ParseStatus.Done, HttpRefusal.None, (long)one.Bytes.Length), (outcome.Status, outcome.Refusal, outcome.Consumed));
        Assert.Equal(one.Summary, HeadText.Summary(head));
    }

    [Theory, MemberData(nameof(Accepted))]
    public void Every_prefix_needs_more(string name)
    {
        var one = AcceptedCase(name);
        var head = new RequestHead();
        foreach (var place in HeadReading.Places(one.Bytes.Length))
            Assert.Equal(ParseStatus.NeedMore, HeadReading.Whole(one.Bytes[..place], head).Status);
    }

    [Theory, MemberData(nameof(Accepted))]
    public void Every_split_gives_the_same(string name)
    {
        var one = AcceptedCase(name);
        var head = new RequestHead();
        var whole = HeadReading.Whole(one.Bytes, head);
        foreach (var place in HeadReading.Places(one.Bytes.Length))
        {
            Assert.Equal(whole, HeadReading.Segmented(one.Bytes, head, place));
            Assert.Equal(whole, HeadReading.Growing(one.Bytes, head, [place, one.Bytes.Length], segmented: false).Outcome);
            Assert.Equal(whole, HeadReading.Growing(one.Bytes, head, [place, one.Bytes.Length], segmented: true).Outcome);
        }
    }

    [Theory, MemberData(nameof(Accepted))]
    public void One_byte_at_a_time_gives_the_same(string name)
    {
        var one = AcceptedCase(name);
        if (one.Bytes.Length > 8192) return; // the splits above cover long heads; here the work grows with the square
        var head = new RequestHead();
        var whole = HeadReading.Whole(one.Bytes, head);
        var each = Enumerable.Range(1, one.Bytes.Length).ToArray();
        Assert.Equal(whole, HeadReading.Segmented(one.Bytes, head, each));
        Assert.Equal((whole, one.Bytes.Length), HeadReading.Growing(one.Bytes, head, each, segmented: false));
        Assert.Equal((whole, one.Bytes.Length), HeadReading.Growing(one.Bytes, head, each, segmented: true));
    }

    [Theory, MemberData(nameof(Accepted))]
    public void What_follows_is_left(string name)
    {
        var one = AcceptedCase(name);
        var head = new RequestHead();
        var whole = HeadReading.Whole(one.Bytes, head);
        Assert.Equal(whole, HeadReading.Whole([.. one.Bytes, .. "\0\r\n\r\nGET"u8], head));
    }

    [Theory, MemberData(nameof(Refused))]
    public void Is_refused(string name)
    {
        var one = RefusedCase(name);
        var outcome = HeadReading.Whole(one.Bytes, new RequestHead());
        Assert.Equal((ParseStatus.Refused, one.Refusal), (outcome.Status, outcome.Refusal));
    }

    /// <summary>However it arrives, it is refused, at the latest with its last byte.</summary>
    [Theory, MemberData(nameof(Refused))]
    public void Is_refused_however_it_is_split(string name)
    {
        var one = RefusedCase(name);
        var head = new RequestHead();
        foreach (var place in HeadReading.Places(one.Bytes.Length))
        {
            Assert.Equal(ParseStatus.Refused, HeadReading.Segmented(one.Bytes, head, place).Status);
            Assert.Equal(ParseStatus.Refused, HeadReading.Growing(one.Bytes, head, [place, one.Bytes.Length], segmented: true).Outcome.Status);
            Assert.Equal(ParseStatus.Refused, HeadReading.Growing(one.Bytes, head, [place, one.Bytes.Length], segmented: false).Outcome.Status);
        }
    }

    /// <summary>A head that nobody could finish is refused at once: a client must not wait for its end.</summary>
    [Theory]
    [InlineData("GET / HTTP/1.1\n", HttpRefusal.BareLineFeed)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\n", HttpRefusal.BareLineFeed)]
    [InlineData("GET / HTTP/1.1\rH", HttpRefusal.BareCarriageReturn)]
    [InlineData("\n", HttpRefusal.BareLineFeed)]
    [InlineData("\rG", HttpRefusal.BareCarriageReturn)]
    [InlineData("\r\n\n", HttpRefusal.BareLineFeed)]
    public void A_line_that_ends_wrongly_is_refused_before_the_head_ends(string text, HttpRefusal refusal)
    {
        var bytes = HeadText.Bytes(text);
        var (outcome, _) = HeadReading.Growing(bytes, new RequestHead(), Enumerable.Range(1, bytes.Length), segmented: true);
        Assert.Equal((ParseStatus.Refused, refusal), (outcome.Status, outcome.Refusal));
    }

    [Fact]
    public void A_head_of_single_bytes_is_refused_as_soon_as_it_passes_its_bound()
    {
        var bytes = RequestCases.Padded(Bounds.HeadSizeMax * 2);
        var parser = new HeadParser();
        var head = new RequestHead();
        var length = 1;
        while (parser.Parse(bytes.AsSpan(0, length), head, out _, out _) == ParseStatus.NeedMore) length++;
        Assert.Equal(Bounds.HeadSizeMax + 1, length);
    }

    [Fact]
    public void What_a_client_may_send_arrives_at_the_next_agent_with_what_the_first_adds()
    {
        var fields = Enumerable.Range(0, Bounds.FieldsAddedMax).Select(i => $"Added{i}: {i}").ToArray();
        var most = HeadText.Lines(["GET / HTTP/1.1", .. Enumerable.Range(1, Bounds.FieldCountMax - 1).Select(i => $"F{i}: {i}"), "Host: a", .. fields]);
        Assert.Equal(ParseStatus.Done, HeadReading.Whole(most, new RequestHead { IsFromAgent = true }).Status);
        Assert.Equal(HttpRefusal.TooManyFields, HeadReading.Whole(most, new RequestHead()).Refusal);

        const int largest = Bounds.HeadSizeMax + Bounds.HeadAddedSizeMax;
        Assert.Equal(ParseStatus.Done, HeadReading.Whole(RequestCases.Padded(largest), new RequestHead { IsFromAgent = true }).Status);
        Assert.Equal(HttpRefusal.HeadTooLarge, HeadReading.Whole(RequestCases.Padded(largest + 1), new RequestHead { IsFromAgent = true }).Refusal);
    }

    [Fact]
    public void A_head_is_used_again()
    {
        var head = new RequestHead();
        foreach (var one in RequestCases.All.Concat(RequestCases.All.Reverse()))
        {
            Assert.Equal(ParseStatus.Done, HeadReading.Whole(one.Bytes, head).Status);
            Assert.Equal(one.Summary, HeadText.Summary(head));
        }
    }

    [Fact]
    public void A_head_that_was_refused_says_nothing_in_the_next()
    {
        var head = new RequestHead();
        foreach (var refused in RefusedRequestCases.All)
        {
            HeadReading.Whole(refused.Bytes, head);
            HeadReading.Whole(HeadText.Lines("GET / HTTP/1.1", "Host: a"), head);
            Assert.Equal("GET / 1.1 host=a None keep\nHost=a\n", HeadText.Everything(head));
        }
    }

    [Fact]
    public void Reset_forgets_and_trim_keeps_only_what_is_small()
    {
        var head = new RequestHead();
        HeadReading.Whole(HeadText.Lines("PUT /a HTTP/1.1", "Host: a", "Content-Length: 1", "Expect: 100-continue"), head);
        head.Trim();
        Assert.Equal("/a", HeadText.Text(head.Target));
        HeadReading.Whole(RequestCases.Padded(Bounds.HeadSizeMax), head);
        head.Trim();
        Assert.Equal(0, head.Length);
        HeadReading.Whole(HeadText.Lines("PUT /a HTTP/1.1", "Host: a", "Content-Length: 1", "Expect: 100-continue"), head);
        head.Reset();
        Assert.Equal((0, 0, HttpMethod.Other, BodyFraming.None, 0L, false, false), (head.Length, head.FieldCount, head.Method, head.Framing, head.ContentLength, head.KeepAlive, head.ExpectsContinue));
        Assert.False(head.Has(KnownField.Host));
        Assert.True(head.Authority.IsEmpty);
    }

    [Fact]
    public void Parsing_allocates_nothing()
    {
        var bytes = HeadText.Lines("POST /v2/images?x=1 HTTP/1.1", "Host: a", "Content-Length: 5", "Accept: */*", "Connection: keep-alive", "TE: trailers");
        var head = new RequestHead();
        var parser = new HeadParser();
        Assert.Equal(0, Allocations.LeastOf(() =>
        {
            for (var i = 0; i < 1000; i++) parser.Parse(bytes, head, out _, out _);
        }));
    }

    [Fact]
    public void Fields_are_found()
    {
        var head = new RequestHead();
        HeadReading.Whole(HeadText.Lines("GET / HTTP/1.1", "Host: a", "X-One: 1", "x-one: 2", "SCOPE: Site2", "X-Remote-User: u", "cheops-plan: p"), head);
        Assert.True(head.TryGet("X-ONE"u8, out var line));
        Assert.Equal("1", HeadText.Text(head.Value(line)));
        Assert.Equal("1", HeadText.Text(head.ValueMemory(line).Span));
        Assert.False(head.TryGet("X-On"u8, out _));
        Assert.True(head.TryGet(KnownField.Scope, out line));
        Assert.Equal("Site2", HeadText.Text(head.Value(line)));
        Assert.True(head.Has(KnownField.XRemote) && head.Has(KnownField.Cheops));
        Assert.False(head.Has(KnownField.Via) || head.TryGet(KnownField.Via, out _));
    }

    [Theory]
    [InlineData("GET", HttpMethod.Get, true)]
    [InlineData("HEAD", HttpMethod.Head, true)]
    [InlineData("PUT", HttpMethod.Put, true)]
    [InlineData("DELETE", HttpMethod.Delete, true)]
    [InlineData("OPTIONS", HttpMethod.Options, true)]
    [InlineData("TRACE", HttpMethod.Trace, true)]
    [InlineData("POST", HttpMethod.Post, false)]
    [InlineData("PATCH", HttpMethod.Patch, false)]
    [InlineData("get", HttpMethod.Other, false)]
    [InlineData("PURGE", HttpMethod.Other, false)]
    public void Methods(string text, HttpMethod method, bool idempotent)
    {
        var head = new RequestHead();
        HeadReading.Whole(HeadText.Lines($"{text} / HTTP/1.1", "Host: a"), head);
        Assert.Equal((method, idempotent), (head.Method, head.IsIdempotent));
    }
}
