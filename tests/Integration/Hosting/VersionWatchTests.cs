using System.Collections.Frozen;
using System.Collections.Immutable;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Hosting;
using Cheops.Agent.Interception;
using Cheops.Agent.Profiles;
using Cheops.Agent.Transport;
using Cheops.Tests.Integration.Support;

namespace Cheops.Tests.Integration.Hosting;

/// <summary>A version that is asked for over a real socket.</summary>
public sealed class VersionWatchTests
{
    [Fact]
    public async Task The_instance_here_tells_its_version()
    {
        using var service = new EchoService();
        using var deadlines = new Deadlines(TimeProvider.System);
        await using var pool = new UpstreamPool(
            async (_, cancellation) => new BufferedChannel(await TcpDialer.ConnectAsync("127.0.0.1", service.Port, cancellation)), deadlines, TimeProvider.System);
        var profile = BuiltInProfiles.Find("kubernetes")!.Services["kube"];
        var client = new LocalServiceClient("Here", new Dictionary<string, LocalService> { ["kube"] = new("kube", profile, pool) }.ToFrozenDictionary(), deadlines);
        var published = new TaskCompletionSource<ImmutableDictionary<string, string>>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var watch = new VersionWatch([profile], client, TimeProvider.System, published.SetResult);
        watch.Start();
        Assert.Equal("1.27", (await published.Task.WaitAsync(TimeSpan.FromSeconds(60)))["kube"]);
    }
}
