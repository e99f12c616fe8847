using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Applications;

/// <summary>
/// Two sites with a real OpenStack each: keystone, glance, placement, nova with the fake hypervisor. Clients and services
/// find each other in the catalog, and the catalog shows the agent's addresses: port + 10,000 for clients, + 20,000 for services.
/// </summary>
public sealed class OpenStackSites : IAsyncLifetime
{
    private static readonly (string Name, int Port)[] Services = [("keystone", 5000), ("glance", 9292), ("placement", 8778), ("nova", 8774)];

    private readonly string _state = Places.NewDirectory();
    private readonly Dictionary<int, Dictionary<string, string>> _clients = [];
    private Application _application = null!;

    internal Mesh Mesh { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        _application = new Application(
            Path.Combine(Places.Shared, "apps", "openstack", "openstack-sites.sh"),
            new Dictionary<string, string> { ["OPENSTACK_SITES_DIR"] = _state, ["OPENSTACK_SITES_TIMEOUT"] = "400", ["HOME"] = _state });
        try
        {
            await _application.RunAsync(TimeSpan.FromMinutes(12), "install");

            // The agents first: nova becomes ready only when glance and keystone answer at the addresses of the catalog.
            foreach (var number in (int[])[1, 2]) WriteCredential(number, "wrong");
            Mesh = await Mesh.StartAsync([SiteOf(1), SiteOf(2)]);
            await StartAsync();
            foreach (var number in (int[])[1, 2]) _clients[number] = await ClientOf(number);
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    /// <summary>The variables with which the openstack command is a site's user.</summary>
    internal IReadOnlyDictionary<string, string> ClientOfSite(int site) => _clients[site];

    /// <summary>The file of a site's own credential for glance, at first one that is worth nothing.</summary>
    internal string CredentialFile(int site) => Path.Combine(_state, $"glance-{site}.rc");

    /// <summary>Writes a site's own credential, which only the agent may read.</summary>
    internal void WriteCredential(int site, string password)
    {
        File.WriteAllText(CredentialFile(site), $"OS_AUTH_URL=http://127.0.{site}.1:5000/v3\nOS_USERNAME=admin\nOS_PASSWORD={password}\nOS_PROJECT_NAME=admin\nOS_USER_DOMAIN_ID=default\nOS_PROJECT_DOMAIN_ID=default\n");
        File.SetUnixFileMode(CredentialFile(site), UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    /// <summary>
    /// As <c>glance-manage db purge_images_table</c> does: without it Glance refuses an id for ever that a deleted image had.
    /// </summary>
    internal async Task PurgeImagesAsync(int site) => (await Commands.ShellAsync(
        $$"""
        python3 - '{{Path.Combine(_state, $"site-{site}", "db", "glance.sqlite")}}' <<'END'
        import sqlite3, sys
        with sqlite3.connect(sys.argv[1], timeout=30) as db:
            for table in ('image_properties', 'image_tags', 'image_members', 'image_locations', 'images'):
                db.execute(f'DELETE FROM {table} WHERE deleted != 0')
        END
        """)).Succeeded();

    /// <summary>Ends a site's glance.</summary>
    internal Task StopGlanceAsync(int site) =>
        Commands.ShellAsync($"read -r pid _ <'{Path.Combine(_state, $"site-{site}", "run", "glance.pid")}'; kill -TERM \"$pid\"; while kill -0 \"$pid\" 2>/dev/null; do sleep 0.05; done");

    /// <summary>Starts what does not run.</summary>
    internal Task StartAsync() => _application.RunAsync(
        TimeSpan.FromMinutes(8), "up", "2", "--services", "keystone,glance,nova", "--shared-identity", "--front-port-offset", "10000", "--internal-port-offset", "20000");

    /// <summary>Runs the openstack command as a user of a site, whose requests carry a scope.</summary>
    internal async Task<Ran> OpenStackAsync(int site, string? scope, params string[] arguments)
    {
        string[] line = scope is null
            ? ["/usr/bin/openstack", .. arguments]
            : [Places.Cheops, "run", "--scope", scope, "--", "/usr/bin/openstack", .. arguments];
        return await Commands.RunAsync(line, _clients[site], TimeSpan.FromMinutes(3));
    }

    /// <summary>The same, and it must succeed; its output without the line's end.</summary>
    internal async Task<string> TellAsync(int site, string? scope, params string[] arguments) =>
        (await OpenStackAsync(site, scope, arguments)).Succeeded().Output.Trim();

    public async Task DisposeAsync()
    {
        if (Mesh is not null) await Mesh.DisposeAsync();
        await _application.DisposeAsync();
        Directory.Delete(_state, recursive: true);
    }

    private Site SiteOf(int number)
    {
        var site = new Site($"Site{number}", $"127.0.{number}.1");
        site.Settings["CHEOPS_PROFILES"] = "openstack";
        site.Settings["CHEOPS_SERVICE_CREDENTIAL_GLANCE"] = CredentialFile(number);
        site.Settings["CHEOPS_SERVICES"] = string.Join(',', Services.SelectMany(service => new[] { 10_000, 20_000 }.Select(offset =>
            $"{service.Name}@{site.Address}:{service.Port + offset}=http://{site.Address}:{service.Port}")));
        return site;
    }

    private async Task<Dictionary<string, string>> ClientOf(int number)
    {
        var exports = await _application.RunAsync(TimeSpan.FromMinutes(1), "env", $"{number}");
        var variables = new Dictionary<string, string> { ["HOME"] = _state };
        foreach (var line in exports.Split('\n').Where(line => line.StartsWith("export ", StringComparison.Ordinal)))
        {
            var pair = line["export ".Length..].Split('=', 2);
            variables[pair[0]] = pair[1].Trim().Trim('\'', '"');
        }

        Assert.Contains("OS_AUTH_URL", variables.Keys);
        return variables;
    }
}
