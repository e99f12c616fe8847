using System.Text;
using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Applications;

/// <summary>The kinds of request and of resource that users of Kubernetes make.</summary>
public sealed partial class KubernetesReplicationTests
{
    private async Task GoneAsync(string kind, string name)
    {
        (await sites.RunAsync(2, "admin", "", "delete", kind, name)).Succeeded();
        foreach (var site in (int[])[1, 2]) await ComesToAsync(site, kind, name, "{.metadata.name}", null);
        await QuietAsync();
    }

    private async Task AtBothAsync(string kind, string name)
    {
        foreach (var site in (int[])[1, 2]) await ComesToAsync(site, kind, name, "{.metadata.name}", name);
    }

    // k8s\0, then runtime.Unknown { typeMeta, raw: ConfigMap { metadata, data } }.
    private static byte[] ConfigMapInProtobuf(string name, string generateName)
    {
        byte[] metadata = [.. Field(1, name), .. Field(2, generateName)];
        byte[] data = [.. Field(1, "value"), .. Field(2, "1")];
        byte[] type = [.. Field(1, "v1"), .. Field(2, "ConfigMap")];
        return [.. "k8s\0"u8, .. Field(1, type), .. Field(2, (byte[])[.. Field(1, metadata), .. Field(2, data)]), .. Field(3, ""), .. Field(4, "")];

        static byte[] Field(int number, object content)
        {
            var bytes = content as byte[] ?? Encoding.UTF8.GetBytes((string)content);
            Assert.InRange(bytes.Length, 0, 127);
            return [(byte)((number << 3) | 2), (byte)bytes.Length, .. bytes];
        }
    }

    private async Task<string> PostInProtobufAsync(byte[] body, string target)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(file, body);
            var user = $"--cacert '{sites.Pki(1, "ca.crt")}' --cert '{sites.Pki(1, "dev.crt")}' --key '{sites.Pki(1, "dev.key")}'";
            return (await Commands.ShellAsync(
                $"curl -sS -m 30 {user} -H 'Content-Type: application/vnd.kubernetes.protobuf' -H 'Accept: application/json' --data-binary '@{file}' 'https://127.0.1.1:16443/@Site1&Site2{target}'"))
                .Succeeded().Output;
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task AProtobufCreateIsAtBothSites()
    {
        var answer = await PostInProtobufAsync(ConfigMapInProtobuf("binary", ""), "/api/v1/namespaces/default/configmaps");
        Assert.Equal("binary", JsonDocument.Parse(answer).RootElement.GetProperty("metadata").GetProperty("name").GetString());
        foreach (var site in (int[])[1, 2]) await ComesToAsync(site, "configmap", "binary", "{.data.value}", "1");

        // So does kubectl, since 1.32.
        (await sites.RunAsync(1, "user", Both, "create", "configmap", "typed", "--from-literal=value=2")).Succeeded();
        foreach (var site in (int[])[1, 2]) await ComesToAsync(site, "configmap", "typed", "{.data.value}", "2");
        await GoneAsync("configmap", "binary");
        await GoneAsync("configmap", "typed");
    }

    [Fact]
    public async Task ANameThatIsLeftToBeMadeIsTheSameAtBothSites()
    {
        var made = (await sites.RunWithAsync(ConfigMap("x", "1").Replace("\"name\":\"x\"", "\"generateName\":\"made-\"", StringComparison.Ordinal), 1, "user", Both, "create", "-o", "name", "-f", "-")).Succeeded();
        var answer = await PostInProtobufAsync(ConfigMapInProtobuf("", "made-"), "/api/v1/namespaces/default/configmaps");
        string[] names = [made.Output.Trim().Split('/')[1], JsonDocument.Parse(answer).RootElement.GetProperty("metadata").GetProperty("name").GetString()!];
        foreach (var name in names)
        {
            Assert.StartsWith("made-", name, StringComparison.Ordinal);
            await AtBothAsync("configmap", name);
            await GoneAsync("configmap", name);
        }
    }

    [Fact]
    public async Task WhatAQuotaDoesNotAllowIsNowhere()
    {
        // Nobody but the API server runs, so the quota's status is written by hand.
        foreach (var site in (int[])[1, 2]) (await sites.RunAsync(site, "admin", "direct", "create", "namespace", "limited")).Succeeded();
        (await sites.RunAsync(1, "admin", "direct", "-n", "limited", "create", "quota", "none", "--hard=secrets=0")).Succeeded();
        var quota = """{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"none"},"spec":{"hard":{"secrets":"0"}},"status":{"hard":{"secrets":"0"},"used":{"secrets":"0"}}}""";
        (await sites.RunWithAsync(quota, 1, "admin", "direct", "replace", "--raw", "/api/v1/namespaces/limited/resourcequotas/none/status", "-f", "-")).Succeeded();
        Ran refused = default!;
        await Wait.UntilAsync(
            "the quota is known to the API server",
            async () =>
            {
                refused = await sites.RunAsync(1, "admin", "direct", "-n", "limited", "create", "secret", "generic", "probe", "--dry-run=server");
                return refused.ExitCode != 0;
            });
        refused = await sites.RunAsync(1, "admin", Both, "-n", "limited", "create", "secret", "generic", "much", "--from-literal=a=b");
        Assert.Contains("exceeded quota", refused.Error, StringComparison.Ordinal);
        await QuietAsync();
        foreach (var site in (int[])[1, 2])
            Assert.NotEqual(0, (await sites.RunAsync(site, "admin", "direct", "-n", "limited", "get", "secret", "much")).ExitCode);
    }

    [Fact]
    public async Task SecretsServicesAndCustomResourcesAreAtBothSites()
    {
        (await sites.RunAsync(1, "admin", Both, "create", "secret", "generic", "shared-secret", "--from-literal=a=b")).Succeeded();
        foreach (var site in (int[])[1, 2]) await ComesToAsync(site, "secret", "shared-secret", "{.data.a}", "Yg==");

        // Each site gives a service an address of its own, and a change of the one it was read at does not carry it over.
        (await sites.RunAsync(1, "admin", Both, "create", "service", "clusterip", "front", "--tcp=80")).Succeeded();
        await AtBothAsync("service", "front");
        var addresses = new[] { await FieldAsync(1, "service", "front", "{.spec.clusterIP}"), await FieldAsync(2, "service", "front", "{.spec.clusterIP}") };
        var seen = (await sites.RunAsync(1, "admin", "", "get", "service", "front", "-o", "json")).Succeeded().Output;
        (await sites.RunWithAsync(seen.Replace("\"app\": \"front\"", "\"app\": \"changed\"", StringComparison.Ordinal), 1, "admin", "", "replace", "-f", "-")).Succeeded();
        foreach (var site in (int[])[1, 2])
        {
            await ComesToAsync(site, "service", "front", "{.spec.selector.app}", "changed");
            Assert.Equal(addresses[site - 1], await FieldAsync(site, "service", "front", "{.spec.clusterIP}"));
        }

        var definition = """
            {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"things.example.com"},"spec":{"group":"example.com","scope":"Namespaced",
             "names":{"plural":"things","singular":"thing","kind":"Thing"},"versions":[{"name":"v1","served":true,"storage":true,
             "schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}
            """;
        (await sites.RunWithAsync(definition, 1, "admin", Both, "create", "-f", "-")).Succeeded();
        await AtBothAsync("customresourcedefinition", "things.example.com");
        await Wait.UntilAsync("Site1 serves the kind", async () => (await sites.RunAsync(1, "admin", "direct", "get", "--raw", "/apis")).Output.Contains("example.com", StringComparison.Ordinal));
        var thing = """{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"one"},"size":3}""";
        (await sites.RunWithAsync(thing, 1, "admin", Both, "create", "--validate=false", "-f", "-")).Succeeded();
        foreach (var site in (int[])[1, 2]) await ComesToAsync(site, "things.example.com", "one", "{.size}", "3");
        foreach (var (kind, name) in ((string, string)[])[("things.example.com", "one"), ("customresourcedefinition", "things.example.com"), ("service", "front"), ("secret", "shared-secret")])
            await GoneAsync(kind, name);
    }

    [Fact]
    public async Task ServerSideApplyAndClusterScopedResources()
    {
        (await sites.RunWithAsync(ConfigMap("applied", "1"), 1, "user", Both, "apply", "--server-side", "-f", "-")).Succeeded();
        await ComesToAsync(2, "configmap", "applied", "{.data.value}", "1");
        (await sites.RunWithAsync(ConfigMap("applied", "2"), 2, "user", "", "apply", "--server-side", "-f", "-")).Succeeded();
        foreach (var site in (int[])[1, 2]) await ComesToAsync(site, "configmap", "applied", "{.data.value}", "2");
        (await sites.RunAsync(1, "user", "", "patch", "configmap", "applied", "--type=json", "-p", """[{"op":"replace","path":"/data/value","value":"3"}]""")).Succeeded();
        foreach (var site in (int[])[1, 2]) await ComesToAsync(site, "configmap", "applied", "{.data.value}", "3");
        await GoneAsync("configmap", "applied");
        (await sites.RunAsync(1, "admin", Both, "create", "namespace", "team")).Succeeded();
        await AtBothAsync("namespace", "team");
        (await sites.RunAsync(1, "admin", Both, "create", "clusterrole", "reader", "--verb=get", "--resource=pods")).Succeeded();
        await AtBothAsync("clusterrole", "reader");
        await GoneAsync("clusterrole", "reader");
    }

    [Fact]
    public async Task WhatChangesNothingRunsAtTheSiteWhereItCameInAndEvictionsAreRefused()
    {
        (await sites.RunWithAsync(Pod("dry"), 1, "user", Both, "create", "--dry-run=server", "-f", "-")).Succeeded();
        foreach (var site in (int[])[1, 2]) Assert.Null(await FieldAsync(site, "pod", "dry", "{.metadata.name}"));
        Assert.Equal("yes", (await sites.RunAsync(1, "user", Both, "auth", "can-i", "create", "pods")).Succeeded().Output.Trim());

        (await sites.RunWithAsync(Pod("kept"), 1, "user", Both, "create", "-f", "-")).Succeeded();
        await AtBothAsync("pod", "kept");
        await QuietAsync();
        (await sites.RunAsync(2, "user", "", "delete", "pod", "kept", "--dry-run=server")).Succeeded();
        var eviction = """{"apiVersion":"policy/v1beta1","kind":"Eviction","metadata":{"name":"kept","namespace":"default"}}""";
        var refused = await sites.RunWithAsync(eviction, 1, "admin", "", "create", "--raw", "/api/v1/namespaces/default/pods/kept/eviction", "-f", "-");
        Assert.NotEqual(0, refused.ExitCode);

        // Still a replicant, so that a delete reaches both.
        await AtBothAsync("pod", "kept");
        (await sites.RunAsync(2, "user", "", "delete", "pod", "kept", "--grace-period=0", "--force")).Succeeded();
        foreach (var site in (int[])[1, 2]) await ComesToAsync(site, "pod", "kept", "{.metadata.name}", null);
        await QuietAsync();
    }
}
