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
    [InlineData("kube", "PUT", "/apis/apps/v1/namespaces/a/deployments/d/scale", "", "update", true)]
    [InlineData("kube", "GET", "/apis/apps/v1/namespaces/a/deployments/d/scale", "", null, false)]
    [InlineData("glance", "PUT", "/v2/images/i/file", "application/octet-stream", "upload", true)]
    [InlineData("glance", "HEAD", "/v2/images/i/file", "", null, false)]
    [InlineData("glance", "POST", "/v2/images/i/members", "", "update", false)]
    [InlineData("glance", "DELETE", "/v2/images/i/members/m", "", "update", true)]
    [InlineData("glance", "POST", "/v2/images/i/actions/deactivate", "", "update", false)]
    [InlineData("glance", "POST", "/v2/images/i/unheard-of", "", "update", false)]
    [InlineData("glance", "PATCH", "/v2/images/i", "application/openstack-images-v2.1-json-patch", "patch", false)]
    [InlineData("kube", "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "", null, false)]
    [InlineData("kube", "POST", "/apis/authorization.k8s.io/v1/namespaces/a/localsubjectaccessreviews", "", null, false)]
    [InlineData("kube", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", "", null, false)]
    [InlineData("kube", "POST", "/api/v1/namespaces/a/bindings", "", null, false)]
    [InlineData("kube", "POST", "/api/v1/namespaces/a/serviceaccounts/s/token", "", null, false)]
    [InlineData("kube", "POST", "/api/v1/nodes/n/proxy/metrics", "", null, false)]
    [InlineData("keystone", "POST", "/v3/auth/tokens", "", null, false)]
    [InlineData("keystone", "DELETE", "/v3/auth/tokens", "", null, false)]
    [InlineData("any", "POST", "/orders", "", "create", false)]
    [InlineData("any", "PATCH", "/orders/7", "", "update", false)]
    [InlineData("any", "DELETE", "/orders/7", "", "delete", true)]
    [InlineData("any", "PUT", "/", "", null, false)]
    [InlineData("kube", "PUT", "/version", "", null, false)]
    public void Says_what_a_request_does(string service, string method, string path, string contentType, string? kind, bool idempotent)
    {
        var profiles = ProfileSet.Combine([BuiltInProfiles.Find("openstack")!, BuiltInProfiles.Find("kubernetes")!], out _);
        var match = profiles.For(service).Paths.Match(Encoding.ASCII.GetBytes(path));
        var operation = OperationRules.Of(match, Encoding.ASCII.GetBytes(method), Encoding.ASCII.GetBytes(contentType), out _);
        Assert.Equal(kind is null ? null : new RequestOperation(kind, idempotent), operation);
    }

    [Theory]
    [InlineData("kube", "POST", "/api/v1/namespaces/a/pods/p/eviction", "/eviction changes one of the pods at one site alone")]
    [InlineData("kube", "DELETE", "/api/v1/namespaces/a/pods", "a whole collection")]
    [InlineData("kube", "POST", "/api/v1/nodes", "nodes belong to their site")]
    [InlineData("kube", "POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests", "belong to their site")]
    [InlineData("kube", "POST", "/version", "names no resource")]
    [InlineData("kube", "POST", "/api/v1/namespaces/a/pods/p/exec", null)]
    [InlineData("kube", "GET", "/version", null)]
    public void Says_why_a_request_is_neither_replicated_nor_carried_out_at_one_site(string service, string method, string path, string? why)
    {
        var match = ProfileSet.Combine([BuiltInProfiles.Find("kubernetes")!], out _).For(service).Paths.Match(Encoding.ASCII.GetBytes(path));
        Assert.Null(OperationRules.Of(match, Encoding.ASCII.GetBytes(method), default, out var refusal));
        if (why is null) Assert.Null(refusal);
        else Assert.Contains(why, refusal, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("glance", "GET", "/v2/images/2086fa95-821e-4284-8dd1-e7baa55547dd", true)]
    [InlineData("glance", "PUT", "/v2/images/2086fa95821e42848dd1e7baa55547dd/file", true)]
    [InlineData("glance", "GET", "/v2/images/debian", false)]
    [InlineData("glance", "GET", "/v2/images/debian/file", false)]
    [InlineData("glance", "GET", "/v2/images", false)]
    [InlineData("kube", "GET", "/api/v1/namespaces/a/pods/p", true)]
    [InlineData("kube", "POST", "/api/v1/namespaces/a/pods/p/exec", false)]
    public void Says_whether_a_request_is_of_one_resource_that_other_sites_may_have(string service, string method, string path, bool isOfOne)
    {
        var profiles = ProfileSet.Combine([BuiltInProfiles.Find("openstack")!, BuiltInProfiles.Find("kubernetes")!], out _);
        Assert.Equal(isOfOne, OperationRules.IsOfOneResource(profiles.For(service).Paths.Match(Encoding.ASCII.GetBytes(path)), Encoding.ASCII.GetBytes(method)));
    }
}
