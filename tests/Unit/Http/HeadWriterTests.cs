using System.Buffers;
using Cheops.Proto.Http;
using Cheops.Tests.Fuzz.Http;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Unit.Http;

public sealed class HeadWriterTests
{
    private static RequestHead Request(params string[] lines)
    {
        var head = new RequestHead();
        Assert.Equal(ParseStatus.Done, HeadReading.Whole(HeadText.Lines(lines), head).Status);
        return head;
    }

    private static ResponseHead Response(HttpMethod method, params string[] lines)
    {
        var head = new ResponseHead { RequestMethod = method };
        Assert.Equal(ParseStatus.Done, HeadReading.Whole(HeadText.Lines(lines), head).Status);
        return head;
    }

    private static string Forward(RequestHead head, HeadEdits? edits = null, string? target = null, string host = "")
    {
        var output = new ArrayBufferWriter<byte>();
        HeadWriter.WriteRequest(output, head, target is null ? head.Target : HeadText.Bytes(target), edits ?? new HeadEdits(), HeadText.Bytes(host));
        return HeadText.Text(output.WrittenSpan);
    }

    private static string Answer(ResponseHead head, HeadEdits? edits = null, BodyFraming? framing = null, string connection = "")
    {
        var output = new ArrayBufferWriter<byte>();
        HeadWriter.WriteResponse(output, head, edits ?? new HeadEdits(), framing ?? head.Framing, HeadText.Bytes(connection));
        return HeadText.Text(output.WrittenSpan);
    }

    private static string Lines(params string[] lines) => HeadText.Text(HeadText.Lines(lines));

    [Fact]
    public void A_request_passes_with_its_fields_in_order() => Assert.Equal(
        Lines("GET /a?b HTTP/1.1", "Host: h", "Accept:  x ", "x-y: 1", "x-y: 2"),
        Forward(Request("GET /a?b HTTP/1.1", "Accept:  x ", "HOST: h", "x-y: 1", "x-y: 2")));

    [Fact]
    public void Our_version_goes_out_whatever_came_in()
    {
        Assert.Equal(Lines("GET / HTTP/1.1", "Host: a"), Forward(Request("GET / HTTP/1.0", "Host: a")));
        Assert.Equal(Lines("GET / HTTP/1.1", "Host: a"), Forward(Request("GET / HTTP/1.8", "Host: a")));
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", Answer(Response(HttpMethod.Get, "HTTP/1.0 200 OK")), StringComparison.Ordinal);
    }

    [Fact]
    public void An_old_request_without_a_host_gets_the_service_instance_as_one()
    {
        Assert.Equal(Lines("GET / HTTP/1.1", "Host: 127.0.0.1:9292"), Forward(Request("GET / HTTP/1.0"), host: "127.0.0.1:9292"));
        Assert.Equal(Lines("GET / HTTP/1.1", "Host: "), Forward(Request("GET / HTTP/1.0")));
        Assert.Equal(Lines("GET / HTTP/1.1", "Host: a"), Forward(Request("GET / HTTP/1.1", "Host: a"), host: "127.0.0.1:9292"));
    }

    [Fact]
    public void An_absolute_target_becomes_a_path_and_a_host() => Assert.Equal(
        Lines("GET /x?y HTTP/1.1", "Host: h:81"), Forward(Request("GET http://h:81/x?y HTTP/1.1", "Host: h:81")));

    [Fact]
    public void The_target_is_replaced() => Assert.Equal(
        Lines("GET /rest HTTP/1.1", "Host: a"), Forward(Request("GET /@Site2/rest HTTP/1.1", "Host: a"), target: "/rest"));

    [Fact]
    public void Fields_of_one_hop_do_not_pass() => Assert.Equal(
        Lines("GET / HTTP/1.1", "Host: a", "Accept: x", "Trailer: T"),
        Forward(Request(
            "GET / HTTP/1.1", "Host: a", "Connection: close, X-Hop, trailer-like", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Accept: x",
            "Proxy-Authorization: Basic eA==", "TE: deflate", "Trailer: T", "Upgrade: h2c", "HTTP2-Settings: AAMA", "x-hop: 1", "X-HOP: 2", "Trailer-Like: 3")));

    [Fact]
    public void A_length_is_written_anew() => Assert.Equal(
        Lines("POST / HTTP/1.1", "Host: a", "X: y", "Content-Length: 7"),
        Forward(Request("POST / HTTP/1.1", "Host: a", "content-length:\t007\t", "X: y")));

    [Fact]
    public void Chunks_are_announced_anew() => Assert.Equal(
        Lines("POST / HTTP/1.1", "Host: a", "X: y", "Transfer-Encoding: chunked"),
        Forward(Request("POST / HTTP/1.1", "Host: a", "transfer-ENCODING:  CHUNKED", "X: y", "Connection: Transfer-Encoding")));

    [Fact]
    public void The_readiness_for_trailers_passes() => Assert.Equal(
        Lines("GET / HTTP/1.1", "Host: a", "TE: trailers", "Connection: TE"),
        Forward(Request("GET / HTTP/1.1", "Host: a", "Connection: TE", "TE: deflate;q=0.3, Trailers")));

    [Fact]
    public void An_upgrade_passes()
    {
        Assert.Equal(
            Lines("GET /chat HTTP/1.1", "Host: a", "Sec-WebSocket-Key: k", "Connection: upgrade", "Upgrade: websocket"),
            Forward(Request("GET /chat HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Key: k")));
        Assert.Equal(
            Lines("GET / HTTP/1.1", "Host: a", "TE: trailers", "Connection: TE, upgrade", "Upgrade: websocket"),
            Forward(Request("GET / HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade, TE", "TE: trailers")));
        Assert.Equal(
            Lines("HTTP/1.1 101 Switching Protocols", "Sec-WebSocket-Accept: k", "Connection: upgrade", "Upgrade: websocket"),
            Answer(Response(HttpMethod.Get, "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: k")));
    }

    [Fact]
    public void An_answer_that_demands_an_upgrade_says_which()
    {
        Assert.Equal(
            Lines("HTTP/1.1 426 Upgrade Required", "Content-Length: 0", "Connection: upgrade", "Upgrade: websocket", "Upgrade: SPDY/3.1"),
            Answer(Response(HttpMethod.Get, "HTTP/1.1 426 Upgrade Required", "Upgrade: websocket", "Connection: Upgrade", "upgrade: SPDY/3.1", "Content-Length: 0")));
        Assert.Equal(
            Lines("HTTP/1.1 426 X", "Connection: close, upgrade", "Upgrade: websocket"),
            Answer(Response(HttpMethod.Get, "HTTP/1.1 426 X", "Upgrade: websocket", "Connection: upgrade"), connection: "close"));
        Assert.Equal(Lines("HTTP/1.1 426 X"), Answer(Response(HttpMethod.Get, "HTTP/1.1 426 X")));
        Assert.Equal(Lines("HTTP/1.1 200 OK"), Answer(Response(HttpMethod.Get, "HTTP/1.1 200 OK", "Upgrade: h2c", "Connection: upgrade")));
    }

    [Fact]
    public void A_count_of_hops_goes_down() => Assert.Equal(
        Lines("TRACE / HTTP/1.1", "Host: a", "X: y", "Max-Forwards: 4"),
        Forward(Request("TRACE / HTTP/1.1", "Host: a", "max-forwards: 05", "X: y")));

    [Fact]
    public void Edits_take_out_and_put_in()
    {
        var edits = new HeadEdits { Removed = KnownField.XRemote.Bit() | KnownField.Scope.Bit() };
        edits.RemovedNames.Add([.. "x-gone"u8]);
        edits.Added.Add("Via"u8, "1.1 Site1").Add("X-Bytes"u8, "v"u8).AddEncoded(FieldLines.Encode("Cheops-Site", "Site1"));
        Assert.Equal(
            Lines("GET / HTTP/1.1", "Host: a", "B: 2", "Via: 1.1 Site1", "X-Bytes: v", "Cheops-Site: Site1"),
            Forward(Request("GET / HTTP/1.1", "X-Remote-User: root", "Host: a", "x-remote-extra-y: z", "Scope: Site2", "X-GONE: 1", "B: 2", "X-Remote-Group: g"), edits));
        edits.Clear();
        Assert.Equal(Lines("GET / HTTP/1.1", "Host: a", "X-Gone: 1"), Forward(Request("GET / HTTP/1.1", "Host: a", "X-Gone: 1"), edits));
    }

    [Fact]
    public void What_is_added_as_text_cannot_end_a_line()
    {
        var lines = new FieldLines().Add("X"u8, "a\r\nEvil: 1\0\u00E9").Add("Y"u8, "");
        Assert.Equal("X: a??Evil: 1??\r\nY: \r\n", HeadText.Text(lines.Written));
    }

    [Fact]
    public void A_list_is_joined_from_all_its_lines()
    {
        var head = Request("GET / HTTP/1.1", "Host: a", "X-Forwarded-For: 10.0.0.1, 10.0.0.2", "X: y", "x-forwarded-for: 10.0.0.3");
        var lines = new FieldLines().AddJoined(head, KnownField.XForwardedFor, "X-Forwarded-For"u8, "10.0.0.4"u8).AddJoined(head, KnownField.Via, "Via"u8, "1.1 Site1"u8);
        Assert.Equal("X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4\r\nVia: 1.1 Site1\r\n", HeadText.Text(lines.Written));
    }

    [Fact]
    public void A_response_passes()
    {
        var edits = new HeadEdits { Removed = KnownField.Cheops.Bit() };
        edits.Added.Add("Cheops-Site"u8, "Site1");
        Assert.Equal(
            Lines("HTTP/1.1 200 Fine \u00E9", "content-length: 5", "X: y", "Set-Cookie: a", "Set-Cookie: b", "Connection: close", "Cheops-Site: Site1"),
            Answer(
                Response(HttpMethod.Get, "HTTP/1.1 200 Fine \u00E9", "Cheops-Site: Evil", "content-length: 5", "Keep-Alive: timeout=5", "X: y", "Connection: keep-alive, X-Hop", "X-Hop: 1", "Set-Cookie: a", "Set-Cookie: b"),
                edits,
                connection: "close"));
    }

    [Fact]
    public void A_body_until_close_becomes_chunks_and_chunks_become_that()
    {
        Assert.Equal(Lines("HTTP/1.1 200 OK", "X: y", "Transfer-Encoding: chunked"), Answer(Response(HttpMethod.Get, "HTTP/1.0 200 OK", "X: y"), framing: BodyFraming.Chunked));
        Assert.Equal(
            Lines("HTTP/1.1 200 OK", "X: y", "Connection: close"),
            Answer(Response(HttpMethod.Get, "HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "X: y"), framing: BodyFraming.UntilClose, connection: "close"));
    }

    [Fact]
    public void A_length_stays_where_it_tells_of_a_body_that_is_not_sent_and_goes_where_there_can_be_none()
    {
        Assert.Equal(Lines("HTTP/1.1 200 OK", "Content-Length: 5"), Answer(Response(HttpMethod.Head, "HTTP/1.1 200 OK", "Content-Length: 5")));
        Assert.Equal(Lines("HTTP/1.1 304 X", "Content-Length: 5"), Answer(Response(HttpMethod.Get, "HTTP/1.1 304 X", "Content-Length: 5")));
        Assert.Equal(Lines("HTTP/1.1 204 X"), Answer(Response(HttpMethod.Get, "HTTP/1.1 204 X", "Content-Length: 5")));
        Assert.Equal(Lines("HTTP/1.1 100 X"), Answer(Response(HttpMethod.Get, "HTTP/1.1 100 X", "Content-Length: 5", "X-Hop: 1", "Connection: X-Hop")));
    }

    [Theory, MemberData(nameof(RequestHeadTests.Accepted), MemberType = typeof(RequestHeadTests))]
    public void What_is_forwarded_is_accepted_and_says_the_same(string name)
    {
        var head = new RequestHead();
        HeadReading.Whole(RequestCases.All.Single(one => one.Name == name).Bytes, head);
        ForwardedRequest.Check(head);
    }

    [Theory, MemberData(nameof(ResponseHeadTests.Accepted), MemberType = typeof(ResponseHeadTests))]
    public void What_is_relayed_is_accepted_and_says_the_same(string name)
    {
        var one = ResponseCases.All.Single(one => one.Name == name);
        var head = new ResponseHead { RequestMethod = one.Method };
        HeadReading.Whole(one.Bytes, head);
        RelayedResponse.Check(head);
    }

    [Fact]
    public void Writing_allocates_nothing()
    {
        var request = Request("POST /v2/images HTTP/1.1", "Host: a", "Connection: X-Hop", "X-Hop: 1", "Content-Length: 5");
        var edits = new HeadEdits { Removed = KnownField.XForwardedFor.Bit() };
        var output = new ArrayBufferWriter<byte>(4096);
        Assert.Equal(0, Allocations.LeastOf(() =>
        {
            for (var i = 0; i < 1000; i++)
            {
                edits.Added.Clear();
                edits.Added.Add("Via"u8, "1.1 Site1"u8);
                output.ResetWrittenCount();
                HeadWriter.WriteRequest(output, request, request.Target, edits);
            }
        }));
    }

    [Fact]
    public void Own_responses()
    {
        foreach (var status in Enumerable.Range(200, 400))
        {
            var output = new ArrayBufferWriter<byte>();
            HeadWriter.WriteOwnResponse(output, status, new FieldLines().Add("Content-Length"u8, "0"));
            var head = new ResponseHead();
            Assert.Equal(ParseStatus.Done, HeadReading.Whole(output.WrittenSpan.ToArray(), head).Status);
            Assert.Equal(status, head.Status);
            Assert.False(head.Reason.IsEmpty);
        }
    }
}
