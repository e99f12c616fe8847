using System.Buffers;
using System.Collections.Frozen;
using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>Changes the metadata of an object in Kubernetes' protobuf (<see cref="KubernetesObject"/>); byte for byte otherwise.</summary>
internal static class KubernetesEdit
{
    private const string Metadata = "metadata";
    private const int LengthDelimited = 2;

    // Of ObjectMeta in k8s.io/apimachinery, which may never change.
    private static readonly FrozenDictionary<string, int> Numbers = new Dictionary<string, int>
    {
        ["generateName"] = 2,
        ["selfLink"] = 4,
        ["uid"] = 5,
        ["resourceVersion"] = 6,
        ["generation"] = 7,
        ["creationTimestamp"] = 8,
        ["deletionTimestamp"] = 9,
        ["deletionGracePeriodSeconds"] = 10,
        ["labels"] = 11,
        ["annotations"] = 12,
        ["ownerReferences"] = 13,
        ["finalizers"] = 14,
        ["managedFields"] = 17,
    }.ToFrozenDictionary();

    /// <summary>Takes fields out; those that are not directly in <c>metadata</c> stay, since only their names are known.</summary>
    /// <returns>Null when the body is no object that is understood.</returns>
    public static byte[]? Without(ReadOnlySpan<byte> body, IEnumerable<FieldPath> fields)
    {
        var removed = 0UL;
        foreach (var field in fields)
        {
            if (field.Segments is [Metadata, var name] && Numbers.TryGetValue(name, out var number)) removed |= 1UL << number;
        }

        return Rewrite(body, removed, "");
    }

    /// <summary>Puts the object's name in.</summary>
    /// <returns>Null when the body is no object that is understood.</returns>
    public static byte[]? WithName(ReadOnlySpan<byte> body, string name) => Rewrite(body, 1UL << KubernetesObject.MetaName, name);

    private static byte[]? Rewrite(ReadOnlySpan<byte> body, ulong removed, string name)
    {
        if (KubernetesObject.Read(body) is null) return null;
        var unknown = body[KubernetesObject.Magic.Length..];
        var raw = Content(unknown, KubernetesObject.UnknownRaw);
        var written = new ArrayBufferWriter<byte>(body.Length + name.Length + 16);
        if (name.Length > 0) WriteField(KubernetesObject.MetaName, Encoding.UTF8.GetBytes(name), written);
        if (!TryCopy(Content(raw, KubernetesObject.ObjectMetadata), removed, written)) return null;
        var metadata = written.WrittenSpan.ToArray();
        written.ResetWrittenCount();
        if (!TryReplace(raw, KubernetesObject.ObjectMetadata, metadata, written)) return null;
        var changed = written.WrittenSpan.ToArray();
        written.ResetWrittenCount();
        written.Write(KubernetesObject.Magic);
        return TryReplace(unknown, KubernetesObject.UnknownRaw, changed, written) ? written.WrittenSpan.ToArray() : null;
    }

    private static ReadOnlySpan<byte> Content(ReadOnlySpan<byte> message, int number)
    {
        var reader = new ProtobufReader(message);
        while (reader.TryRead(out var found, out var bytes, out _))
        {
            if (found == number) return bytes;
        }

        return default;
    }

    private static bool TryCopy(ReadOnlySpan<byte> message, ulong removed, IBufferWriter<byte> output)
    {
        var reader = new ProtobufReader(message);
        var start = 0;
        while (reader.TryRead(out var number, out _, out var isWhole))
        {
            if (!isWhole) return false;
            var end = message.Length - reader.Left;
            if (number >= 64 || (removed & (1UL << number)) == 0) output.Write(message[start..end]);
            start = end;
        }

        return reader.Left == 0;
    }

    // A part that is there twice would be merged: nobody writes objects so.
    private static bool TryReplace(ReadOnlySpan<byte> message, int number, ReadOnlySpan<byte> content, IBufferWriter<byte> output)
    {
        var reader = new ProtobufReader(message);
        var (start, count) = (0, 0);
        while (reader.TryRead(out var found, out _, out var isWhole))
        {
            if (!isWhole) return false;
            var end = message.Length - reader.Left;
            if (found != number) output.Write(message[start..end]);
            else if (count++ == 0) WriteField(number, content, output);
            start = end;
        }

        return reader.Left == 0 && count == 1;
    }

    private static void WriteField(int number, ReadOnlySpan<byte> content, IBufferWriter<byte> output)
    {
        Span<byte> head = stackalloc byte[6];
        head[0] = (byte)((number << 3) | LengthDelimited);
        var size = 1;
        for (var left = (uint)content.Length; ; left >>= 7)
        {
            head[size++] = (byte)(left > 0x7F ? (left & 0x7F) | 0x80 : left);
            if (left <= 0x7F) break;
        }

        output.Write(head[..size]);
        output.Write(content);
    }
}
