using System.Collections.Immutable;
using System.Text;
using System.Threading.Channels;
using Cheops.Agent.Hosting;
using Cheops.Agent.Identity;
using Cheops.Agent.Profiles;
using Cheops.Proto;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Hosting;

public sealed class VersionWatchTests : IServiceClient, IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly Channel<ImmutableDictionary<string, string>> _published = Channel.CreateUnbounded<ImmutableDictionary<string, string>>();
    private readonly Channel<ServiceRequest> _asked = Channel.CreateUnbounded<ServiceRequest>();
    private readonly Dictionary<string, Func<ServiceRequest, ServiceAnswer>> _services = [];
    private readonly VersionWatch _watch;

    public VersionWatchTests()
    {
        var profiles = ProfileSet.Combine([BuiltInProfiles.Find("openstack")!, BuiltInProfiles.Find("kubernetes")!], out _);
        _watch = new VersionWatch(
            ((string[])["kube", "glance", "shop"]).Select(name => profiles.For(name).Named(name)), this, _time, versions => _published.Writer.TryWrite(versions));
    }

    public ValueTask DisposeAsync() => _watch.DisposeAsync();

    public Task<ServiceAnswer> CallAsync(ServiceRequest request, CancellationToken cancellation)
    {
        _asked.Writer.TryWrite(request);
        return _services.TryGetValue(request.Service, out var answer) ? Task.FromResult(answer(request)) : Task.FromException<ServiceAnswer>(new IOException("does not run"));
    }

    [Fact]
    public async Task Services_are_asked_at_the_start_and_every_minute()
    {
        _services["kube"] = _ => Answer(200, """{"gitVersion":"v1.27.3"}""");
        _services["glance"] = _ => Answer(300, """{"versions":[{"id":"v2.15"}]}""");
        _watch.Start();
        Assert.Equal("glance=2.15 kube=1.27 shop=", await PublishedAsync());
        await AskedAsync("kube", "glance");

        _services["kube"] = _ => Answer(200, """{"gitVersion":"v1.28.0"}""");
        await AdvanceUntilAskedAsync(Bounds.VersionAskMs);
        Assert.Equal("glance=2.15 kube=1.28 shop=", await PublishedAsync());
    }

    [Fact]
    public async Task A_service_that_does_not_run_is_asked_again_soon_and_keeps_what_is_known()
    {
        _services["kube"] = _ => Answer(200, """{"gitVersion":"v1.27.3"}""");
        _watch.Start();
        Assert.Equal("glance= kube=1.27 shop=", await PublishedAsync());
        await AskedAsync("kube", "glance");

        _services.Remove("kube");
        _services["glance"] = _ => Answer(200, """{"versions":[{"id":"v2.15"}]}""");
        await AdvanceUntilAskedAsync(Bounds.VersionAskAgainMs);
        Assert.Equal("glance=2.15 kube=1.27 shop=", await PublishedAsync());
    }

    [Fact]
    public async Task Where_anonymous_requests_are_refused_the_front_proxy_asks()
    {
        _services["kube"] = request => request.User is null ? Answer(401, """{"gitVersion":"v9.9"}""") : Answer(200, """{"gitVersion":"v1.27.3"}""");
        _services["glance"] = _ => Answer(401, """{"versions":[{"id":"v9.9"}]}""");
        _watch.Start();
        Assert.Equal("glance= kube=1.27 shop=", await PublishedAsync());
        await AskedAsync("kube", "kube", "glance");
    }

    private static ServiceAnswer Answer(int status, string json) => new(status, Encoding.UTF8.GetBytes(json));

    private async Task<string> PublishedAsync()
    {
        var versions = await _published.Reader.ReadAsync();
        return string.Join(' ', versions.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));
    }

    private async Task AskedAsync(params string[] services)
    {
        var asked = new List<string>();
        while (asked.Count < services.Length) asked.Add((await _asked.Reader.ReadAsync()).Service);
        Assert.Equal(services.Order(StringComparer.Ordinal), asked.Order(StringComparer.Ordinal));
    }

    // The watch may not have begun to wait yet, so time goes on in small steps until it has asked, and not before it should.
    private async Task AdvanceUntilAskedAsync(int afterMs)
    {
        var from = _time.GetTimestamp();
        while (!_asked.Reader.TryPeek(out _))
        {
            Assert.True(_time.GetElapsedTime(from) < TimeSpan.FromDays(10), "never asked");
            _time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }

        Assert.True(_time.GetElapsedTime(from) >= TimeSpan.FromMilliseconds(afterMs), "asked too early");
    }
}
