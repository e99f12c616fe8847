using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Cheops.Tests.System.Harness;

/// <summary>An answer, whole.</summary>
internal sealed record Answer(int Status, string Body, IReadOnlyDictionary<string, string> Fields)
{
    public string? Site => Fields.GetValueOrDefault("Cheops-Site");

    public string? Plan => Fields.GetValueOrDefault("Cheops-Plan");

    public JsonElement Json => JsonDocument.Parse(Body).RootElement;

    /// <summary>Checks that Cheops itself refused or failed the request, and tells the problem document.</summary>
    public JsonElement Problem(int status, string stage, bool retrySafe)
    {
        Assert.True(Status == status, $"{Status} instead of {status}: {Body}");
        Assert.StartsWith("application/problem+json", Fields["Content-Type"], StringComparison.Ordinal);
        Assert.Equal(stage, Json.GetProperty("stage").GetString());
        Assert.Equal(retrySafe, Json.GetProperty("retrySafe").GetBoolean());
        return Json;
    }
}

/// <summary>An ordinary HTTP client.</summary>
internal static class Client
{
    private static readonly HttpClient Http = New(TimeSpan.FromSeconds(60));

    /// <summary>A client that follows nothing and keeps nothing; its sockets may be of another network namespace.</summary>
    public static HttpClient New(TimeSpan timeout, Func<Socket>? newSocket = null)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            AllowAutoRedirect = false,
            UseCookies = false,
            ActivityHeadersPropagator = null,
            PooledConnectionLifetime = TimeSpan.FromSeconds(5),
        };
        if (newSocket is not null) handler.ConnectCallback = async (context, cancellation) => await ConnectAsync(newSocket(), context.DnsEndPoint, cancellation);
        return new HttpClient(handler) { Timeout = timeout };
    }

    private static async Task<Stream> ConnectAsync(Socket socket, EndPoint to, CancellationToken cancellation)
    {
        try
        {
            await socket.ConnectAsync(to, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public static Task<Answer> GetAsync(Uri service, string path, string? scope = null, params (string Name, string Value)[] fields) =>
        SendAsync(HttpMethod.Get, service, path, scope, null, fields);

    public static Task<Answer> PostAsync(Uri service, string path, string body, string? scope = null, params (string Name, string Value)[] fields) =>
        SendAsync(HttpMethod.Post, service, path, scope, body, fields);

    public static Task<Answer> SendAsync(
        HttpMethod method, Uri service, string path, string? scope, string? body, params (string Name, string Value)[] fields) =>
        SendAsync(Http, method, service, path, scope, body, fields);

    public static async Task<Answer> SendAsync(
        HttpClient http, HttpMethod method, Uri service, string path, string? scope, string? body, params (string Name, string Value)[] fields)
    {
        using var request = new HttpRequestMessage(method, new Uri($"http://{service.Authority}{path}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (scope is not null) request.Headers.TryAddWithoutValidation("Scope", scope);
        foreach (var (name, value) in fields) request.Headers.TryAddWithoutValidation(name, value);
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await http.SendAsync(request);
        var all = answer.Headers.Concat(answer.Content.Headers).ToDictionary(field => field.Key, field => string.Join(", ", field.Value), StringComparer.OrdinalIgnoreCase);
        return new Answer((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(), all);
    }
}
