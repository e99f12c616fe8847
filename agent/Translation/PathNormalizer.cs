using System.Buffers;

namespace Cheops.Agent.Translation;

/// <summary>
/// Gives every percent-encoded spelling of a path the same bytes, so that no look-up is evaded by another spelling. For
/// looking up only: what is forwarded stays as it came.
/// </summary>
/// <remarks>
/// A character that may stand in a path segment (RFC 3986, <c>pchar</c>) is bare; every other one is percent-encoded with
/// capital digits. A slash that is encoded stays so, and segments stay what they are: <c>.</c>, <c>..</c> and empty ones are
/// for the service to understand. A percent sign that begins no encoding stands for itself.
/// </remarks>
public static class PathNormalizer
{
    private static readonly SearchValues<byte> Bare =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@"u8);

    private static readonly SearchValues<byte> BareOrSlash =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/"u8);

    /// <summary>Most bytes that a normalized path of so many bytes has.</summary>
    public static int SizeMax(int length) => 3 * length;

    /// <summary>Whether a path is normal without a look at its encodings, which nearly all are.</summary>
    public static bool IsPlain(ReadOnlySpan<byte> path) => !path.ContainsAnyExcept(BareOrSlash);

    /// <summary>Normalizes a path. Allocates nothing; a path that is normal already is given back as it is.</summary>
    /// <param name="path">The path without query.</param>
    /// <param name="buffer">Room for the result, <see cref="SizeMax"/> bytes; left alone when the path is plain.</param>
    public static ReadOnlySpan<byte> Normalize(ReadOnlySpan<byte> path, Span<byte> buffer)
    {
        if (IsPlain(path)) return path;
        var written = 0;
        for (var i = 0; i < path.Length; i++)
        {
            var b = path[i];
            if (b == '/')
            {
                buffer[written++] = b;
                continue;
            }

            if (PercentEncoding.TryDecode(path[i..], out var decoded))
            {
                b = decoded;
                i += 2;
            }

            written += Bare.Contains(b) ? One(b, buffer[written..]) : PercentEncoding.Encode(b, buffer[written..]);
        }

        return buffer[..written];
    }

    internal static bool IsBare(byte b) => Bare.Contains(b);

    private static int One(byte b, Span<byte> buffer)
    {
        buffer[0] = b;
        return 1;
    }
}
