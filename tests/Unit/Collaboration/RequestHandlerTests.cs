using System.Text.RegularExpressions;
using Cheops.Proto;
using Cheops.Store.Bodies;
using static Cheops.Tests.Unit.Collaboration.SimulatedSites;

namespace Cheops.Tests.Unit.Collaboration;

public sealed class RequestHandlerTests : IAsyncLifetime
{
    private readonly SimulatedSites _sites = new("Site1", "Site2", "Site3");

    public RequestHandlerTests()
    {
        foreach (var name in (string[])["Site1", "Site2", "Site3"])
        {
            foreach (var service in (string[])["shop", "items", "kube"])
                _sites[name].Services[service] = asked => Task.FromResult<string?>(Answer(200, $"{service} of {name}: {asked.FirstLine}"));
        }
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var name in (string[])["Site1", "Site2", "Site3"]) Assert.Empty(_sites[name].Errors);
        await _sites.DisposeAsync();
    }

    private void Says(string site, string service, int status) =>
        _sites[site].Services[service] = _ => Task.FromResult<string?>(Answer(status, $"{site} says {status}"));

    private int AskedOf(string site) => _sites[site].Log.Count;

    [Fact]
    public async Task Without_a_scope_everything_is_here()
    {
        var answer = await _sites["Site1"].AskAsync("shop", "GET", "/v1/orders?x=%41");
        Assert.Equal("shop of Site1: GET /v1/orders?x=%41 HTTP/1.1", answer.Body);
        Assert.Equal("Site1", answer.Field("Cheops-Site"));
        var asked = Assert.Single(_sites["Site1"].Log).Asked;
        Assert.Equal("192.0.2.1", asked.Field("X-Forwarded-For"));
        Assert.Equal("shop.test", asked.Field("Host"));
        Assert.Null(asked.Field("traceparent"));
    }

    [Theory]
    [InlineData("/v1/orders", "Scope: shop: Site2\r\n")]
    [InlineData("/v1/orders", "Scope: {shop: Site2, items: Site3}\r\n")]
    [InlineData("/@Site2/v1/orders", "")]
    [InlineData("/%40shop%3A%20Site2/v1/orders", "")]
    public async Task A_scope_says_where(string target, string fields)
    {
        var answer = await _sites["Site1"].AskAsync("shop", "GET", target, fields);
        Assert.Equal("shop of Site2: GET /v1/orders HTTP/1.1", answer.Body);
        Assert.Equal("Site2", answer.Field("Cheops-Site"));
        Assert.Equal(0, AskedOf("Site1"));
    }

    [Theory]
    [InlineData("X-Request-ID")]
    [InlineData("traceparent")]
    [InlineData("Scope")]
    public async Task A_sub_request_follows_its_workflow_by_what_its_service_carries_on(string carried)
    {
        _sites["Site1"].Services["shop"] = async asked =>
        {
            var part = await _sites["Site1"].AskAsync("items", "GET", "/v1/items/7", $"{carried}: {asked.Field(carried)}\r\n");
            return Answer(200, part.Body);
        };
        var answer = await _sites["Site1"].AskAsync("shop", "GET", "/", "Scope: {items: Site2, shop: Site1}\r\n");
        Assert.Equal("items of Site2: GET /v1/items/7 HTTP/1.1", answer.Body);
        Assert.Equal("Site1", answer.Field("Cheops-Site"));
    }

    [Fact]
    public async Task Here_is_where_the_request_came_in_also_for_what_another_site_asks()
    {
        _sites["Site2"].Services["shop"] = async asked =>
            Answer(200, (await _sites["Site2"].AskAsync("items", "GET", "/", $"X-Request-ID: {asked.Field("X-Request-ID")}\r\n")).Body);
        var answer = await _sites["Site1"].AskAsync("shop", "GET", "/", "Scope: {shop: Site2, items: here}\r\n");
        Assert.Equal("items of Site1: GET / HTTP/1.1", answer.Body);
    }

    [Fact]
    public async Task Two_hundred_workflows_at_once_never_mix()
    {
        _sites["Site1"].Services["shop"] = async asked =>
        {
            await Task.Yield();
            return Answer(200, (await _sites["Site1"].AskAsync("items", "GET", "/", $"traceparent: {asked.Field("traceparent")}\r\n")).Body);
        };
        var answers = await Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
        {
            var site = $"Site{1 + i % 3}";
            return (site, (await _sites["Site1"].AskAsync("shop", "GET", "/", $"Scope: {{shop: Site1, items: {site}}}\r\n")).Body);
        }));
        Assert.All(answers, answer => Assert.StartsWith($"items of {answer.site}", answer.Body, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_site_that_is_down_is_told_at_once_and_as_safe_to_repeat()
    {
        _sites.Down.Add("Site2");
        var answer = await _sites["Site1"].AskAsync("shop", "POST", "/", "Scope: Site2\r\n", "order");
        Assert.Contains(" 503 ", answer.FirstLine, StringComparison.Ordinal);
        Assert.Contains("\"stage\":\"forward\",\"retrySafe\":true", answer.Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(404)]
    [InlineData(409)]
    public async Task Otherwise_goes_on_when_a_place_refuses_and_sends_the_body_again(int status)
    {
        Says("Site2", "shop", status);
        _sites["Site3"].Services["shop"] = asked => Task.FromResult<string?>(Answer(201, asked.Body));
        var order = new string('o', 100_000);
        var answer = await _sites["Site1"].AskAsync("shop", "POST", "/", "Scope: Site2 ; Site3\r\n", order);
        Assert.Equal(order, answer.Body);
        Assert.Equal($"Site2;outcome=refused;status={status}, Site3;outcome=answered;status=201", answer.Field("Cheops-Plan"));
    }

    [Fact]
    public async Task Otherwise_goes_on_when_a_site_or_its_service_is_not_reached()
    {
        _sites.Down.Add("Site2");
        _sites["Site3"].Services.Remove("shop");
        var answer = await _sites["Site1"].AskAsync("shop", "POST", "/", "Scope: Site2 ; Site3 ; Site1\r\n", "order");
        Assert.StartsWith("shop of Site1", answer.Body, StringComparison.Ordinal);
        Assert.Equal("Site2;outcome=unreached, Site3;outcome=unreached, Site1;outcome=answered;status=200", answer.Field("Cheops-Plan"));
    }

    [Fact]
    public async Task A_failed_or_lost_POST_is_tried_nowhere_else()
    {
        Says("Site2", "shop", 500);
        var failed = await _sites["Site1"].AskAsync("shop", "POST", "/", "Scope: Site2 ; Site3\r\n", "order");
        Assert.Equal("Site2 says 500", failed.Body);

        _sites["Site2"].Services["shop"] = _ => Task.FromResult<string?>(null);
        var lost = await _sites["Site1"].AskAsync("shop", "POST", "/", "Scope: Site2 ; Site3\r\n", "order");
        Assert.Contains(" 502 ", lost.FirstLine, StringComparison.Ordinal);
        Assert.Contains("\"retrySafe\":false", lost.Body, StringComparison.Ordinal);
        Assert.Equal(0, AskedOf("Site3"));
    }

    [Fact]
    public async Task A_failed_or_lost_GET_is_tried_elsewhere()
    {
        Says("Site2", "shop", 500);
        _sites["Site3"].Services["shop"] = _ => Task.FromResult<string?>(null);
        var answer = await _sites["Site1"].AskAsync("shop", "GET", "/", "Scope: Site2 ; Site3 ; Site1\r\n");
        Assert.StartsWith("shop of Site1", answer.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task When_all_refuse_the_first_answer_stands()
    {
        Says("Site2", "shop", 404);
        Says("Site3", "shop", 403);
        var answer = await _sites["Site1"].AskAsync("shop", "GET", "/", "Scope: Site2 ; Site3\r\n");
        Assert.Equal("Site2 says 404", answer.Body);
        Assert.Equal("Site2;outcome=refused;status=404, Site3;outcome=refused;status=403", answer.Field("Cheops-Plan"));
    }

    [Fact]
    public async Task A_body_that_cannot_be_kept_goes_to_one_place_only()
    {
        await using var sites = new SimulatedSites(new MemoryBodyStore(capacity: 10), "Site1", "Site2");
        sites["Site1"].Services["shop"] = _ => Task.FromResult<string?>(Answer(200, "here"));
        sites["Site2"].Services["shop"] = asked => Task.FromResult<string?>(Answer(asked.Body.Length == 5000 ? 201 : 400, "there"));
        var first = await sites["Site1"].AskAsync("shop", "PUT", "/", "Scope: Site2 ; Site1\r\n", new string('b', 5000));
        Assert.Equal("there", first.Body);
        Assert.Contains(" 201 ", first.FirstLine, StringComparison.Ordinal);

        sites["Site2"].Services["shop"] = _ => Task.FromResult<string?>(null);
        var second = await sites["Site1"].AskAsync("shop", "PUT", "/", "Scope: Site2 ; Site1\r\n", new string('b', 5000));
        Assert.Contains(" 507 ", second.FirstLine, StringComparison.Ordinal);
        Assert.Empty(sites["Site1"].Log);
    }

    [Fact]
    public async Task A_refusal_does_not_stand_for_the_places_that_could_not_be_asked()
    {
        await using var sites = new SimulatedSites(new MemoryBodyStore(capacity: 10), "Site1", "Site2");
        sites["Site1"].Services["shop"] = _ => Task.FromResult<string?>(Answer(200, "here"));
        sites["Site2"].Services["shop"] = _ => Task.FromResult<string?>(Answer(404, "not there"));
        var answer = await sites["Site1"].AskAsync("shop", "POST", "/", "Scope: Site2 ; Site1\r\n", new string('b', 5000));
        Assert.Contains(" 507 ", answer.FirstLine, StringComparison.Ordinal);
        Assert.Contains("\"retrySafe\":true", answer.Body, StringComparison.Ordinal);
        Assert.Equal("Site2;outcome=refused;status=404", answer.Field("Cheops-Plan"));
        Assert.Empty(sites["Site1"].Log);
    }

    [Theory]
    [InlineData(0, "Site1", 0)]
    [InlineData(1, "Site2", 0)]
    [InlineData(2, "Site2", 1)]
    public async Task A_request_goes_no_further_than_it_may(int hops, string answeredBy, int reached)
    {
        var fields = $"Scope: Site2\r\nMax-Forwards: {hops}\r\nAuthorization: secret\r\nX-Auth-Token: secret\r\nCookie: secret\r\nX-Seen: yes\r\n";
        var options = await _sites["Site1"].AskAsync("shop", "OPTIONS", "/", fields);
        var trace = await _sites["Site1"].AskAsync("shop", "TRACE", "/", fields);
        Assert.Equal((answeredBy, answeredBy), (options.Field("Cheops-Site"), trace.Field("Cheops-Site")));
        Assert.Equal((0, 2 * reached), (AskedOf("Site1"), AskedOf("Site2")));
        if (reached > 0)
        {
            Assert.All(_sites["Site2"].Log, one => Assert.Equal("0", one.Asked.Field("Max-Forwards")));
            return;
        }

        Assert.Contains("TRACE", options.Field("Allow"), StringComparison.Ordinal);
        Assert.Equal("message/http", trace.Field("Content-Type"));
        Assert.StartsWith("TRACE / HTTP/1.1\r\n", trace.Body, StringComparison.Ordinal);
        Assert.Contains("\r\nX-Seen: yes\r\n", trace.Body, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", trace.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_head_at_a_clients_bound_crosses_a_link_and_so_does_an_answer()
    {
        var fields = "Scope: Site2\r\n" + string.Concat(Enumerable.Range(1, Bounds.FieldCountMax - 3).Select(i => $"F{i}: {i}\r\n"));
        _sites["Site2"].Services["shop"] = asked => Task.FromResult<string?>(Answer(200, "there", fields[14..]));
        var many = await _sites["Site1"].AskAsync("shop", "GET", "/", fields);
        Assert.Equal(("there", "1"), (many.Body, many.Field("F1")));

        var start = "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nScope: Site2\r\nPad: \r\n\r\n".Length;
        var pad = $"Pad: {new string('x', Bounds.HeadSizeMax - start)}\r\n";
        _sites["Site2"].Services["shop"] = asked => Task.FromResult<string?>(Answer(200, $"{asked.Field("Pad")!.Length}", pad[..^100] + "\r\n"));
        var large = await _sites["Site1"].AskAsync("shop", "GET", "/", "Scope: Site2\r\n" + pad);
        Assert.Equal($"{Bounds.HeadSizeMax - start}", large.Body);
    }

    [Theory]
    [InlineData("Site1 & Site2", "&")]
    [InlineData("Site1 && Site2", "&&")]
    [InlineData("Site1 &~ Site2", "&~")]
    [InlineData("Site1 % Site2", "%")]
    [InlineData("Site3 ; (Site1 & Site2)", "&")]
    [InlineData("Site1 & (Site2 && Site3)", "&&")]
    [InlineData("Site1 & (Site2 % Site3)", "%")]
    public async Task Replication_and_cross_are_named_and_nothing_is_executed(string scope, string operators)
    {
        // A read of what is replicated by '&' is carried out at one of the sites.
        foreach (var method in operators == "&" && !scope.Contains(';') ? (string[])["POST"] : ["POST", "PUT", "GET"])
        {
            var answer = await _sites["Site1"].AskAsync("shop", method, "/", $"Scope: {scope}\r\n", method is "POST" or "PUT" ? "order" : "");
            Assert.Contains(" 501 ", answer.FirstLine, StringComparison.Ordinal);
            Assert.Contains(operators, Regex.Match(answer.Body, "\"operator\":\"([^\"]*)\"").Groups[1].Value.Split(", "));
        }

        Assert.Equal(0, AskedOf("Site1") + AskedOf("Site2") + AskedOf("Site3"));
    }

    [Theory]
    [InlineData("Scope: Site1 ;\r\n", "/", 400, "\"column\":8")]
    [InlineData("Scope: Site9\r\n", "/", 422, "Site1, Site2, Site3")]
    [InlineData("Scope: Site2\r\nScope: Site1\r\n", "/", 400, "more than one Scope")]
    [InlineData("Scope: Site1\r\nscope: Site1\r\n", "/@Site2/x", 400, "more than one Scope")]
    [InlineData("", "/@/x", 400, "percent-encoded")]
    [InlineData("", "/@Site%ZZ/x", 400, "percent-encoded")]
    public async Task A_scope_that_is_no_scope_is_answered_before_anything_is_executed(string fields, string target, int status, string told)
    {
        var answer = await _sites["Site1"].AskAsync("shop", "GET", target, fields);
        Assert.Contains($" {status} ", answer.FirstLine, StringComparison.Ordinal);
        Assert.Contains(told, answer.Body, StringComparison.Ordinal);
        Assert.Equal(0, AskedOf("Site1"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Scope: Site2\r\n")]
    public async Task What_a_client_says_in_our_name_does_not_reach_a_service(string scope)
    {
        await _sites["Site1"].AskAsync("shop", "GET", "/", $"{scope}Cheops-Site: Site9\r\nCheops-Anything: x\r\n");
        var (_, asked) = Assert.Single(_sites[scope.Length > 0 ? "Site2" : "Site1"].Log);
        Assert.DoesNotContain("\nCheops-", asked.Head, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task What_an_application_says_in_our_name_is_removed()
    {
        _sites["Site2"].Services["shop"] = _ => Task.FromResult<string?>(Answer(200, "", "Cheops-Site: Nowhere\r\nCheops-Error: stage=connect;retry-safe=?1\r\n"));
        var answer = await _sites["Site1"].AskAsync("shop", "GET", "/", "Scope: Site2\r\n");
        Assert.Equal("Site2", answer.Field("Cheops-Site"));
        Assert.Null(answer.Field("Cheops-Error"));
    }

    [Fact]
    public async Task Only_the_agent_says_who_a_user_is()
    {
        await _sites["Site1"].AskAsync("kube", "GET", "/api", "X-Remote-User: admin\r\nX-Remote-Group: system:masters\r\nAuthorization: Bearer t\r\n");
        var here = Assert.Single(_sites["Site1"].Log).Asked;
        Assert.Null(here.Field("X-Remote-User"));
        Assert.Equal("Bearer t", here.Field("Authorization"));

        await _sites["Site1"].AskAsync("kube", "GET", "/api", "Scope: Site2\r\nX-Remote-User: admin\r\nAuthorization: Bearer t\r\n");
        var there = Assert.Single(_sites["Site2"].Log).Asked;
        Assert.Equal("dev", there.Field("X-Remote-User"));
        Assert.Equal("devs", there.Field("X-Remote-Group"));
        Assert.Null(there.Field("Authorization"));
    }

    [Fact]
    public async Task A_request_that_comes_back_to_its_agent_is_stopped()
    {
        _sites["Site1"].Services["shop"] = async asked => Answer(200, (await _sites["Site1"].AskAsync("shop", "GET", "/", $"Via: {asked.Field("Via")}\r\n")).FirstLine);
        var answer = await _sites["Site1"].AskAsync("shop", "GET", "/");
        Assert.Contains(" 508 ", answer.Body, StringComparison.Ordinal);
    }
}
