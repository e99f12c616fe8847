using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using Cheops.Proto;
using CsCheck;

namespace Cheops.Tests.Unit.Translation;

public sealed class AnswerIdTests
{
    [Theory]
    [InlineData("orders", "/v1/orders", "", """{"order":{"key":"a","id":7},"id":8}""", "7")]
    [InlineData("orders", "/v1/orders", "/v1/orders/9", """{"order":{"id":7}}""", "7")]
    [InlineData("orders", "/v1/orders", "/v1/orders/9", """{"id":8}""", "9")]
    [InlineData("orders", "/v1/orders/", "http://h:1/x/v1/orders/a%20b/?q#f", "", "a b")]
    [InlineData("orders", "/v1/%6Frders", "/v1/orders/9", "", "9")]
    [InlineData("orders", "/v1/orders", "/v1/orders", """{"id":8}""", "8")]
    [InlineData("orders", "/v1/orders", "9", """{"uuid":"u"}""", "u")]
    [InlineData("orders", "/v1/orders", "/v1/items/9", """{"metadata":{"name":"n","x":[1]}}""", "n")]
    [InlineData("orders", "/v1/orders", "/v1/orders/9/lines", "", null)]
    [InlineData("tags", "/v1/tags", "", """{"uuid":"u","id":"i"}""", "i")]
    [InlineData("tags", "/v1/tags", "", """{"uuid":"\u00fc\/","id":{}}""", "ü/")]
    [InlineData("tags", "/v1/tags", "", """{"id":"","data":{"id":1}}""", null)]
    [InlineData("tags", "/v1/tags", "", """{"id":7.5}""", null)]
    [InlineData("tags", "/v1/tags", "", """[{"id":7}]""", null)]
    [InlineData("tags", "/v1/tags", "", """{"a":1}{"id":7}""", null)]
    [InlineData("tags", "/v1/tags", "", """{"id":7,]""", "7")]
    [InlineData("tags", "/v1/tags", "", "", null)]
    [InlineData("pods", "/ns/a/pods", "", """{"metadata":{"generateName":"web-","name":"web-x1"}}""", "web-x1")]
    public void Is_found_where_the_profile_says_else_by_convention(string resource, string path, string location, string body, string? id)
    {
        foreach (var size in (int[])[1, 3, 1000])
        {
            var reader = Read(IdPairs.Shop.Resources[resource], Encoding.UTF8.GetBytes(body), size);
            Assert.Equal(id, AnswerId.Find(IdPairs.Shop, Encoding.UTF8.GetBytes(path), Encoding.UTF8.GetBytes(location), reader));
        }
    }

    [Fact]
    public void A_path_by_convention_is_a_collection_when_it_is_created_in()
    {
        var store = ProfileSet.Combine([], out _).For("store");
        Assert.Equal("9", AnswerId.InLocation(store, "/orders"u8, "/orders/9"u8));
        Assert.Null(AnswerId.InLocation(store, "/orders"u8, "/items/9"u8));
        Assert.Null(AnswerId.InLocation(store, "/orders"u8, new byte[Bounds.TargetSizeMax + 1]));
    }

    [Fact]
    public void A_request_that_leaves_the_name_to_the_service_is_told_apart()
    {
        var pods = IdPairs.Shop.Resources["pods"];
        Assert.Equal("web-", Read(pods, """{"metadata":{"generateName":"web-"}}"""u8.ToArray()).NamePrefix);
        Assert.Equal("", Read(pods, """{"metadata":{"generateName":"web-","name":"web-1"}}"""u8.ToArray()).NamePrefix);
        Assert.Equal("", Read(pods, """{"spec":{}}"""u8.ToArray()).NamePrefix);
        var generated = Read(pods, KubernetesBodies.Of("Pod", "", "web-", "default"));
        Assert.Equal("web-", generated.NamePrefix);
        Assert.Null(generated.ByProfile);
    }

    [Fact]
    public void Kubernetes_protobuf_is_read_without_understanding_the_rest()
    {
        var body = KubernetesBodies.Of("Pod", "web-1", "", "default");
        Assert.Equal(new KubernetesObject("Pod", "web-1", "", "default"), KubernetesObject.Read(body));
        foreach (var size in (int[])[1, 2, 7, 1000])
        {
            var reader = Read(IdPairs.Shop.Resources["pods"], body, size);
            Assert.Equal(("web-1", "web-1"), (reader.ByProfile, reader.ByConvention));
            Assert.Equal("", reader.NamePrefix);
        }
    }

    [Fact]
    public void A_list_a_status_and_what_is_encoded_further_have_no_name()
    {
        Assert.Null(KubernetesObject.Read(KubernetesBodies.Of("PodList", "web-1", "", "")));
        Assert.Null(KubernetesObject.Read(KubernetesBodies.Of("Status", "web-1", "", "")));
        Assert.Null(KubernetesObject.Read([.. KubernetesBodies.Of("Pod", "web-1", "", ""), 0x1A, 4, .. "gzip"u8]));
        Assert.Null(KubernetesObject.Read("k8s"u8));
        Assert.Equal("", KubernetesObject.Read(KubernetesBodies.Of("Pod", new string('n', Bounds.LocalIdSizeMax + 1), "", ""))?.Name);
    }

    [Fact]
    public void Every_prefix_gives_the_name_or_none()
    {
        var body = KubernetesBodies.Of("Pod", "web-1", "", "default");
        var first = Enumerable.Range(0, body.Length + 1).First(length => KubernetesObject.Read(body.AsSpan(0, length))?.Name == "web-1");
        for (var length = 0; length <= body.Length; length++)
            Assert.Equal(length < first ? "" : "web-1", KubernetesObject.Read(body.AsSpan(0, length))?.Name ?? "");
        Assert.True(first < body.Length / 2, "the name comes first");
    }

    [Fact]
    public void A_body_past_the_bound_is_read_as_far_as_that()
    {
        var body = KubernetesBodies.Of("ConfigMap", "big", "", "default", new byte[1024 * 1024]);
        Assert.Equal("big", Read(IdPairs.Shop.Resources["pods"], body, 4096).ByProfile);
        Assert.Null(Read(IdPairs.Shop.Resources["pods"], [.. "k8s\0"u8, .. new byte[1024 * 1024]], 4096).ByProfile);
    }

    [Fact]
    public void Any_bytes_are_survived() => Gen.Select(Gen.Byte.Array[0, 40], Gen.Int[0, 100], Gen.Int[0, 10]).Sample((noise, at, removed) =>
    {
        var body = KubernetesBodies.Of("Pod", "web-1", "web-", "default").ToList();
        at = Math.Min(at, body.Count);
        body.RemoveRange(at, Math.Min(removed, body.Count - at));
        body.InsertRange(at, noise);
        Assert.True(KubernetesObject.Read([.. body]) is null or { Name.Length: <= Bounds.LocalIdSizeMax });
    }, iter: 5_000);

    private static BodyIdReader Read(ResourceProfile resource, byte[] body, int size = 1000)
    {
        var reader = new BodyIdReader(resource);
        foreach (var piece in body.Chunk(size)) reader.Feed(piece);
        return reader;
    }
}

/// <summary>Bodies in Kubernetes' protobuf.</summary>
internal static class KubernetesBodies
{
    /// <summary>An object with metadata, a spec of some bytes, and fields of every wire type.</summary>
    public static byte[] Of(string kind, string name, string generateName, string space, byte[]? spec = null)
    {
        byte[] metadata = [.. Field(1, name), .. Field(2, generateName), .. Field(3, space), .. Field(5, "b3c7"), 0x38, 0x96, 0x01];
        byte[] raw = [.. Field(1, metadata), .. Field(2, spec ?? [0x08, 0x01]), 0x1D, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8];
        byte[] type = [.. Field(1, "v1"), .. Field(2, kind)];
        return [.. "k8s\0"u8, .. Field(1, type), .. Field(2, raw), .. Field(3, ""), .. Field(4, "")];
    }

    private static byte[] Field(int number, string text) => Field(number, Encoding.UTF8.GetBytes(text));

    private static byte[] Field(int number, byte[] bytes)
    {
        var length = new List<byte>();
        for (var left = bytes.Length; ; left >>= 7)
        {
            length.Add((byte)(left > 0x7F ? (left & 0x7F) | 0x80 : left));
            if (left <= 0x7F) break;
        }

        return [(byte)((number << 3) | 2), .. length, .. bytes];
    }
}
