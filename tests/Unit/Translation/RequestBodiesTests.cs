using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using CsCheck;

namespace Cheops.Tests.Unit.Translation;

public sealed class RequestBodiesTests
{
    private static readonly ResourceProfile Pods = BuiltInProfiles.Find("kubernetes")!.Services["kube"].Resources["pods"];
    private static readonly ResourceProfile Services = BuiltInProfiles.Find("kubernetes")!.Services["kube"].Resources["services"];
    private static readonly ResourceProfile Images = BuiltInProfiles.Find("openstack")!.Services["glance"].Resources["images"];

    private static string Without(ResourceProfile resource, string mediaType, string body) =>
        Encoding.UTF8.GetString(RequestBodies.WithoutSiteSpecific(resource, mediaType, Encoding.UTF8.GetBytes(body)).Span);

    [Theory]
    [InlineData("application/json", """{"metadata":{"uid":"u","name":"a","resourceVersion":"7"},"spec":{"x":1},"status":{}}""", """{"metadata":{"name":"a"},"spec":{"x":1}}""")]
    [InlineData("application/merge-patch+json", """{"metadata":{"resourceVersion":"7","labels":{"a":"1"}}}""", """{"metadata":{"labels":{"a":"1"}}}""")]
    [InlineData("application/apply-patch+yaml", """{"metadata":{"name":"a","managedFields":[{}]}}""", """{"metadata":{"name":"a"}}""")]
    [InlineData("application/apply-patch+yaml", "metadata:\n  uid: u\n", "metadata:\n  uid: u\n")]
    [InlineData("", """{"status":1}""", "{}")]
    [InlineData("application/octet-stream", """{"status":1}""", """{"status":1}""")]
    public void What_belongs_to_a_site_is_taken_out(string mediaType, string body, string left) => Assert.Equal(left, Without(Pods, mediaType, body));

    [Theory]
    [InlineData("""[{"op":"test","path":"/metadata/resourceVersion","value":"7"},{"op":"add","path":"/metadata/labels/a","value":"1"}]""", """[{"op":"add","path":"/metadata/labels/a","value":"1"}]""")]
    [InlineData("""[ {"op":"replace", "path":"/status/phase", "value":{"path":"/x"}} , {"op":"remove","path":"/metadata/name"} ]""", """[{"op":"remove","path":"/metadata/name"}]""")]
    [InlineData("""[{"op":"move","from":"/metadata/uid","path":"/metadata/labels/a"}]""", "[]")]
    [InlineData("""[{"op":"add","path":"/metadata/labels/~1status","value":1},{"op":"add","path":"/statuses","value":1}]""", """[{"op":"add","path":"/metadata/labels/~1status","value":1},{"op":"add","path":"/statuses","value":1}]""")]
    [InlineData("""[{"op":"add","path":"/metadata/uid"}""", """[{"op":"add","path":"/metadata/uid"}""")]
    [InlineData("""{"metadata":{"uid":"u"}}""", """{"metadata":{"uid":"u"}}""")]
    public void A_JSON_Patch_loses_its_operations_on_what_belongs_to_a_site(string body, string left) =>
        Assert.Equal(left, Without(Pods, "application/json-patch+json", body));

    // As an API server answers, and so as they are copied to a new site.
    [Theory]
    [InlineData("jobs",
        """{"metadata":{"labels":{"a":"1","controller-uid":"u","batch.kubernetes.io/controller-uid":"u","job-name":"j"}},"spec":{"selector":{"matchLabels":{"batch.kubernetes.io/controller-uid":"u"}},"template":{"metadata":{"labels":{"batch.kubernetes.io/controller-uid":"u","batch.kubernetes.io/job-name":"j","controller-uid":"u","job-name":"j"}},"spec":{}}}}""",
        """{"metadata":{"labels":{"a":"1","job-name":"j"}},"spec":{"selector":{"matchLabels":{}},"template":{"metadata":{"labels":{"batch.kubernetes.io/job-name":"j","job-name":"j"}},"spec":{}}}}""")]
    [InlineData("jobs",
        """{"spec":{"manualSelector":true,"selector":{"matchLabels":{"mine":"x"}},"template":{"metadata":{"labels":{"mine":"x"}}}}}""",
        """{"spec":{"manualSelector":true,"selector":{"matchLabels":{"mine":"x"}},"template":{"metadata":{"labels":{"mine":"x"}}}}}""")]
    [InlineData("persistentvolumeclaims",
        """{"metadata":{"annotations":{"a":"1","pv.kubernetes.io/bind-completed":"yes","pv.kubernetes.io/bound-by-controller":"yes","volume.kubernetes.io/selected-node":"n","volume.kubernetes.io/storage-provisioner":"p"}},"spec":{"volumeName":"pvc-1","accessModes":["ReadWriteOnce"]},"status":{"phase":"Bound"}}""",
        """{"metadata":{"annotations":{"a":"1"}},"spec":{"accessModes":["ReadWriteOnce"]}}""")]
    [InlineData("services", """{"spec":{"clusterIP":"10.0.0.7","clusterIPs":["10.0.0.7"],"type":"ClusterIP"}}""", """{"spec":{"type":"ClusterIP"}}""")]
    [InlineData("services", """{"spec":{"clusterIP":"None","clusterIPs":["None"],"type":"ClusterIP"}}""", """{"spec":{"clusterIP":"None","type":"ClusterIP"}}""")]
    [InlineData("pods", """{"spec":{"nodeName":"n","priority":0,"containers":[]}}""", """{"spec":{"containers":[]}}""")]
    public void What_Kubernetes_makes_at_one_site_is_taken_out(string kind, string body, string left)
    {
        var resource = BuiltInProfiles.Find("kubernetes")!.Services["kube"].Resources[kind];
        Assert.Equal(left, Without(resource, "application/json", body));
    }

    [Fact]
    public void A_replica_keeps_its_own_address_and_one_that_has_none_by_choice_has_none()
    {
        Assert.Equal("""{"spec":{"clusterIP":"10.2.0.1"}}""", Fit("""{"spec":{"clusterIP":"10.1.0.1"}}""", """{"spec":{"clusterIP":"10.2.0.1"}}"""));
        Assert.Equal("""{"spec":{"clusterIP":"None"}}""", Fit("""{"spec":{"clusterIP":"None"}}""", """{"spec":{}}"""));
        Assert.Equal("""{"spec":{"clusterIP":"None"}}""", Fit("""{"spec":{"clusterIP":"None"}}""", """{"spec":{"clusterIP":"10.2.0.1"}}"""));

        static string Fit(string sent, string replica) => Encoding.UTF8.GetString(SiteFields.Fit(Services, Encoding.UTF8.GetBytes(sent), Encoding.UTF8.GetBytes(replica))!.Value.Span);
    }

    [Fact]
    public void A_patch_may_name_any_element()
    {
        Assert.Equal("[]", Without(Services, "application/json-patch+json", """[{"op":"replace","path":"/spec/ports/0/nodePort","value":30000}]"""));
        Assert.Equal("[]", Without(Images, "application/openstack-images-v2.1-json-patch", """[{"op":"replace","path":"/status","value":"x"}]"""));
    }

    [Fact]
    public void Kubernetes_protobuf_loses_what_belongs_to_a_site_in_its_metadata()
    {
        // The last field of the metadata is their generation, a number.
        var body = KubernetesBodies.Of("Pod", "web-1", "", "default");
        var left = RequestBodies.WithoutSiteSpecific(Pods, "application/vnd.kubernetes.protobuf", body).ToArray();
        Assert.Equal(body.Length - Encoding.UTF8.GetByteCount("b3c7") - 2 - 3, left.Length);
        Assert.Equal(new KubernetesObject("Pod", "web-1", "", "default"), KubernetesObject.Read(left));
        Assert.DoesNotContain("b3c7", Encoding.Latin1.GetString(left), StringComparison.Ordinal);
        byte[] cut = body[..^9];
        Assert.Equal(cut, RequestBodies.WithoutSiteSpecific(Pods, "", cut).ToArray());
    }

    [Theory]
    [InlineData("""{"name":"a"}""", """{"name":"a","id":"x"}""")]
    [InlineData("{}", """{"id":"x"}""")]
    [InlineData("""{"id":null}""", """{"id":"x"}""")]
    [InlineData("[]", null)]
    [InlineData("", null)]
    [InlineData("name: a", null)]
    public void An_id_is_put_into_a_body_that_has_a_place_for_it(string body, string? with) =>
        Assert.Equal(with, RequestBodies.WithId(Images, Encoding.UTF8.GetBytes(body), "x") is { } changed ? Encoding.UTF8.GetString(changed.Span) : null);

    [Fact]
    public void A_name_is_put_into_Kubernetes_protobuf()
    {
        foreach (var spec in (byte[][])[[], new byte[200], new byte[70_000]])
        {
            var body = KubernetesBodies.Of("Pod", "", "web-", "default", spec);
            var named = RequestBodies.WithId(Pods, body, "web-1")!.Value.ToArray();
            Assert.Equal(new KubernetesObject("Pod", "web-1", "web-", "default"), KubernetesObject.Read(named));
            Assert.Contains(Encoding.Latin1.GetString(spec), Encoding.Latin1.GetString(named), StringComparison.Ordinal);
        }

        Assert.Null(RequestBodies.WithId(Pods, KubernetesBodies.Of("PodList", "", "web-", ""), "web-1"));
    }

    [Fact]
    public void Any_protobuf_is_survived_and_what_is_written_can_be_read() => Gen.Select(Gen.Byte.Array[0, 40], Gen.Int[0, 100], Gen.Int[0, 10]).Sample((noise, at, removed) =>
    {
        var body = KubernetesBodies.Of("Pod", "", "web-", "default").ToList();
        at = Math.Min(at, body.Count);
        body.RemoveRange(at, Math.Min(removed, body.Count - at));
        body.InsertRange(at, noise);
        Assert.True(RequestBodies.WithId(Pods, body.ToArray(), "web-1") is not { } named || KubernetesObject.Read(named.Span)?.Name == "web-1");
        RequestBodies.WithoutSiteSpecific(Pods, "", body.ToArray());
    }, iter: 5_000);

    [Theory]
    [InlineData("dryRun=All", true)]
    [InlineData("a=b&dryRun=%41ll&c", true)]
    [InlineData("dryRun=", false)]
    [InlineData("dryRun", false)]
    [InlineData("xdryRun=All", false)]
    [InlineData("", false)]
    public void A_query_says_that_nothing_is_changed(string query, bool says) => Assert.Equal(says, RequestMarks.AnyIn(Pods, query));

    [Theory]
    [InlineData("""{"kind":"DeleteOptions","dryRun":["All"]}""", true)]
    [InlineData("""{"dryRun":[]}""", false)]
    [InlineData("""{"spec":{"dryRun":["All"]}}""", false)]
    [InlineData("", false)]
    public void A_body_says_that_nothing_is_changed(string body, bool says) => Assert.Equal(says, RequestMarks.AnyIn(Pods, Encoding.UTF8.GetBytes(body)));

    [Theory]
    [InlineData("""{"a":1,"b":{"c":[1,{"d":null}]}}""", """{"a":1}""", true)]
    [InlineData("""{"a":1,"b":{"c":[1,{"d":2}]}}""", """{"b":{"c":[1,{"d":2}]},"e":null}""", true)]
    [InlineData("""{"a":1}""", """{"a":2}""", false)]
    [InlineData("""{"a":"1"}""", """{"a":1}""", false)]
    [InlineData("""{"a":[1]}""", """{"a":[1,2]}""", false)]
    [InlineData("{}", """{"a":{}}""", false)]
    [InlineData("", "{}", null)]
    [InlineData("{}", "a: b", null)]
    public void What_was_sent_holds_of_what_is_seen_or_not(string seen, string sent, bool? covers) =>
        Assert.Equal(covers, Representation.Covers(Encoding.UTF8.GetBytes(seen), Encoding.UTF8.GetBytes(sent)));

    [Theory]
    [InlineData("""{"metadata":{"name":"a","resourceVersion":"7","uid":"u"},"spec":{"clusterIP":"10.0.0.1","ports":[{"port":80,"nodePort":30000},{"port":81,"nodePort":30001}],"x":"é"}}""",
        """{"metadata":{"resourceVersion":"9","uid":"v","generation":1},"spec":{"clusterIP":"10.0.0.2","ports":[{"nodePort":31000,"port":8}]}}""",
        """{"metadata":{"name":"a","resourceVersion":"9","uid":"v"},"spec":{"clusterIP":"10.0.0.2","ports":[{"port":80,"nodePort":31000},{"port":81}],"x":"é"}}""")]
    [InlineData("""{"metadata":{"name":"a"},"spec":{"ports":7}}""", """{"metadata":{"resourceVersion":"9"},"status":{}}""", """{"metadata":{"name":"a"},"spec":{"ports":7}}""")]
    [InlineData("""{"status":{"a":1}}""", "[]", "{}")]
    [InlineData("{", "{}", null)]
    public void What_replaces_a_replica_keeps_what_belongs_to_its_site(string sent, string replica, string? fitted) =>
        Assert.Equal(fitted, SiteFields.Fit(Services, Encoding.UTF8.GetBytes(sent), Encoding.UTF8.GetBytes(replica)) is { } fit ? Encoding.UTF8.GetString(fit.Span) : null);

    [Fact]
    public void A_made_name_begins_as_asked_and_fits()
    {
        var random = new byte[16];
        new Random(1).NextBytes(random);
        var name = IdShape.MakeName("web-", random);
        Assert.StartsWith("web-", name, StringComparison.Ordinal);
        Assert.Equal("web-".Length + 10, name.Length);
        Assert.Equal(63, IdShape.MakeName(new string('a', 100), random).Length);
    }
}
