using System.Buffers;

namespace Cheops.Agent.Translation;

/// <summary>Translates the ids in a URL, or in a path with a query, as answers link to resources; byte for byte otherwise.</summary>
internal sealed class UrlTranslator(IdTranslator ids)
{
    private readonly PathTranslator _path = new(ids);
    private readonly QueryTranslator _query = new(ids);

    /// <summary>Translates a URL.</summary>
    /// <param name="url">The URL as it came.</param>
    /// <param name="output">Gets the translated URL; left alone when nothing is translated.</param>
    public bool TryTranslate(ReadOnlySpan<byte> url, ArrayBufferWriter<byte> output)
    {
        var start = PathStart(url);
        if (start < 0) return false;
        var pathEnd = PathEnd(url, start);
        var path = url[start..pathEnd];
        var written = output.WrittenCount;
        output.Write(url[..start]);
        var changed = _path.TryTranslate(path, output);
        if (!changed) output.Write(path);
        if (pathEnd < url.Length) changed |= WriteRest(url[pathEnd..], path, output);
        if (!changed) Take(output, written);
        return changed;
    }

    private bool WriteRest(ReadOnlySpan<byte> rest, ReadOnlySpan<byte> path, ArrayBufferWriter<byte> output)
    {
        var changed = false;
        if (rest[0] == '?')
        {
            var end = IndexOrLength(rest.IndexOf((byte)'#'), rest.Length);
            output.Write("?"u8);
            changed = _query.TryTranslate(rest[1..end], _path.Normalize(path), output);
            if (!changed) output.Write(rest[1..end]);
            rest = rest[end..];
        }

        output.Write(rest);
        return changed;
    }

    /// <summary>Where the path begins: after scheme and authority, or at the start. Below 0 where there is none.</summary>
    public static int PathStart(ReadOnlySpan<byte> url)
    {
        if (url.IsEmpty) return -1;
        var authority = url.StartsWith("//"u8) ? 2 : url[0] == '/' ? 0 : url.IndexOf("://"u8) is > 0 and < 16 and var colon ? colon + 3 : -1;
        if (authority <= 0) return authority;
        var slash = url[authority..].IndexOfAny((byte)'/', (byte)'?', (byte)'#');
        return slash < 0 || url[authority + slash] != '/' ? -1 : authority + slash;
    }

    /// <summary>Where the path ends that begins at <paramref name="start"/>.</summary>
    public static int PathEnd(ReadOnlySpan<byte> url, int start) => start + IndexOrLength(url[start..].IndexOfAny((byte)'?', (byte)'#'), url.Length - start);

    private static int IndexOrLength(int index, int length) => index < 0 ? length : index;

    // An ArrayBufferWriter takes nothing back but everything.
    private static void Take(ArrayBufferWriter<byte> output, int written)
    {
        if (written == 0)
        {
            output.ResetWrittenCount();
            return;
        }

        var kept = output.WrittenSpan[..written].ToArray();
        output.ResetWrittenCount();
        output.Write(kept);
    }
}
