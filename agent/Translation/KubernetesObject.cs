using System.Text;
using System.Text.Unicode;
using Cheops.Proto;

namespace Cheops.Agent.Translation;

/// <summary>
/// The name of an object in Kubernetes' protobuf, without understanding the rest: <c>k8s\0</c>, then a
/// <c>runtime.Unknown</c> whose <c>raw</c> is the object, whose first field is its <c>ObjectMeta</c>.
/// </summary>
/// <param name="Kind">The kind, such as <c>Pod</c>; empty when it is not said.</param>
/// <param name="Name">Its name; empty when there is none yet.</param>
/// <param name="GenerateName">What the server is to begin a name of its own choice with; empty for none.</param>
/// <param name="Namespace">Its namespace; empty when it has none, or the path alone says it.</param>
public sealed record KubernetesObject(string Kind, string Name, string GenerateName, string Namespace)
{
    private const int UnknownTypeMeta = 1;
    internal const int UnknownRaw = 2;
    private const int UnknownContentEncoding = 3;
    private const int TypeMetaKind = 2;
    internal const int ObjectMetadata = 1;
    internal const int MetaName = 1;
    private const int MetaGenerateName = 2;
    private const int MetaNamespace = 3;

    /// <summary>What such a body begins with.</summary>
    public static ReadOnlySpan<byte> Magic => "k8s\0"u8;

    /// <summary>Reads an object.</summary>
    /// <param name="body">The body or its start: metadata come first, and bytes past <see cref="Bounds.ProtobufPrefixSizeMax"/> are not looked at.</param>
    /// <returns>Null when it is none, is a list or a status, is encoded further, or is damaged.</returns>
    public static KubernetesObject? Read(ReadOnlySpan<byte> body)
    {
        if (!body.StartsWith(Magic)) return null;
        var unknown = new ProtobufReader(body[Magic.Length..Math.Min(body.Length, Bounds.ProtobufPrefixSizeMax)]);
        var found = new KubernetesObject("", "", "", "");
        while (unknown.TryRead(out var number, out var bytes, out _))
        {
            switch (number)
            {
                case UnknownTypeMeta:
                    found = found with { Kind = KindOf(bytes) };
                    break;
                case UnknownRaw:
                    found = found.WithObject(bytes);
                    break;
                case UnknownContentEncoding when !bytes.IsEmpty:
                    return null;
            }
        }

        // The first field of these is another message.
        return found.Kind == "Status" || found.Kind.EndsWith("List", StringComparison.Ordinal) ? null : found;
    }

    private static string KindOf(ReadOnlySpan<byte> typeMeta)
    {
        var kind = "";
        var reader = new ProtobufReader(typeMeta);
        while (reader.TryRead(out var number, out var bytes, out var isWhole))
        {
            if (number == TypeMetaKind) kind = TextOf(bytes, isWhole);
        }

        return kind;
    }

    private KubernetesObject WithObject(ReadOnlySpan<byte> raw)
    {
        var found = this;
        var reader = new ProtobufReader(raw);
        while (reader.TryRead(out var number, out var bytes, out _))
        {
            if (number == ObjectMetadata) found = found.WithMetadata(bytes);
        }

        return found;
    }

    private KubernetesObject WithMetadata(ReadOnlySpan<byte> metadata)
    {
        var found = this;
        var reader = new ProtobufReader(metadata);
        while (reader.TryRead(out var number, out var bytes, out var isWhole))
        {
            found = number switch
            {
                MetaName => found with { Name = TextOf(bytes, isWhole) },
                MetaGenerateName => found with { GenerateName = TextOf(bytes, isWhole) },
                MetaNamespace => found with { Namespace = TextOf(bytes, isWhole) },
                _ => found,
            };
        }

        return found;
    }

    // A name that is not there as a whole is no name.
    private static string TextOf(ReadOnlySpan<byte> bytes, bool isWhole) =>
        isWhole && bytes.Length <= Bounds.LocalIdSizeMax && Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : "";
}
