using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Applications;

/// <summary>Two sites with Kubernetes, and a third that is their witness.</summary>
public sealed class KubernetesSitesWithWitness : KubernetesSites
{
    private protected override Site[] Further
    {
        get
        {
            var witness = new Site("Site3", "127.0.3.1");
            witness.Services.Add(new FrontedService("nothing", "http://127.0.3.1:9", 18080));
            return [witness];
        }
    }
}

/// <summary>
/// kubectl, unchanged, makes and changes resources at two sites at once: the thesis' Table 9.1, and what it left open.
/// </summary>
public sealed partial class KubernetesReplicationTests(KubernetesSitesWithWitness sites) : IClassFixture<KubernetesSitesWithWitness>
{
    private const string Both = "/@Site1&Site2";

    private static readonly HttpClient Api = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(20) };

    private static string Pod(string name) =>
        $$$"""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"{{{name}}}","labels":{"a":"1"}},"spec":{"containers":[{"name":"c","image":"i"}]}}""";

    private static string Deployment(string name, int replicas) =>
        $$$$$"""{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"{{{{{name}}}}}"},"spec":{"replicas":{{{{{replicas}}}}},"selector":{"matchLabels":{"app":"{{{{{name}}}}}"}},"template":{"metadata":{"labels":{"app":"{{{{{name}}}}}"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}""";

    private static string ConfigMap(string name, string value) =>
        $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}"},"data":{"value":"{{{value}}}"}}""";

    private string Told =>
        $"{sites.Mesh.Logs()}\n{string.Join("\n", sites.Mesh.Sites.Select(site => Api.GetStringAsync($"{site.ApiUrl}/_cheops/v1/operations?all=1").GetAwaiter().GetResult()))}";

    // As the site itself has it, asked without Cheops.
    private async Task<string?> FieldAsync(int site, string kind, string name, string path)
    {
        var ran = await sites.RunAsync(site, "admin", "direct", "get", kind, name, "-o", $"jsonpath={path}");
        return ran.ExitCode == 0 ? ran.Output : null;
    }

    private Task ComesToAsync(int site, string kind, string name, string path, string? wanted) => Wait.UntilAsync(
        $"{kind} {name} at Site{site} has {path} = {wanted ?? "nothing, being gone"}",
        async () => await FieldAsync(site, kind, name, path) == wanted,
        more: () => Told);

    private async Task QuietAsync(int site = 1) => await Wait.UntilAsync(
        $"no operation is open at Site{site}",
        async () =>
        {
            using var document = JsonDocument.Parse(await Api.GetStringAsync($"{sites.Mesh[site].ApiUrl}/_cheops/v1/operations"));
            return document.RootElement.GetProperty("operations").GetArrayLength() == 0;
        },
        more: () => Told);

    [Theory]
    [InlineData("purple", 1)]
    [InlineData("violet", 2)]
    public async Task Table91(string name, int from)
    {
        // The create is answered as the application answers it, and is at both sites.
        (await sites.RunWithAsync(Pod(name), from, "user", Both, "create", "-f", "-")).Succeeded();
        await ComesToAsync(1, "pod", name, "{.metadata.name}", name);
        await ComesToAsync(2, "pod", name, "{.metadata.name}", name);

        // Each site's kubectl shows its own replica: an ordinary resource with an identity of its own.
        var uids = new[] { await FieldAsync(1, "pod", name, "{.metadata.uid}"), await FieldAsync(2, "pod", name, "{.metadata.uid}") };
        Assert.NotEqual(uids[0], uids[1]);
        foreach (var site in (int[])[1, 2])
            Assert.Contains(name, (await sites.RunAsync(site, "user", "", "get", "pods")).Succeeded().Output, StringComparison.Ordinal);

        // Changes from either site, without a scope, reach both.
        (await sites.RunAsync(3 - from, "user", "", "label", "pod", name, "b=2")).Succeeded();
        await ComesToAsync(1, "pod", name, "{.metadata.labels.b}", "2");
        await ComesToAsync(2, "pod", name, "{.metadata.labels.b}", "2");
        (await sites.RunAsync(from, "user", "", "patch", "pod", name, "-p", """{"metadata":{"labels":{"c":"3"}}}""")).Succeeded();
        await ComesToAsync(3 - from, "pod", name, "{.metadata.labels.c}", "3");
        (await sites.RunAsync(from, "user", "", "delete", "pod", name, "--grace-period=0", "--force")).Succeeded();
        await ComesToAsync(1, "pod", name, "{.metadata.name}", null);
        await ComesToAsync(2, "pod", name, "{.metadata.name}", null);
        await QuietAsync();
    }

    [Fact]
    public async Task ApplyReplaceAndScaleFromEitherSite()
    {
        (await sites.RunWithAsync(Deployment("web", 1), 1, "user", Both, "apply", "-f", "-")).Succeeded();
        await ComesToAsync(2, "deployment", "web", "{.spec.replicas}", "1");
        (await sites.RunWithAsync(Deployment("web", 2), 2, "user", Both, "apply", "-f", "-")).Succeeded();
        await ComesToAsync(1, "deployment", "web", "{.spec.replicas}", "2");
        (await sites.RunAsync(1, "user", "", "scale", "deployment", "web", "--replicas=5")).Succeeded();
        await ComesToAsync(1, "deployment", "web", "{.spec.replicas}", "5");
        await ComesToAsync(2, "deployment", "web", "{.spec.replicas}", "5");
        (await sites.RunAsync(2, "user", "", "scale", "deployment", "web", "--replicas=4")).Succeeded();
        await ComesToAsync(1, "deployment", "web", "{.spec.replicas}", "4");
        await ComesToAsync(2, "deployment", "web", "{.spec.replicas}", "4");
        (await sites.RunWithAsync(Deployment("web", 3), 2, "user", "", "replace", "-f", "-")).Succeeded();
        await ComesToAsync(1, "deployment", "web", "{.spec.replicas}", "3");
        (await sites.RunAsync(2, "user", "", "delete", "deployment", "web")).Succeeded();
        await ComesToAsync(1, "deployment", "web", "{.metadata.name}", null);
        await ComesToAsync(2, "deployment", "web", "{.metadata.name}", null);
        await QuietAsync();
    }

    [Theory]
    [InlineData("pod", "/api/v1/namespaces/default/pods/mover")]
    [InlineData("deployment", "/apis/apps/v1/namespaces/default/deployments/mover")]
    [InlineData("service", "/api/v1/namespaces/default/services/mover")]
    [InlineData("job", "/apis/batch/v1/namespaces/default/jobs/mover")]
    [InlineData("pvc", "/api/v1/namespaces/default/persistentvolumeclaims/mover")]
    public async Task ASiteIsRemovedFromAReplicantAndAddedAgain(string kind, string path)
    {
        var body = kind switch
        {
            "pod" => Pod("mover"),
            "deployment" => Deployment("mover", 1),
            "job" => """{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"mover"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}""",
            "pvc" => """{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"mover"},"spec":{"accessModes":["ReadWriteOnce"],"storageClassName":"","volumeName":"of-site1","resources":{"requests":{"storage":"1Mi"}}}}""",
            _ => """{"apiVersion":"v1","kind":"Service","metadata":{"name":"mover"},"spec":{"selector":{"app":"mover"},"ports":[{"port":80}]}}""",
        };
        (await sites.RunWithAsync(body, 1, "user", Both, "create", "-f", "-")).Succeeded();
        await ComesToAsync(2, kind, "mover", "{.metadata.name}", "mover");
        (await sites.Mesh[2].CheopsAsync("replicants", "remove-site", path, "Site2", "--delete-replica")).Succeeded();
        await GoneAsync(2, kind, "mover");
        (await sites.RunAsync(1, "user", "", "label", kind, "mover", "while=away")).Succeeded();

        // What it has become since is made anew where it was deleted, and is one replicant again.
        (await sites.Mesh[1].CheopsAsync("replicants", "add-site", path, "Site2")).Succeeded();
        await ComesToAsync(2, kind, "mover", "{.metadata.labels.while}", "away");
        if (kind == "job") Assert.Equal(await FieldAsync(2, kind, "mover", "{.metadata.uid}"), await FieldAsync(2, kind, "mover", "{.spec.selector.matchLabels.controller-uid}"));
        if (kind == "pvc") Assert.Equal(("of-site1", ""), (await FieldAsync(1, kind, "mover", "{.spec.volumeName}"), await FieldAsync(2, kind, "mover", "{.spec.volumeName}")));
        (await sites.RunAsync(2, "user", "", "label", kind, "mover", "by=Site2")).Succeeded();
        await ComesToAsync(1, kind, "mover", "{.metadata.labels.by}", "Site2");
        await ComesToAsync(2, kind, "mover", "{.metadata.labels.by}", "Site2");
        (await sites.RunAsync(1, "user", "", "delete", kind, "mover", "--wait=false")).Succeeded();
        await GoneAsync(1, kind, "mover");
        await GoneAsync(2, kind, "mover");
        await QuietAsync();
    }

    // The controllers do not run here that let go of what they protect.
    private async Task GoneAsync(int site, string kind, string name)
    {
        if (kind is "job" or "pvc")
        {
            await Wait.UntilAsync($"{kind} {name} at Site{site} is being deleted", async () => await FieldAsync(site, kind, name, "{.metadata.deletionTimestamp}") != "", more: () => Told);
            await sites.RunAsync(site, "admin", "direct", "patch", kind, name, "--type=merge", "-p", """{"metadata":{"finalizers":null}}""");
        }

        await ComesToAsync(site, kind, name, "{.metadata.name}", null);
    }

    [Fact]
    public async Task AServiceWithoutAnAddressHasNoneAtAnySite()
    {
        const string Headless = """{"apiVersion":"v1","kind":"Service","metadata":{"name":"headless"},"spec":{"clusterIP":"None","selector":{"app":"headless"},"ports":[{"port":80}]}}""";
        (await sites.RunWithAsync(Headless, 1, "user", Both, "create", "-f", "-")).Succeeded();
        await ComesToAsync(2, "service", "headless", "{.spec.clusterIP}", "None");
        (await sites.RunWithAsync(Headless.Replace("80", "81", StringComparison.Ordinal), 2, "user", "", "replace", "-f", "-")).Succeeded();
        foreach (var site in (int[])[1, 2])
        {
            await ComesToAsync(site, "service", "headless", "{.spec.ports[0].port}", "81");
            Assert.Equal("None", await FieldAsync(site, "service", "headless", "{.spec.clusterIP}"));
        }

        await QuietAsync();
    }

    [Fact]
    public async Task WhatTheApplicationRefusesIsNowhere()
    {
        // A name that is taken, here by a resource that is not replicated.
        (await sites.RunWithAsync(ConfigMap("taken", "mine"), 1, "admin", "direct", "create", "-f", "-")).Succeeded();
        var taken = await sites.RunWithAsync(ConfigMap("taken", "ours"), 1, "user", Both, "create", "-f", "-");
        Assert.Contains("AlreadyExists", taken.Error, StringComparison.Ordinal);

        // What is not valid, and what the user may not do.
        var invalid = await sites.RunWithAsync(Pod("Not_A_Name"), 1, "user", Both, "create", "--validate=false", "-f", "-");
        Assert.Contains("Invalid", invalid.Error, StringComparison.OrdinalIgnoreCase);
        var forbidden = await sites.RunAsync(1, "user", Both, "create", "namespace", "mine");
        Assert.Contains("User \"dev\" cannot create resource \"namespaces\"", forbidden.Error, StringComparison.Ordinal);
        await QuietAsync();
        Assert.Null(await FieldAsync(2, "configmap", "taken", "{.metadata.name}"));
        Assert.Null(await FieldAsync(2, "namespace", "mine", "{.metadata.name}"));
        Assert.Equal("mine", await FieldAsync(1, "configmap", "taken", "{.data.value}"));
    }

    [Fact]
    public async Task WhatIsNotReplicatedStaysWhereItIs()
    {
        (await sites.RunWithAsync(ConfigMap("local", "one"), 1, "user", "", "create", "-f", "-")).Succeeded();
        (await sites.RunWithAsync(ConfigMap("local", "two"), 2, "user", "", "create", "-f", "-")).Succeeded();
        (await sites.RunAsync(1, "user", "", "delete", "configmap", "local")).Succeeded();
        Assert.Equal("two", await FieldAsync(2, "configmap", "local", "{.data.value}"));
        var events = await sites.RunWithAsync("""{"apiVersion":"v1","kind":"Event","metadata":{"name":"e"},"involvedObject":{}}""", 1, "user", Both, "create", "-f", "-");
        Assert.NotEqual(0, events.ExitCode);
        foreach (var site in (int[])[1, 2]) Assert.Null(await FieldAsync(site, "event", "e", "{.metadata.name}"));
    }

    [Fact]
    public async Task ASiteThatIsCutOffCatchesUpAndItsOwnResourcesAreLeftAlone()
    {
        (await sites.RunWithAsync(ConfigMap("shared", "before"), 1, "user", Both, "create", "-f", "-")).Succeeded();
        await ComesToAsync(2, "configmap", "shared", "{.data.value}", "before");
        foreach (var site in (int[])[1, 2]) (await sites.RunWithAsync(ConfigMap("untouched", $"Site{site}"), site, "user", "", "create", "-f", "-")).Succeeded();
        await QuietAsync();

        // Frozen, its nats-server lets nothing in or out, and nobody is told.
        IReadOnlyDictionary<string, string>[] local = [];
        var frozen = sites.Mesh[2].NatsServer();
        (await Commands.ShellAsync($"kill -STOP {frozen}")).Succeeded();
        try
        {
            await sites.Mesh[1].SeesAsync("Site2", "down");
            (await sites.RunWithAsync(ConfigMap("shared", "during"), 1, "user", "", "apply", "-f", "-")).Succeeded();
            (await sites.RunWithAsync(ConfigMap("meanwhile", "new"), 1, "user", Both, "create", "-f", "-")).Succeeded();
            Assert.Equal("before", await FieldAsync(2, "configmap", "shared", "{.data.value}"));

            // Cut off, Site2 goes on with what is its own, and says that it cannot change what is shared.
            (await sites.RunWithAsync(ConfigMap("own", "mine"), 2, "user", "", "create", "-f", "-")).Succeeded();
            (await sites.RunAsync(2, "user", "", "get", "configmap", "shared")).Succeeded();
            var (status, fields) = await CurlAsync(2, "GET", "shared");
            Assert.Equal("200", status);
            Assert.Contains("Site1=unreachable", fields["Cheops-Replicas"], StringComparison.Ordinal);
            (status, fields) = await CurlAsync(2, "DELETE", "shared");
            Assert.Equal(("503", "stage=replicate;retry-safe=?1"), (status, fields["Cheops-Error"]));
            Assert.Equal("before", await FieldAsync(2, "configmap", "shared", "{.data.value}"));
            local = [await LocalVersionsAsync(1), await LocalVersionsAsync(2)];
            Assert.Contains("configmap/own", local[1].Keys);
        }
        finally
        {
            (await Commands.ShellAsync($"kill -CONT {frozen}")).Succeeded();
        }

        await ComesToAsync(2, "configmap", "shared", "{.data.value}", "during");
        await ComesToAsync(2, "configmap", "meanwhile", "{.data.value}", "new");
        Assert.Equal("mine", await FieldAsync(2, "configmap", "own", "{.data.value}"));
        Assert.Null(await FieldAsync(1, "configmap", "own", "{.metadata.name}"));
        await QuietAsync();
        await QuietAsync(2);
        Assert.Equal(local[0], await LocalVersionsAsync(1));
        Assert.Equal(local[1], await LocalVersionsAsync(2));
    }

    // What the site has of its own, and the version that each write there changes.
    private async Task<IReadOnlyDictionary<string, string>> LocalVersionsAsync(int site)
    {
        const string each = "{range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}@{.metadata.resourceVersion}{\"\\n\"}{end}";
        var listed = (await sites.RunAsync(site, "admin", "direct", "get", "configmaps,secrets,services,pods,deployments", "-o", $"jsonpath={each}")).Succeeded().Output;
        return listed.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split(' '))
            .Where(line => line[0] is not ("ConfigMap/shared" or "ConfigMap/meanwhile"))
            .ToDictionary(line => line[0].ToLowerInvariant(), line => line[1]);
    }

    // As a user asks for a configmap by hand: the answer's status and fields.
    private async Task<(string Status, IReadOnlyDictionary<string, string> Fields)> CurlAsync(int site, string method, string name)
    {
        var user = $"--cacert '{sites.Pki(site, "ca.crt")}' --cert '{sites.Pki(site, "dev.crt")}' --key '{sites.Pki(site, "dev.key")}'";
        var ran = (await Commands.ShellAsync($"curl -sS -m 40 -X {method} {user} -D - -o /dev/null 'https://127.0.{site}.1:16443/api/v1/namespaces/default/configmaps/{name}'")).Succeeded();
        var lines = ran.Output.Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        return (lines[0].Split(' ')[1], lines[1..].Select(line => line.Split(": ", 2)).ToDictionary(field => field[0], field => field[1]));
    }

    [Fact]
    public async Task AnApiServerThatIsDownGetsItsOperationsWhenItIsBack()
    {
        (await sites.RunWithAsync(ConfigMap("patient", "1"), 1, "user", Both, "create", "-f", "-")).Succeeded();
        await ComesToAsync(2, "configmap", "patient", "{.data.value}", "1");
        await sites.StopApiServerAsync(2);
        (await sites.RunWithAsync(ConfigMap("patient", "2"), 1, "user", "", "apply", "-f", "-")).Succeeded();
        (await sites.RunAsync(1, "user", "", "label", "configmap", "patient", "x=y")).Succeeded();
        await sites.StartApiServersAsync();
        await ComesToAsync(2, "configmap", "patient", "{.data.value}", "2");
        await ComesToAsync(2, "configmap", "patient", "{.metadata.labels.x}", "y");
        await QuietAsync();
    }

    [Fact]
    public async Task AgentsThatAreKilledLoseNothing()
    {
        (await sites.RunWithAsync(ConfigMap("kept", "1"), 1, "user", Both, "create", "-f", "-")).Succeeded();
        await sites.Mesh[2].KillAsync();
        (await sites.RunWithAsync(ConfigMap("kept", "2"), 1, "user", "", "apply", "-f", "-")).Succeeded();
        await sites.Mesh[1].KillAsync();
        await Task.WhenAll(sites.Mesh[1].StartAsync(), sites.Mesh[2].StartAsync());
        await sites.Mesh.LinkedAsync();
        await ComesToAsync(2, "configmap", "kept", "{.data.value}", "2");
        (await sites.RunAsync(2, "user", "", "delete", "configmap", "kept")).Succeeded();
        await ComesToAsync(1, "configmap", "kept", "{.metadata.name}", null);
        await QuietAsync();
    }
}
