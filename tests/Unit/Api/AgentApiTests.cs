using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Proto.Http;
using Microsoft.Extensions.Time.Testing;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Unit.Api;

public sealed class AgentApiTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly FakeTimeProvider _time = new(Now);
    private readonly FakeStatus _status = new();

    private ApiAnswer Get(string target, HttpMethod method = HttpMethod.Get) =>
        new AgentApi(_status, _time, TimeSpan.FromSeconds(3)).Answer(method, Encoding.ASCII.GetBytes(target));

    private static string Text(ApiAnswer answer) => Encoding.UTF8.GetString(answer.Body.Span);

    [Fact]
    public void Health_is_told()
    {
        Assert.Equal((200, "ok\n"), (Get("/healthz").Status, Text(Get("/healthz"))));
        Assert.Equal(200, Get("/healthz?verbose", HttpMethod.Head).Status);
    }

    [Fact]
    public void Ready_means_listeners_bound_and_services_named_and_not_draining_and_links_do_not_matter()
    {
        _status.Sites = [new SiteStatus { Name = "Site2", State = SiteState.Down }];
        Assert.Equal(200, Get("/readyz").Status);
        _status.Readiness = _status.Readiness with { IsDraining = true };
        Assert.Equal(503, Get("/readyz").Status);
        Assert.Contains("draining", Text(Get("/readyz")), StringComparison.Ordinal);
        _status.Readiness = new Readiness(false, ["shop"], false);
        Assert.Equal(503, Get("/readyz").Status);
        _status.Readiness = new Readiness(true, [], false);
        Assert.Equal(503, Get("/readyz").Status);
    }

    [Fact]
    public void Sites_are_told_with_their_ages_and_nobody_silent_is_up()
    {
        _status.Sites =
        [
            new SiteStatus { Name = "Site1", IsSelf = true, State = SiteState.Up },
            new SiteStatus
            {
                Name = "Site2", State = SiteState.Up, HeardAt = Now.AddSeconds(-1.5), RoundTrip = TimeSpan.FromMilliseconds(12.3456), RoundTripAt = Now.AddSeconds(-2),
                Services = ImmutableDictionary<string, string>.Empty.Add("glance", "2.0"), AgentVersion = "0.1.0",
            },
            new SiteStatus { Name = "Site3", State = SiteState.Up, HeardAt = Now.AddSeconds(-60) },
            new SiteStatus { Name = "Site4", State = SiteState.Unknown },
            new SiteStatus { Name = "Site5", State = SiteState.Down, HeardAt = Now.AddHours(-1), Reason = "no heartbeat for 3 s" },
        ];
        var answer = Get("/_cheops/v1/sites");
        Assert.Equal("application/json", answer.MediaType);
        using var document = JsonDocument.Parse(answer.Body);
        var sites = document.RootElement.GetProperty("sites").EnumerateArray().ToDictionary(site => site.GetProperty("name").GetString()!);
        Assert.Equal(["up", "up", "silent", "unknown", "down"], sites.Values.Select(site => site.GetProperty("state").GetString()!));
        Assert.Equal(1.5, sites["Site2"].GetProperty("heardSecondsAgo").GetDouble());
        Assert.Equal(12.346, sites["Site2"].GetProperty("roundTripMs").GetDouble());
        Assert.Equal(2, sites["Site2"].GetProperty("roundTripSecondsAgo").GetDouble());
        Assert.Equal("2.0", sites["Site2"].GetProperty("services").GetProperty("glance").GetString());
        Assert.Equal(JsonValueKind.Null, sites["Site4"].GetProperty("heardSecondsAgo").ValueKind);
        Assert.False(sites["Site1"].TryGetProperty("heardSecondsAgo", out _));

        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Contains("\"silent\"", Text(Get("/_cheops/v1/sites")), StringComparison.Ordinal);
        Assert.Equal(0, MetricsText.Read(Get("/metrics").Body).Samples["cheops_link_up{cheops_peer=\"Site2\"}"]);
    }

    [Fact]
    public void Metrics_are_strictly_in_the_format_with_the_names_of_opentelemetry()
    {
        _status.Counters.RequestBegun(HttpMethod.Get, isSecure: true);
        _status.Counters.RequestBegun(HttpMethod.Get, isSecure: true);
        _status.Counters.RequestEnded(HttpMethod.Get, isSecure: true, 200, isCut: false, TimeSpan.FromMilliseconds(30));
        _status.Counters.RequestBegun(HttpMethod.Other, isSecure: false);
        _status.Counters.RequestEnded(HttpMethod.Other, isSecure: false, 0, isCut: false, TimeSpan.FromMilliseconds(30));
        _status.Counters.Refused(HttpRefusal.BareLineFeed);
        var answer = Get("/metrics");
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", answer.MediaType);
        var metrics = MetricsText.Read(answer.Body);
        Assert.Equal("histogram", metrics.Kinds["http_server_request_duration_seconds"]);
        Assert.Equal(0, metrics.Samples["http_server_request_duration_seconds_bucket{cheops_service=\"shop\",http_request_method=\"GET\",url_scheme=\"https\",http_response_status_code=\"200\",le=\"0.025\"}"]);
        Assert.Equal(1, metrics.Samples["http_server_request_duration_seconds_bucket{cheops_service=\"shop\",http_request_method=\"GET\",url_scheme=\"https\",http_response_status_code=\"200\",le=\"0.05\"}"]);
        Assert.Equal(0.03, metrics.Samples["http_server_request_duration_seconds_sum{cheops_service=\"shop\",http_request_method=\"GET\",url_scheme=\"https\",http_response_status_code=\"200\"}"], 6);
        Assert.Equal(1, metrics.Samples["http_server_request_duration_seconds_count{cheops_service=\"shop\",http_request_method=\"_OTHER\",url_scheme=\"http\"}"]);
        Assert.Equal(1, metrics.Samples["http_server_active_requests{cheops_service=\"shop\",http_request_method=\"GET\",url_scheme=\"https\"}"]);
        Assert.Equal(0, metrics.Samples["http_server_active_requests{cheops_service=\"shop\",http_request_method=\"_OTHER\",url_scheme=\"http\"}"]);
        Assert.Equal(1, metrics.Samples["cheops_http_responses_total{cheops_service=\"shop\",class=\"none\"}"]);
        Assert.Equal(1, metrics.Samples["cheops_http_refusals_total{cheops_service=\"shop\",reason=\"BareLineFeed\"}"]);
        Assert.True(metrics.Samples["process_resident_memory_bytes"] > 1_000_000);
        Assert.True(metrics.Samples["process_open_fds"] > 0);
    }

    [Fact]
    public void Labels_and_help_are_escaped()
    {
        var writer = new MetricsWriter();
        writer.Metric("x", MetricKind.Gauge, "a \\ and\na line").Sample(double.NaN, new MetricLabel("l", "q\"u\\o\nte")).Sample(double.PositiveInfinity);
        var metrics = MetricsText.Read(writer.Written);
        Assert.Equal(double.NaN, metrics.Samples["x{l=\"q\\\"u\\\\o\\nte\"}"]);
        Assert.Throws<InvalidOperationException>(() => writer.Metric("x", MetricKind.Gauge, "again"));
    }

    [Fact]
    public void A_scope_is_explained_as_text_or_json()
    {
        Assert.Equal((200, "{\"scope\":\"a b\"}\n"), (Get("/_cheops/v1/explain?scope=a%20b&service=shop").Status, Text(Get("/_cheops/v1/explain?scope=a%20b&service=shop"))));
        Assert.Equal("text a b shop", Text(Get("/_cheops/v1/explain?scope=a+b&service=shop&format=text")));
        Assert.Equal(422, Get("/_cheops/v1/explain?scope=bad&service=shop").Status);
        Assert.Equal(400, Get("/_cheops/v1/explain?scope=a").Status);
        Assert.Equal(400, Get("/_cheops/v1/explain").Status);
    }

    [Fact]
    public void Nothing_else_is_there_and_nothing_can_be_changed()
    {
        var missing = Get("/readyx");
        Assert.Equal((404, "application/problem+json"), (missing.Status, missing.MediaType));
        Assert.Contains("did you mean '/readyz'?", Text(missing).Replace("\\u0027", "'", StringComparison.Ordinal), StringComparison.Ordinal);
        var posted = Get("/metrics", HttpMethod.Post);
        Assert.Equal(405, posted.Status);
        Assert.Equal("Allow: GET, HEAD\r\n", Encoding.ASCII.GetString(posted.Fields!.Written));
    }

    private sealed class FakeStatus : IAgentStatus
    {
        public InterceptionCounters Counters { get; } = new();

        public string Site => "Site1";

        public Readiness Readiness { get; set; } = new(true, ["shop"], false);

        public ImmutableArray<SiteStatus> Sites { get; set; } = [];

        public ScopeExplanation Explain(string scope, string service) =>
            new(scope != "bad", $"text {scope} {service}", $"{{\"scope\":\"{scope}\"}}");

        public void WriteMetrics(MetricsWriter metrics)
        {
            InterceptionMetrics.Write(metrics, [new ServedService("shop", Counters), new ServedService("glance", new InterceptionCounters())]);
            ProcessMetrics.Write(metrics, "0.1.0", "Site1", Now);
        }
    }
}
