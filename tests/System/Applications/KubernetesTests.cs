using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Applications;

/// <summary>kubectl, unchanged, at Site1: its agent takes it to either site by a path prefix in the server's URL.</summary>
public sealed class KubernetesTests(KubernetesSites sites) : IClassFixture<KubernetesSites>
{
    private const string Here = "";
    private const string There = "/@Site2";

    private static string Pod(string name) =>
        $$$"""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"{{{name}}}","labels":{"a":"1"}},"spec":{"containers":[{"name":"c","image":"i"}]}}""";

    [Theory]
    [InlineData(Here, "user", 1)]
    [InlineData(There, "user", 2)]
    [InlineData(Here, "token", 1)]
    [InlineData(There, "token", 2)]
    public async Task PodsAreMadeChangedAndDeletedWhereTheScopeSays(string scope, string user, int site)
    {
        var name = $"pod-{user}-{site}";
        (await sites.RunWithAsync(Pod(name), 1, user, scope, "create", "-f", "-")).Succeeded();
        Assert.Contains(name, (await sites.RunAsync(1, user, scope, "get", "pods")).Succeeded().Output, StringComparison.Ordinal);

        // It is there, and only there.
        (await sites.RunAsync(site, "admin", "direct", "get", "pod", name)).Succeeded();
        Assert.NotEqual(0, (await sites.RunAsync(3 - site, "admin", "direct", "get", "pod", name)).ExitCode);

        (await sites.RunWithAsync(Pod(name).Replace("\"a\":\"1\"", "\"a\":\"2\"", StringComparison.Ordinal), 1, user, scope, "apply", "-f", "-")).Succeeded();
        (await sites.RunAsync(1, user, scope, "patch", "pod", name, "-p", """{"metadata":{"labels":{"b":"3"}}}""")).Succeeded();
        var labels = (await sites.RunAsync(site, "admin", "direct", "get", "pod", name, "-o", "jsonpath={.metadata.labels}")).Succeeded().Output;
        Assert.Contains("\"a\":\"2\"", labels, StringComparison.Ordinal);
        Assert.Contains("\"b\":\"3\"", labels, StringComparison.Ordinal);
        (await sites.RunAsync(1, user, scope, "delete", "pod", name, "--grace-period=0", "--force")).Succeeded();
        Assert.NotEqual(0, (await sites.RunAsync(site, "admin", "direct", "get", "pod", name)).ExitCode);
    }

    [Theory]
    [InlineData(Here, 1)]
    [InlineData(There, 2)]
    public async Task AWatchTellsOfEachChangeAtOnce(string scope, int site)
    {
        await using var watch = Daemon.Start(sites.Kubectl(1, "user", scope, "get", "pods", "-w"), new Dictionary<string, string>());
        for (var i = 1; i <= 3; i++)
        {
            var name = $"watched-{site}-{i}";
            (await sites.RunWithAsync(Pod(name), site, "admin", "direct", "create", "-f", "-")).Succeeded();
            await Wait.UntilAsync($"the watch tells of {name}", () => watch.Log.Contains(name, StringComparison.Ordinal), TimeSpan.FromSeconds(20), () => watch.Log);
            Assert.False(watch.HasExited);
        }
    }

    [Theory]
    [InlineData("user", "dev")]
    [InlineData("token", "dev-token")]
    public async Task UsersAreThemselvesAtBothSites(string user, string name)
    {
        foreach (var scope in (string[])[Here, There])
        {
            var refused = await sites.RunAsync(1, user, scope, "create", "namespace", "mine");
            Assert.NotEqual(0, refused.ExitCode);
            Assert.Contains($"User \"{name}\" cannot create resource \"namespaces\"", refused.Error, StringComparison.Ordinal);
            Assert.Contains("Forbidden", refused.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task AnUnknownTokenIsNobodyAnywhere()
    {
        foreach (var scope in (string[])[Here, There])
        {
            var ran = await CurlAsync(1, $"{scope}/api/v1/namespaces/default/pods", "-H", "Authorization: Bearer not-a-token");
            Assert.StartsWith("401", ran, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task AForgedUserIsRemoved()
    {
        string[] forged = ["-H", "X-Remote-User: admin", "-H", "X-Remote-Group: system:masters", "-H", "X-Remote-Extra-Scopes: all"];
        string[] create = ["-X", "POST", "-H", "Content-Type: application/json", "-d", """{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"forged"}}"""];
        string[] certificate = ["--cert", sites.Pki(1, "dev.crt"), "--key", sites.Pki(1, "dev.key")];
        foreach (var scope in (string[])[Here, There])
        {
            var asDev = await CurlAsync(1, $"{scope}/api/v1/namespaces", [.. certificate, .. create, .. forged]);
            Assert.StartsWith("403", asDev, StringComparison.Ordinal);
            Assert.Contains("User \\\"dev\\\"", asDev, StringComparison.Ordinal);

            var asNobody = await CurlAsync(1, $"{scope}/api/v1/namespaces", [.. create, .. forged]);
            Assert.Matches("^40[13]", asNobody);
            Assert.DoesNotContain("\\\"admin\\\"", asNobody, StringComparison.Ordinal);
        }

        Assert.NotEqual(0, (await sites.RunAsync(1, "admin", "direct", "get", "namespace", "forged")).ExitCode);
        Assert.NotEqual(0, (await sites.RunAsync(2, "admin", "direct", "get", "namespace", "forged")).ExitCode);
    }

    [Theory]
    [InlineData(Here, 1)]
    [InlineData(There, 2)]
    public async Task TheApplicationsOwnErrorsPassUnchanged(string scope, int site)
    {
        var name = $"errors-{site}";
        (await sites.RunWithAsync(Pod(name), 1, "user", scope, "create", "-f", "-")).Succeeded();
        foreach (var arguments in new[] { new[] { "logs", "nothing" }, ["logs", name, "-c", "other"], ["exec", name, "--", "ls"], ["get", "pod", "nothing"], ["port-forward", name, "0:80"] })
        {
            var direct = await sites.RunAsync(site, "user", "direct", arguments);
            var through = await sites.RunAsync(1, "user", scope, arguments);
            Assert.NotEqual(0, direct.ExitCode);
            Assert.Equal(direct.All, through.All);
        }

        var again = await sites.RunWithAsync(Pod(name), 1, "user", scope, "create", "-f", "-");
        Assert.Contains("AlreadyExists", again.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OtherwiseFindsThePodAtTheSiteThatHasIt()
    {
        (await sites.RunWithAsync(Pod("elsewhere"), 2, "admin", "direct", "create", "-f", "-")).Succeeded();
        Assert.NotEqual(0, (await sites.RunAsync(1, "user", Here, "get", "pod", "elsewhere")).ExitCode);
        (await sites.RunAsync(1, "user", "/@Site1;Site2", "get", "pod", "elsewhere")).Succeeded();
        var ran = await Commands.RunAsync([Places.Cheops, "run", "--scope", "Site1 ; Site2", "--", .. sites.Kubectl(1, "user", "", "get", "pod", "elsewhere")], new Dictionary<string, string>());
        Assert.Contains("elsewhere", ran.Succeeded().Output, StringComparison.Ordinal);
    }

    // Status and body.
    private async Task<string> CurlAsync(int site, string path, params string[] arguments) => (await Commands.RunAsync(
        ["curl", "-sS", "-m", "30", "--cacert", sites.Pki(site, "ca.crt"), "-w", "\n%{http_code}", .. arguments, $"https://127.0.{site}.1:16443{path}"]))
        .Succeeded().Output.Split('\n').Reverse().Aggregate((status, line) => $"{status} {line}");
}
