using System.Collections.Immutable;
using Cheops.Agent.Identity;
using Cheops.Agent.Mesh;
using Cheops.Agent.Profiles;
using Cheops.Proto;

namespace Cheops.Agent.Hosting;

/// <summary>
/// Asks the service instances of this site for their versions, at the start and every <see cref="Bounds.VersionAskMs"/>, and
/// publishes what they say, for heartbeats to carry. A version that is known stays so while its service cannot be asked.
/// </summary>
internal sealed class VersionWatch : IAsyncDisposable
{
    // What Kubernetes lets every user read is not for requests without one where anonymous ones are turned off.
    private static readonly UserIdentity Asker = new("system:cheops", ["system:authenticated"]);

    private readonly ImmutableArray<ServiceProfile> _asked;
    private readonly IServiceClient _client;
    private readonly TimeProvider _time;
    private readonly Action<ImmutableDictionary<string, string>> _publish;
    private readonly CancellationTokenSource _ending = new();
    private ImmutableDictionary<string, string> _versions;
    private Task _running = Task.CompletedTask;

    /// <summary>Prepares a watch.</summary>
    /// <param name="services">The services of this site, each under its own name.</param>
    /// <param name="client">Asks them.</param>
    /// <param name="time">The clock.</param>
    /// <param name="publish">Takes the versions of all services whenever one has changed; empty is not known.</param>
    public VersionWatch(
        IEnumerable<ServiceProfile> services, IServiceClient client, TimeProvider time, Action<ImmutableDictionary<string, string>> publish)
    {
        var all = services.ToImmutableArray();
        _asked = [.. all.Where(service => service.Version is not null)];
        _versions = all.ToImmutableDictionary(service => service.Name, _ => "");
        (_client, _time, _publish) = (client, time, publish);
    }

    /// <summary>Begins to ask.</summary>
    public void Start()
    {
        if (!_asked.IsEmpty) _running = RunAsync();
    }

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await AskAllAsync();
                var isKnown = _asked.All(service => _versions[service.Name].Length > 0);
                await Task.Delay(TimeSpan.FromMilliseconds(isKnown ? Bounds.VersionAskMs : Bounds.VersionAskAgainMs), _time, _ending.Token);
            }
        }
        catch (OperationCanceledException) when (_ending.IsCancellationRequested)
        {
            // The agent ends.
        }
    }

    private async Task AskAllAsync()
    {
        var found = await Task.WhenAll(_asked.Select(AskAsync));
        var versions = _versions.SetItems(found.Where(one => one.Version.Length > 0).Select(one => KeyValuePair.Create(one.Service, one.Version)));
        if (versions == _versions) return;
        _versions = versions;
        _publish(versions);
    }

    private async Task<(string Service, string Version)> AskAsync(ServiceProfile service)
    {
        var source = service.Version!;
        var request = new ServiceRequest(service.Name, "GET", source.Path);
        try
        {
            var answer = await _client.CallAsync(request, _ending.Token).WaitAsync(_ending.Token);
            if (answer.Status is 401 or 403 && service.Identity == IdentityRule.FrontProxy)
                answer = await _client.CallAsync(request with { User = Asker }, _ending.Token).WaitAsync(_ending.Token);

            // 300 is how OpenStack's services list their versions.
            return (service.Name, answer.Status is 200 or 300 ? ServiceVersion.Find(answer.Body, source.Field) : "");
        }
        catch (IOException)
        {
            // It does not run, or not yet. That its version is unknown is all there is to tell.
            return (service.Name, "");
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _running;
        _ending.Dispose();
    }
}
