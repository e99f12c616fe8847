using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Tests.Unit.Profiles;

public sealed class OperationRulesTests
{
    [Theory]
    [InlineData("kube", "POST", "/api/v1/namespaces/a/pods", "application/json", "create", false)]
    [InlineData("kube", "DELETE", "/api/v1/namespaces/a/pods", "", null, false)]
    [InlineData("kube", "GET", "/api/v1/namespaces/a/pods/p", "", null, false)]
    [InlineData("kube", "PUT", "/api/v1/namespaces/a/pods/p", "application/json", "update", true)]
    [InlineData("kube", "DELETE", "/api/v1/namespaces/a/pods/p", "", "delete", true)]
    [InlineData("kube", "PATCH", "/api/v1/namespaces/a/pods/p", "application/merge-patch+json; charset=utf-8", "merge", true)]
    [InlineData("kube", "PATCH", "/api/v1/namespaces/a/pods/p", "Application/Apply-Patch+YAML", "apply", true)]
    [InlineData("kube", "PATCH", "/api/v1/namespaces/a/pods/p", "application/json-patch+json", "patch", false)]
    [InlineData("kube", "PATCH", "/api/v1/namespaces/a/pods/p", "text/odd", "update", false)]
    [InlineData("kube", "PUT", "/api/v1/namespaces/a/pods/p/status", "", null, false)]
    [InlineData("kube", "POST", "/api/v1/namespaces/a/pods/p/exec", "", null, false)]
    [InlineData("kube", "POST", "/api/v1/namespaces/a/pods/p/eviction", "", "update", false)]
    [InlineData("kube", "PUT", "/apis/apps/v1/namespaces/a/deployments/d/scale", "", "update", true)]
    [InlineData("kube", "GET", "/apis/apps/v1/namespaces/a/deployments/d/scale", "", null, false)]
    [InlineData("glance", "PUT", "/v2/images/i/file", "application/octet-stream", "upload", true)]
    [InlineData("glance", "HEAD", "/v2/images/i/file", "", null, false)]
    [InlineData("glance", "POST", "/v2/images/i/members", "", "update", false)]
    [InlineData("glance", "DELETE", "/v2/images/i/members/m", "", "update", true)]
    [InlineData("glance", "POST", "/v2/images/i/actions/deactivate", "", "update", false)]
    [InlineData("glance", "POST", "/v2/images/i/unheard-of", "", "update", false)]
    [InlineData("glance", "PATCH", "/v2/images/i", "application/openstack-images-v2.1-json-patch", "patch", false)]
    [InlineData("any", "POST", "/orders", "", "create", false)]
    [InlineData("any", "PATCH", "/orders/7", "", "update", false)]
    [InlineData("any", "DELETE", "/orders/7", "", "delete", true)]
    [InlineData("any", "PUT", "/", "", null, false)]
    [InlineData("kube", "PUT", "/version", "", null, false)]
    public void Says_what_a_request_does(string service, string method, string path, string contentType, string? kind, bool idempotent)
    {
        var profiles = ProfileSet.Combine([BuiltInProfiles.Find("openstack")!, BuiltInProfiles.Find("kubernetes")!], out _);
        var match = profiles.For(service).Paths.Match(Encoding.ASCII.GetBytes(path));
        var operation = OperationRules.Of(match, Encoding.ASCII.GetBytes(method), Encoding.ASCII.GetBytes(contentType));
        Assert.Equal(kind is null ? null : new RequestOperation(kind, idempotent), operation);
    }
}
