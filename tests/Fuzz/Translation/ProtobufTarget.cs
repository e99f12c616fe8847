using System.Text;
using Cheops.Agent.Translation;
using Cheops.Proto;

namespace Cheops.Tests.Fuzz.Translation;

/// <summary>Kubernetes protobuf: any bytes give an object or none, within the bounds, and a shorter body never another name.</summary>
public sealed class ProtobufTarget : IFuzzTarget
{
    public string Name => "protobuf";

    public string Purpose => "any bytes are a Kubernetes object with bounded names, or none";

    // A pod: apiVersion v1, kind Pod; metadata with name web-1, generateName web-, namespace default, and more.
    public IEnumerable<byte[]> Seeds =>
    [
        [.. "k8s\0"u8, 0x0A, 9, 0x0A, 2, .. "v1"u8, 0x12, 3, .. "Pod"u8, 0x12, 30, 0x0A, 26, 0x0A, 5, .. "web-1"u8, 0x12, 4, .. "web-"u8, 0x1A, 7, .. "default"u8, 0x38, 0x96, 1, 0x1A, 1, 0x12, 0, 0x1A, 0, 0x22, 0],
        [.. "k8s\0"u8, 0x12, 9, 0x0A, 7, 0x0A, 5, .. "web-1"u8],
    ];

    public IReadOnlyList<byte[]> Words { get; } =
        [[0x0A], [0x12], [0x1A], [0x08, 1], [0x25, 1, 2, 3, 4], [0x21, 1, 2, 3, 4, 5, 6, 7, 8], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], [0x80], Encoding.ASCII.GetBytes("k8s\0"), Encoding.ASCII.GetBytes("PodList")];

    public int Run(byte[] input)
    {
        var found = KubernetesObject.Read(input);
        if (found is null) return input.AsSpan().StartsWith(KubernetesObject.Magic) ? 1 : 0;
        foreach (var text in (string[])[found.Kind, found.Name, found.GenerateName, found.Namespace])
            FuzzException.Demand(text.Length <= Bounds.LocalIdSizeMax && (text.Length == 0 || input.AsSpan().IndexOf(Encoding.UTF8.GetBytes(text)) >= 0), "a text that is not in the body");
        return HashCode.Combine(Math.Min(found.Name.Length, 8), Math.Min(found.Kind.Length, 4), found.GenerateName.Length > 0, found.Namespace.Length > 0);
    }
}
