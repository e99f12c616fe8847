using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Faults;

/// <summary>Sites that all offer the service "api", whose behaviour a test decides by site.</summary>
internal sealed class ApiSites : IAsyncDisposable
{
    public const string Service = "api";
    private readonly List<RestService> _services = [];

    private ApiSites(Mesh mesh) => Mesh = mesh;

    public Mesh Mesh { get; }

    public Site Site1 => Mesh[1];

    public Site Site2 => Mesh[2];

    public Uri At1 => Site1.Of(Service);

    public static async Task<ApiSites> StartAsync(int count, Func<string, RestCall, Task> handler, Action<Site>? more = null)
    {
        var services = new List<RestService>();
        try
        {
            var mesh = await Mesh.StartAsync(count, site =>
            {
                var service = new RestService(call => handler(site.Name, call), site.Address, 19000);
                services.Add(service);
                site.Services.Add(new FrontedService(Service, service.Url, 18000));
                more?.Invoke(site);
            });
            var sites = new ApiSites(mesh);
            sites._services.AddRange(services);
            return sites;
        }
        catch
        {
            foreach (var service in services) await service.DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops the service instance of a site, as a crash does.</summary>
    public ValueTask StopServiceAsync(int site) => _services[site - 1].DisposeAsync();

    /// <summary>Starts another one in its place.</summary>
    public void StartService(int site, Func<string, RestCall, Task> handler) =>
        _services[site - 1] = new RestService(call => handler(Mesh[site].Name, call), Mesh[site].Address, 19000);

    public static Task Hello(string site, RestCall call) => call.AnswerAsync(200, site);

    public async ValueTask DisposeAsync()
    {
        await Mesh.DisposeAsync();
        foreach (var service in _services) await service.DisposeAsync();
    }
}
