using System.Buffers;
using System.Globalization;
using System.Text;
using BenchmarkDotNet.Attributes;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;

namespace Cheops.Tests.Benchmarks.Translation;

/// <summary>What translating ids costs: a list of 1,000 Glance images (about 1 MB) in pieces of 64 KiB, and one target.</summary>
[MemoryDiagnoser]
public class TranslationBenchmarks
{
    private const int PieceSize = 64 * 1024;

    private static readonly ServiceProfile Glance = BuiltInProfiles.Find("openstack")!.Services["glance"];

    private readonly byte[] _list = Images();
    private readonly ArrayBufferWriter<byte> _output = new(2 * 1024 * 1024);
    private readonly OneId _ids = new();

    [Benchmark]
    public int ListOfImages() => Translate(_ids);

    [Benchmark]
    public int ListWhereNoIdsDiffer() => Translate(new NoIds());

    [Benchmark]
    public bool Target()
    {
        _output.ResetWrittenCount();
        return new TargetTranslator(Glance, Direction.ToMeta, _ids).TryTranslate("/v2/images/00000007-0000-4000-8000-000000000000/file"u8, _output);
    }

    [Benchmark]
    public int NormalizePath() => PathNormalizer.Normalize("/v2/images/00000007-0000-4000-8000-000000000000/file"u8, []).Length;

    private int Translate(IIdMap ids)
    {
        _output.ResetWrittenCount();
        var translator = new JsonTranslator(Glance, Glance.Resources["images"], Direction.ToMeta, ids);
        for (var at = 0; at < _list.Length; at += PieceSize) translator.Feed(_list.AsSpan(at, Math.Min(PieceSize, _list.Length - at)), _output);
        translator.Complete(_output);
        return _output.WrittenCount;
    }

    private static byte[] Images()
    {
        var image = new StringBuilder("{\"images\": [");
        for (var i = 0; i < 1000; i++)
        {
            var id = string.Create(CultureInfo.InvariantCulture, $"{i:x8}-0000-4000-8000-000000000000");
            image.Append(i == 0 ? "" : ", ").Append(CultureInfo.InvariantCulture, $$"""
                {"name": "image {{i}}", "disk_format": "qcow2", "container_format": "bare", "visibility": "public", "size": 52428800, "virtual_size": null,
                "status": "active", "checksum": "64d7c1cd2b6f60c92c14662941cb7913", "protected": false, "min_ram": 0, "min_disk": 0, "owner": "5ef70662f8b34079a6eddb8da9d75fe8",
                "os_hidden": false, "os_hash_algo": "sha512", "os_hash_value": "a7f3e1c0d8b94c2f83a1a7f3e1c0d8b94c2f83a1a7f3e1c0d8b94c2f83a1a7f3e1c0d8b94c2f83a1a7f3e1c0d8b94c2f83a1a7f3e1c0d8b94c2f83a1",
                "id": "{{id}}", "created_at": "2026-05-30T14:30:27Z", "updated_at": "2026-05-30T14:30:28Z", "tags": ["a", "b"],
                "self": "/v2/images/{{id}}", "file": "/v2/images/{{id}}/file", "schema": "/v2/schemas/image", "locations": [], "direct_url": "file:///var/lib/glance/images/{{id}}"}
                """);
        }

        return Encoding.UTF8.GetBytes(image.Append("]}").ToString());
    }

    // Every image has another id elsewhere.
    private sealed class OneId : IIdMap
    {
        private const string Other = "3d2f9f6e-1c50-4a51-9c0e-8d3a4f1b2c3d";

        public bool TryToLocal(string service, string resource, ReadOnlySpan<byte> metaId, out string localId)
        {
            localId = Other;
            return resource == "images";
        }

        public bool TryToMeta(string service, string resource, ReadOnlySpan<byte> localId, out string metaId) => TryToLocal(service, resource, localId, out metaId);

        public bool HasAny(string service) => true;
    }

    private sealed class NoIds : IIdMap
    {
        public bool TryToLocal(string service, string resource, ReadOnlySpan<byte> metaId, out string localId)
        {
            localId = "";
            return false;
        }

        public bool TryToMeta(string service, string resource, ReadOnlySpan<byte> localId, out string metaId) => TryToLocal(service, resource, localId, out metaId);

        public bool HasAny(string service) => false;
    }
}
