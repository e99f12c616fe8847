using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Tests.Unit.Profiles;

public class BuiltInProfileTests
{
    [Fact]
    public void Are_correct_and_at_most_a_hundred_lines()
    {
        foreach (var name in BuiltInProfiles.Names)
        {
            Assert.Equal(name, BuiltInProfiles.Find(name)?.Name);
            Assert.InRange(Encoding.UTF8.GetString(BuiltInProfiles.Json(name).Span).Split('\n').Length, 1, 101);
        }

        Assert.Null(BuiltInProfiles.Find("helm"));
        Assert.Throws<ArgumentException>(() => BuiltInProfiles.Json("helm"));
    }

    [Theory]
    [InlineData("kube", "/api/v1/namespaces/default/pods/web-1", PathKind.Item, "pods", "web-1", "")]
    [InlineData("kube", "/api/v1/namespaces/default/pods", PathKind.Collection, "pods", "", "")]
    [InlineData("kube", "/api/v1/namespaces/default/pods/web-1/log", PathKind.Action, "pods", "web-1", "/log")]
    [InlineData("kube", "/api/v1/namespaces/default", PathKind.Item, "namespaces", "default", "")]
    [InlineData("kube", "/api/v1/namespaces/default/finalize", PathKind.Action, "namespaces", "default", "/finalize")]
    [InlineData("kube", "/api/v1/namespaces/default/configmaps/", PathKind.Collection, "configmaps", "", "")]
    [InlineData("kube", "/api/v1/namespaces/default/podtemplates/x", PathKind.Item, "core", "x", "")]
    [InlineData("kube", "/apis/apps/v1/namespaces/n/deployments/d/scale", PathKind.Action, "deployments", "d", "/scale")]
    [InlineData("kube", "/apis/example.org/v1/namespaces/n/widgets/w", PathKind.Item, "group", "w", "")]
    [InlineData("kube", "/apis/example.org/v1/widgets", PathKind.Collection, "group-cluster", "", "")]
    [InlineData("kube", "/version", PathKind.None, null, "", "")]
    [InlineData("glance", "/v2/images/5e1c", PathKind.Item, "images", "5e1c", "")]
    [InlineData("glance", "/v2/images/5e1c/file", PathKind.Action, "images", "5e1c", "/file")]
    [InlineData("glance", "/v2/images/5e1c/members/x", PathKind.Action, "images", "5e1c", "/members/x")]
    [InlineData("glance", "/v2/schemas/image", PathKind.None, null, "", "")]
    [InlineData("nova", "/v2.1/servers/1/action", PathKind.Action, "servers", "1", "/action")]
    [InlineData("cinder", "/v3/p1/volumes/v", PathKind.Item, "volumes", "v", "")]
    [InlineData("anything", "/v1/orders/7", PathKind.Convention, "resources", "7", "")]
    [InlineData("anything", "/orders", PathKind.Convention, "resources", "orders", "")]
    [InlineData("anything", "/", PathKind.None, null, "", "")]
    public void Know_real_paths(string service, string path, PathKind kind, string? resource, string id, string action)
    {
        var match = Known().For(service).Paths.Match(Encoding.ASCII.GetBytes(path));
        Assert.Equal((kind, resource, id, action), (match.Kind, match.Resource?.Name, Encoding.ASCII.GetString(match.Id), Encoding.ASCII.GetString(match.Action)));
    }

    [Fact]
    public void Say_how_identity_and_correlation_work()
    {
        var services = Known();
        Assert.Equal(IdentityRule.FrontProxy, services.For("kube").Identity);
        Assert.Equal(IdentityRule.ServiceCredential, services.For("glance").Resources["images"].Identity);
        var nova = services.For("nova").Correlation;
        Assert.Equal("req-01234567-89ab-cdef-0123-456789abcdef", nova.Send.Single().Format.Write("0123456789abcdef0123456789abcdef"));
        Assert.True(nova.Keep >= TimeSpan.FromHours(1));
        Assert.Equal("client", services.For("glance").Resources["images"].IdChosenBy.ToString().ToLowerInvariant());
        Assert.Contains("placement", services.ServiceNames);
    }

    [Theory]
    [InlineData("kube", "/version", """{"major": "1", "minor": "27", "gitVersion": "v1.27.3"}""", "1.27")]
    [InlineData("keystone", "/v3", """{"version": {"id": "v3.14", "status": "stable", "links": []}}""", "3.14")]
    [InlineData("glance", "/", """{"versions": [{"id": "v2.9", "status": "SUPPORTED"}, {"id": "v2.15", "status": "CURRENT"}, {"id": "v1"}]}""", "2.15")]
    [InlineData("nova", "/", """{"versions": [{"id": "v2.0"}, {"id": "v2.1", "version": "2.93"}]}""", "2.1")]
    [InlineData("placement", "/", """{"versions": [{"id": "v1.0", "max_version": "1.39", "min_version": "1.0"}]}""", "1.39")]
    public void Know_where_services_tell_their_version(string service, string path, string answer, string version)
    {
        var source = Known().For(service).Version;
        Assert.Equal(path, source?.Path);
        Assert.Equal(version, ServiceVersion.Find(Encoding.UTF8.GetBytes(answer), source!.Field));
    }

    [Fact]
    public void A_service_in_two_profiles_is_a_mistake()
    {
        var twice = ProfileReaderTests.Read("""{"profile": "mine", "services": {"glance": {}}}""");
        ProfileSet.Combine([BuiltInProfiles.Find("openstack")!, twice], out var mistakes);
        Assert.Equal("the profiles 'openstack' and 'mine' both describe the service 'glance'", mistakes.Single());
    }

    private static ProfileSet Known()
    {
        var set = ProfileSet.Combine([BuiltInProfiles.Find("openstack")!, BuiltInProfiles.Find("kubernetes")!], out var mistakes);
        Assert.Empty(mistakes);
        return set;
    }
}
