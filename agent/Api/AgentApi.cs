using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Mesh;
using Cheops.Proto;
using Cheops.Proto.Http;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Api;

/// <summary>
/// What is answered at <c>CHEOPS_API_LISTEN</c>: health, metrics, sites, explained scopes, and what sections add. Only a
/// client on this machine can change anything through it.
/// </summary>
/// <param name="status">The agent.</param>
/// <param name="time">The clock from which ages count.</param>
/// <param name="silentAfter">A site not heard from for longer is never shown as up, whatever was known last.</param>
/// <param name="sections">What the API has beyond this.</param>
public sealed class AgentApi(IAgentStatus status, TimeProvider time, TimeSpan silentAfter, params ImmutableArray<IApiSection> sections)
{
    /// <summary>Whether the agent lives.</summary>
    public const string HealthPath = "/healthz";

    /// <summary>Whether it takes requests.</summary>
    public const string ReadyPath = "/readyz";

    /// <summary>What it counts.</summary>
    public const string MetricsPath = "/metrics";

    /// <summary>What is known of the sites.</summary>
    public const string SitesPath = "/_cheops/v1/sites";

    /// <summary>What a scope would do: <c>?scope=…&amp;service=…</c>, <c>&amp;format=text</c> for people.</summary>
    public const string ExplainPath = "/_cheops/v1/explain";

    private static readonly string[] OwnPaths = [HealthPath, ReadyPath, MetricsPath, SitesPath, ExplainPath];

    private string[] Paths => [.. OwnPaths, .. sections.SelectMany(section => section.Paths)];

    /// <summary>Answers one request, also one that a section answers.</summary>
    /// <param name="method">The method.</param>
    /// <param name="target">The target in origin form.</param>
    /// <param name="isLocal">Whether the client is on this machine.</param>
    public ValueTask<ApiAnswer> AnswerAsync(HttpMethod method, ReadOnlySpan<byte> target, bool isLocal)
    {
        var text = Encoding.ASCII.GetString(target);
        var mark = text.IndexOf('?', StringComparison.Ordinal);
        var path = mark < 0 ? text : text[..mark];
        var section = sections.FirstOrDefault(one => one.Paths.Any(own => path == own || path.StartsWith(own + "/", StringComparison.Ordinal)));
        return section is null || OwnPaths.Contains(path)
            ? new(Answer(method, target))
            : section.AnswerAsync(new ApiRequest(method, path, QueryOf(mark < 0 ? "" : text[(mark + 1)..]), isLocal));
    }

    /// <summary>Answers one request. A HEAD is answered as a GET; whoever sends leaves the body out.</summary>
    /// <param name="method">The method.</param>
    /// <param name="target">The target in origin form.</param>
    public ApiAnswer Answer(HttpMethod method, ReadOnlySpan<byte> target)
    {
        var mark = target.IndexOf((byte)'?');
        var path = Encoding.ASCII.GetString(mark < 0 ? target : target[..mark]);
        if (!OwnPaths.Contains(path))
        {
            return ApiAnswer.Failure(
                status.Site, 404, "not-found", "There is nothing here",
                $"the API has {string.Join(", ", Paths)}{NearestName.Hint(path, Paths)}");
        }

        if (method is not (HttpMethod.Get or HttpMethod.Head))
        {
            return ApiAnswer.Failure(
                status.Site, 405, "method-not-allowed", "The API is only read", $"{path} takes GET and HEAD",
                new FieldLines().Add("Allow"u8, "GET, HEAD"));
        }

        return path switch
        {
            HealthPath => ApiAnswer.Text(200, "ok\n"),
            ReadyPath => Ready(),
            MetricsPath => Metrics(),
            SitesPath => Sites(),
            _ => Explain(mark < 0 ? "" : Encoding.ASCII.GetString(target[(mark + 1)..])),
        };
    }

    private ApiAnswer Ready()
    {
        var readiness = status.Readiness;
        return ApiAnswer.Json(readiness.IsReady ? 200 : 503, json =>
        {
            json.WriteBoolean("ready", readiness.IsReady);
            if (!readiness.IsReady) json.WriteString("reason", readiness.Reason);
            json.WriteString("site", status.Site);
            json.WriteBoolean("listenersBound", readiness.ListenersBound);
            json.WriteBoolean("draining", readiness.IsDraining);
            json.WriteStartArray("services");
            foreach (var service in readiness.Services) json.WriteStringValue(service);
            json.WriteEndArray();
        });
    }

    private ApiAnswer Metrics()
    {
        var metrics = new MetricsWriter();
        status.WriteMetrics(metrics);
        SiteMetrics.Write(metrics, status.Sites, time.GetUtcNow(), silentAfter);
        return new ApiAnswer(200, MetricsWriter.MediaType, metrics.Written);
    }

    private ApiAnswer Sites()
    {
        var now = time.GetUtcNow();
        return ApiAnswer.Json(200, json =>
        {
            json.WriteString("site", status.Site);
            json.WriteString("time", now);
            json.WriteStartArray("sites");
            foreach (var site in status.Sites) SiteJson.Write(json, site, now, silentAfter);
            json.WriteEndArray();
        });
    }

    private ApiAnswer Explain(string query)
    {
        var values = QueryOf(query);
        var scope = values.GetValueOrDefault("scope", "");
        var service = values.GetValueOrDefault("service", "");
        if (scope.Length == 0 || service.Length == 0)
        {
            return ApiAnswer.Failure(
                status.Site, 400, "bad-query", "A scope is explained for a service", $"ask for {ExplainPath}?scope=SCOPE&service=SERVICE, percent-encoded");
        }

        var explained = status.Explain(scope, service);
        var code = explained.IsPlanned ? 200 : 422;
        return values.GetValueOrDefault("format") == "text"
            ? ApiAnswer.Text(code, explained.Text)
            : new ApiAnswer(code, "application/json", Encoding.UTF8.GetBytes(explained.Json + "\n"));
    }

    private static ImmutableDictionary<string, string> QueryOf(string query)
    {
        var values = ImmutableDictionary.CreateBuilder<string, string>();
        foreach (var pair in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0) values[Decode(pair[..equals])] = Decode(pair[(equals + 1)..]);
        }

        return values.ToImmutable();
    }

    private static string Decode(string text) => Uri.UnescapeDataString(text.Replace('+', ' '));

    /// <summary>The state that is shown: one that was not heard from recently is not shown as up.</summary>
    internal static string StateOf(SiteStatus site, DateTimeOffset now, TimeSpan silentAfter)
    {
        if (site.IsSelf || site.State is not (SiteState.Up or SiteState.Draining)) return site.State.ToString().ToLowerInvariant();
        return site.HeardAt is { } heard && now - heard <= silentAfter ? site.State.ToString().ToLowerInvariant() : "silent";
    }
}
