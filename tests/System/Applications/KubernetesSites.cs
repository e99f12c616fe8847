using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Applications;

/// <summary>
/// Two sites with a real Kubernetes API each, every site with certificate authorities and users of its own, linked with mutual TLS.
/// </summary>
public class KubernetesSites : IAsyncLifetime
{
    private readonly string _state = Places.NewDirectory();
    private Application _application = null!;

    internal Mesh Mesh { get; private set; } = null!;

    /// <summary>Sites that have no Kubernetes.</summary>
    private protected virtual Site[] Further => [];

    public async Task InitializeAsync()
    {
        var assets = await UnpackAsync("kube-apiserver");
        _application = new Application(
            Path.Combine(Places.Shared, "apps", "kubernetes", "kube-sites.sh"),
            new Dictionary<string, string>
            {
                ["KUBE_SITES_DIR"] = _state,
                ["KUBEBUILDER_ASSETS"] = assets,
                ["KUBE_SITES_NO_KCM"] = "1",
                ["KUBE_SITES_TIMEOUT"] = "300",
                ["HOME"] = _state,
            });
        try
        {
            await _application.RunAsync(TimeSpan.FromMinutes(8), "up", "2");
            Site[] sites = [SiteOf(1), SiteOf(2), .. Further];
            var certificates = await MeshCertificates.IssueAsync(_state, [.. sites.Select(site => (site.Name, site.Address))]);
            foreach (var site in sites) certificates.SetUp(site.Name, site.Settings);
            Mesh = await Mesh.StartAsync(sites);
        }
        catch
        {
            await DisposeAsync();
            throw;
        }
    }

    /// <summary>A file of a site's certificates, such as <c>ca.crt</c>.</summary>
    internal string Pki(int site, string file) => Path.Combine(_state, $"site-{site}", "pki", file);

    /// <summary>The line that runs kubectl as a site's user through its agent; <paramref name="scope"/> is a path prefix or empty.</summary>
    internal string[] Kubectl(int site, string user, string scope, params string[] arguments) =>
    [
        "kubectl", "--kubeconfig", Path.Combine(_state, $"site-{site}", $"{user}.kubeconfig"), "--cache-dir", Path.Combine(_state, "cache", scope.Trim('/', '@')),
        .. scope == "direct" ? [] : new[] { "--server", $"https://127.0.{site}.1:16443{scope}" },
        .. arguments,
    ];

    internal Task<Ran> RunAsync(int site, string user, string scope, params string[] arguments) =>
        Commands.RunAsync(Kubectl(site, user, scope, arguments), new Dictionary<string, string> { ["HOME"] = _state });

    internal Task<Ran> RunWithAsync(string input, int site, string user, string scope, params string[] arguments) =>
        Commands.RunAsync(Kubectl(site, user, scope, arguments), new Dictionary<string, string> { ["HOME"] = _state }, input: input);

    /// <summary>Ends a site's API server as a crash would.</summary>
    internal Task StopApiServerAsync(int site) =>
        Commands.ShellAsync($"read -r pid _ <'{Path.Combine(_state, $"site-{site}", "run", "kube-apiserver.pid")}'; kill -KILL \"$pid\"; while kill -0 \"$pid\" 2>/dev/null; do sleep 0.05; done");

    /// <summary>Starts the API servers that do not run.</summary>
    internal Task StartApiServersAsync() => _application.RunAsync(TimeSpan.FromMinutes(3), "up", "2");

    /// <summary>
    /// Starts the controllers of a site that make ReplicaSets and Pods of Deployments, and remove what nothing owns any more. They reach
    /// the API server through the site's agent, as everybody at the site does.
    /// </summary>
    internal async Task<Daemon> StartControllersAsync(int site)
    {
        var directory = Path.Combine(_state, $"site-{site}");
        var config = Path.Combine(directory, "kcm-by-agent.kubeconfig");
        var direct = await File.ReadAllTextAsync(Path.Combine(directory, "kcm.kubeconfig"));
        Assert.Contains(":6443", direct, StringComparison.Ordinal);
        await File.WriteAllTextAsync(config, direct.Replace(":6443", ":16443", StringComparison.Ordinal));
        return Daemon.Start(
            [
                Path.Combine(await UnpackAsync("kube-controller-manager"), "kube-controller-manager"), "--kubeconfig", config, "--leader-elect=false", "--port=0", "--secure-port=0",
                "--controllers=deployment,replicaset,garbagecollector",
            ],
            new Dictionary<string, string> { ["HOME"] = _state });
    }

    public async Task DisposeAsync()
    {
        if (Mesh is not null) await Mesh.DisposeAsync();
        await _application.DisposeAsync();
        Directory.Delete(_state, recursive: true);
    }

    private Site SiteOf(int number)
    {
        var site = new Site($"Site{number}", $"127.0.{number}.1");
        site.Services.Add(new FrontedService("kube", $"https://{site.Address}:6443", 16443));
        site.Settings["CHEOPS_PROFILES"] = "kubernetes";
        site.Settings["CHEOPS_TLS_CERT"] = Pki(number, "apiserver.crt");
        site.Settings["CHEOPS_TLS_KEY"] = Pki(number, "apiserver.key");
        site.Settings["CHEOPS_TLS_CLIENT_CA"] = Pki(number, "ca.crt");
        site.Settings["CHEOPS_UPSTREAM_CA_KUBE"] = Pki(number, "ca.crt");
        site.Settings["CHEOPS_UPSTREAM_CERT_KUBE"] = Pki(number, "front-proxy-client.crt");
        site.Settings["CHEOPS_UPSTREAM_KEY_KUBE"] = Pki(number, "front-proxy-client.key");
        return site;
    }

    // The binaries are large: unpacked once, and used again by later runs.
    private static async Task<string> UnpackAsync(string name)
    {
        var assets = Path.Combine(Places.Repository, ".work", "kubernetes");
        Directory.CreateDirectory(assets);
        var binary = Path.Combine(assets, name);
        if (File.Exists(binary)) return assets;
        var packed = Path.Combine(Places.Shared, "apps", "kubernetes", $"{name}.xz");
        (await Commands.ShellAsync($"xz -dc '{packed}' >'{binary}.new' && chmod +x '{binary}.new' && mv '{binary}.new' '{binary}'", most: TimeSpan.FromMinutes(3))).Succeeded();
        return assets;
    }
}
