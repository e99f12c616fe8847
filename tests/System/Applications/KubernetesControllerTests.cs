using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Applications;

/// <summary>What controllers make of a replicant belongs to their site.</summary>
public sealed partial class KubernetesReplicationTests
{
    // Controllers look at what there is in kind after kind before they begin.
    private static readonly TimeSpan ControllersBegin = TimeSpan.FromMinutes(3);

    /// <summary>A resource of a site as its own API server has it.</summary>
    private sealed record Owned(string Name, string Uid, string Owner);

    private async Task<IReadOnlyList<Owned>> OwnedAsync(int site, string kind)
    {
        using var list = JsonDocument.Parse((await sites.RunAsync(site, "admin", "direct", "get", kind, "-l", "app=controlled", "-o", "json")).Succeeded().Output);
        return [.. list.RootElement.GetProperty("items").EnumerateArray()
            .Select(item => item.GetProperty("metadata"))
            .Where(metadata => !metadata.TryGetProperty("deletionTimestamp", out _))
            .Select(metadata => new Owned(metadata.GetProperty("name").GetString()!, metadata.GetProperty("uid").GetString()!, metadata.GetProperty("ownerReferences")[0].GetProperty("uid").GetString()!))];
    }

    private async Task<IReadOnlyList<Owned>> ComeToAsync(int site, string kind, int count, Daemon controllers)
    {
        IReadOnlyList<Owned> owned = [];
        await Wait.UntilAsync(
            $"Site{site} has {count} {kind}",
            async () => (owned = await OwnedAsync(site, kind)).Count == count,
            ControllersBegin,
            () => $"{string.Join(", ", owned)}\n{controllers.Log}\n{Told}");
        return owned;
    }

    [Fact]
    public async Task WhatControllersMakeOfADeploymentIsEachSitesOwn()
    {
        await using var first = await sites.StartControllersAsync(1);
        await using var second = await sites.StartControllersAsync(2);
        Daemon[] controllers = [first, second];
        (await sites.RunWithAsync(Deployment("controlled", 2), 1, "user", Both, "create", "-f", "-")).Succeeded();
        var pods = await AssertOwnAsync(2);

        // Scaled from the other site, each site's controllers make another one.
        (await sites.RunAsync(2, "user", "", "scale", "deployment", "controlled", "--replicas=3")).Succeeded();
        var scaled = await AssertOwnAsync(3);
        for (var site = 0; site < 2; site++) Assert.Subset(new HashSet<Owned>(scaled[site]), new HashSet<Owned>(pods[site]));
        await QuietAsync();

        // Nothing of what they made is a replicant, and nothing of it becomes one when it is asked for by name.
        foreach (var pod in scaled[0]) (await sites.RunAsync(1, "user", "", "get", "pod", pod.Name)).Succeeded();
        foreach (var site in (int[])[1, 2])
        {
            using var listed = JsonDocument.Parse((await sites.Mesh[site].CheopsAsync("replicants", "-s", "kube", "-o", "json")).Succeeded().Output);
            var paths = listed.RootElement.GetProperty("replicants").EnumerateArray().Select(one => one.GetProperty("path").GetString()!).ToArray();
            Assert.Equal(["/apis/apps/v1/namespaces/default/deployments/controlled"], paths.Where(path => path.Contains("controlled", StringComparison.Ordinal)));
            Assert.DoesNotContain(paths, path => path.Contains("/replicasets/", StringComparison.Ordinal));
        }

        // Deleted once, it is gone at both, and each site's controllers remove what was its.
        (await sites.RunAsync(1, "user", "", "delete", "deployment", "controlled")).Succeeded();
        foreach (var site in (int[])[1, 2])
        {
            await ComesToAsync(site, "deployment", "controlled", "{.metadata.name}", null);
            await ComeToAsync(site, "replicasets", 0, controllers[site - 1]);
            await ComeToAsync(site, "pods", 0, controllers[site - 1]);
        }

        await QuietAsync();

        // The pods of each site, which are made by its own ReplicaSet, which is its own Deployment's.
        async Task<IReadOnlyList<Owned>[]> AssertOwnAsync(int replicas)
        {
            var all = new List<IReadOnlyList<Owned>>();
            foreach (var site in (int[])[1, 2])
            {
                var set = Assert.Single(await ComeToAsync(site, "replicasets", 1, controllers[site - 1]));
                Assert.Equal(await FieldAsync(site, "deployment", "controlled", "{.metadata.uid}"), set.Owner);
                var made = await ComeToAsync(site, "pods", replicas, controllers[site - 1]);
                Assert.All(made, pod => Assert.Equal(set.Uid, pod.Owner));
                await ComesToAsync(site, "deployment", "controlled", "{.status.replicas}", $"{replicas}");
                all.Add(made);
            }

            Assert.Empty(all[0].Select(pod => pod.Name).Intersect(all[1].Select(pod => pod.Name)));
            return [.. all];
        }
    }
}
