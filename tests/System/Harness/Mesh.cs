namespace Cheops.Tests.System.Harness;

/// <summary>Several sites, each linked with each other.</summary>
internal sealed class Mesh : IAsyncDisposable
{
    private Mesh(IReadOnlyList<Site> sites) => Sites = sites;

    public IReadOnlyList<Site> Sites { get; }

    /// <summary>Sites are counted from 1, as their names are.</summary>
    public Site this[int number] => Sites[number - 1];

    /// <summary>Starts agents at addresses of their own and waits until each sees all others up.</summary>
    public static async Task<Mesh> StartAsync(int count, Action<Site> setUp)
    {
        var sites = Enumerable.Range(1, count).Select(number => new Site($"Site{number}", Places.NewAddress())).ToArray();
        foreach (var site in sites) setUp(site);
        return await StartAsync(sites);
    }

    public static async Task<Mesh> StartAsync(IReadOnlyList<Site> sites)
    {
        Link(sites);
        var mesh = new Mesh(sites);
        try
        {
            await Task.WhenAll(sites.Select(site => site.StartAsync()));
            await mesh.LinkedAsync();
            return mesh;
        }
        catch (Exception e)
        {
            var logs = mesh.Logs();
            await mesh.DisposeAsync();
            throw new InvalidOperationException($"{e.Message}\n{logs}", e);
        }
    }

    /// <summary>Makes every site a peer of every other.</summary>
    public static void Link(IReadOnlyList<Site> sites)
    {
        foreach (var site in sites)
        {
            site.Settings["CHEOPS_MESH_LISTEN"] = site.MeshAddress;
            site.Settings["CHEOPS_PEERS"] = string.Join(',', sites.Where(other => other != site).Select(other => $"{other.Name}@{other.MeshAddress}"));
        }
    }

    /// <summary>Waits until every site sees every other up.</summary>
    public Task LinkedAsync() => Task.WhenAll(
        from site in Sites from other in Sites where other != site select site.SeesAsync(other.Name, "up"));

    public string Logs() => string.Join("\n", Sites.Select(site => $"==== {site.Name}\n{site.Log}"));

    public async ValueTask DisposeAsync()
    {
        foreach (var site in Sites) await site.DisposeAsync();
    }
}
