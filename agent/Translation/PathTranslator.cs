using System.Buffers;
using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Proto;

namespace Cheops.Agent.Translation;

/// <summary>Translates the ids in a path: of the resource it names, and of those above it.</summary>
/// <remarks>
/// Each segment that ends the path of an item is an id. A path may stand below prefixes that the profile does not know (a
/// scope's, or where a proxy mounts the service): where nothing is found from its start, a few segments are passed over.
/// </remarks>
internal sealed class PathTranslator(IdTranslator ids)
{
    private const int PrefixSegmentsMax = 3;

    private byte[] _normalized = [];

    /// <summary>Translates a path.</summary>
    /// <param name="path">The path without query, as it came, with a leading slash.</param>
    /// <param name="output">Gets the translated path; left alone when nothing is translated.</param>
    public bool TryTranslate(ReadOnlySpan<byte> path, ArrayBufferWriter<byte> output)
    {
        var normalized = Normalize(path);
        var (raw, from) = (0, 0);
        for (var skipped = 0; skipped <= PrefixSegmentsMax && from >= 0; skipped++)
        {
            if (TryWalk(path, raw, normalized[from..], output)) return true;
            if (!MaySkip(normalized[from..])) return false;
            (raw, from) = (NextSlash(path, raw), NextSlash(normalized, from));
        }

        return false;
    }

    /// <summary>A path as look-ups have it; valid until the next call.</summary>
    public ReadOnlySpan<byte> Normalize(ReadOnlySpan<byte> path)
    {
        if (PathNormalizer.IsPlain(path)) return path;
        var size = PathNormalizer.SizeMax(path.Length);
        if (_normalized.Length < size) _normalized = new byte[size];
        return PathNormalizer.Normalize(path, _normalized);
    }

    // By convention every path is understood, so nothing but a scope is known to be a prefix.
    private bool MaySkip(ReadOnlySpan<byte> path) =>
        path.StartsWith("/@"u8) || ids.Service.Paths.Match(path).Kind != PathKind.Convention;

    // 'start' is where, in the path as it came, what is normalized begins. Both have the same segments.
    private bool TryWalk(ReadOnlySpan<byte> path, int start, ReadOnlySpan<byte> normalized, ArrayBufferWriter<byte> output)
    {
        var written = output.WrittenCount;
        var (raw, at, copied) = (start, 0, 0);
        for (var count = 0; at < normalized.Length && count < Bounds.TranslatedSegmentsMax; count++)
        {
            var (rawEnd, end) = (EndOf(path, raw), EndOf(normalized, at));
            if (end > at + 1 && TryItem(path, start, normalized[..end], output, (written, copied, raw), out var id))
            {
                output.Write(path[copied..(raw + 1)]);
                PercentEncoding.Write(id, output, inQuery: false);
                copied = rawEnd;
            }

            (raw, at) = (rawEnd, end);
        }

        if (copied == 0) return false;
        output.Write(path[copied..]);
        return true;
    }

    private bool TryItem(
        ReadOnlySpan<byte> path, int start, ReadOnlySpan<byte> normalized, ArrayBufferWriter<byte> output, (int Written, int Copied, int Raw) done, out string id)
    {
        id = "";
        var match = ids.Service.Paths.Match(normalized);
        switch (match.Kind)
        {
            case PathKind.Item:
                return ids.TryTranslateEncoded(match.Resource!.Name, match.Id, out id);
            case PathKind.Convention:
                var collection = Conventions.CollectionOf(normalized);
                if (collection.IsEmpty) return false;
                var name = ids.Direction == Direction.ToMeta && done.Copied > 0
                    ? Translated(path[done.Copied..done.Raw], output.WrittenSpan[(done.Written + start)..])
                    : Encoding.UTF8.GetString(collection);
                return ids.TryTranslateEncoded(name, match.Id, out id);
            default:
                return false;
        }
    }

    // The collection's path with the meta-ids that were put in above it.
    private static string Translated(ReadOnlySpan<byte> rest, ReadOnlySpan<byte> written)
    {
        byte[] whole = [.. written, .. rest];
        return Encoding.UTF8.GetString(PathNormalizer.Normalize(whole, new byte[PathNormalizer.SizeMax(whole.Length)]));
    }

    private static int EndOf(ReadOnlySpan<byte> path, int slash) => NextSlash(path, slash) is >= 0 and var next ? next : path.Length;

    private static int NextSlash(ReadOnlySpan<byte> path, int slash) => path[(slash + 1)..].IndexOf((byte)'/') is >= 0 and var next ? slash + 1 + next : -1;
}
