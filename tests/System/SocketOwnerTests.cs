using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System;

/// <summary>
/// Services that hand nothing of a request on, each a process of its own: who calls is told by who owns the socket.
/// </summary>
public sealed class SocketOwnerTests : IAsyncLifetime
{
    private readonly string _directory = Places.NewDirectory();
    private readonly List<Daemon> _services = [];
    private Mesh _mesh = null!;

    public async Task InitializeAsync()
    {
        // "front" waits until a file is there, and then asks "back" with nothing but a target.
        await File.WriteAllTextAsync(
            Path.Combine(_directory, "service.py"),
            """
            import http.server, json, os, sys, time, urllib.error, urllib.request
            address, port, site, back, directory = sys.argv[1:6]
            class Handler(http.server.BaseHTTPRequestHandler):
                protocol_version = 'HTTP/1.1'
                def do_GET(self):
                    answer = {'site': site}
                    if back:
                        name = self.path.split('/')[1]
                        open(os.path.join(directory, name + '.here'), 'w').close()
                        while not os.path.exists(os.path.join(directory, name + '.go')):
                            time.sleep(0.01)
                        try:
                            with urllib.request.urlopen(back + '/' + name) as asked:
                                answer['back'] = json.load(asked)
                        except urllib.error.HTTPError as error:
                            answer['back'] = json.load(error)
                    body = json.dumps(answer).encode()
                    self.send_response(200)
                    self.send_header('Content-Length', str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                def log_message(self, *arguments):
                    pass
            http.server.ThreadingHTTPServer((address, int(port)), Handler).serve_forever()
            """);
        _mesh = await Mesh.StartAsync(2, site =>
        {
            Add(site, "back", 18001, "");
            Add(site, "front", 18002, $"http://{site.Address}:18001");
        });
        foreach (var site in _mesh.Sites)
        {
            foreach (var service in site.Services) await Wait.UntilAsync($"{service.Name} answers", async () => (await Client.GetAsync(new Uri(service.Instance), "/up", null)).Status == 200);
        }
    }

    private void Add(Site site, string name, int port, string back)
    {
        // What "up" asks need not wait.
        File.WriteAllText(Path.Combine(_directory, "up.go"), "");
        _services.Add(Daemon.Start(
            ["python3", Path.Combine(_directory, "service.py"), site.Address, $"{port - 10_000}", site.Name, back, _directory], new Dictionary<string, string>()));
        site.Services.Add(new FrontedService(name, $"http://{site.Address}:{port - 10_000}", port));
    }

    public async Task DisposeAsync()
    {
        await _mesh.DisposeAsync();
        foreach (var service in _services) await service.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task<Task<Answer>> BeginAsync(string name, string? scope)
    {
        var answer = Client.GetAsync(_mesh[1].Of("front"), $"/{name}", scope);
        await Wait.UntilAsync($"{name} is with its service", () => File.Exists(Path.Combine(_directory, name + ".here")));
        return answer;
    }

    private void Go(string name) => File.WriteAllText(Path.Combine(_directory, name + ".go"), "");

    private static string? BackOf(Answer answer) => answer.Json.GetProperty("back").TryGetProperty("site", out var site) ? site.GetString() : null;

    [Fact]
    public async Task OneScopeUnderWayIsTheCallersAlsoInManyRequests()
    {
        var asked = new List<Task<Answer>>();
        foreach (var name in (string[])["a", "b", "c"]) asked.Add(await BeginAsync(name, "{front: Site1, back: Site2}"));
        foreach (var name in (string[])["a", "b", "c"]) Go(name);
        foreach (var answer in await Task.WhenAll(asked)) Assert.Equal((200, "Site2"), (answer.Status, BackOf(answer)));

        // Nothing is under way any more: the service calls for itself.
        var plain = await BeginAsync("d", null);
        Go("d");
        Assert.Equal("Site1", BackOf(await plain));
    }

    [Fact]
    public async Task SeveralScopesUnderWayAreRefusedUntilOneIsLeft()
    {
        var here = await BeginAsync("e", "{front: Site1, back: Site1}");
        var there = await BeginAsync("f", "{front: Site1, back: Site2}");
        Go("e");
        var refused = (await here).Json.GetProperty("back");
        Assert.Equal(409, refused.GetProperty("status").GetInt32());
        Assert.EndsWith("ambiguous-workflow", refused.GetProperty("type").GetString(), StringComparison.Ordinal);
        Assert.True(refused.GetProperty("retrySafe").GetBoolean());
        Assert.Contains("front has requests of different scopes under way", refused.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Go("f");
        Assert.Equal("Site2", BackOf(await there));
    }
}
