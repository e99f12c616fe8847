using System.Text;
using Cheops.Proto;

namespace Cheops.Raft.Protocol;

/// <summary>Sites with their incarnations, as they are told on and recorded: name length (1), name, incarnation (16).</summary>
internal static class MetSites
{
    /// <summary>Writes them.</summary>
    public static byte[] ToBytes(IReadOnlyCollection<KeyValuePair<string, Incarnation>> sites)
    {
        var bytes = new byte[sites.Sum(s => 1 + s.Key.Length + Incarnation.Size)];
        var rest = bytes.AsSpan();
        foreach (var (site, incarnation) in sites)
        {
            rest[0] = (byte)Encoding.ASCII.GetBytes(site, rest[1..]);
            incarnation.Write(rest[(1 + site.Length)..]);
            rest = rest[(1 + site.Length + Incarnation.Size)..];
        }

        return bytes;
    }

    /// <summary>Reads what <see cref="ToBytes"/> wrote; null when it is something else.</summary>
    public static List<KeyValuePair<string, Incarnation>>? Read(ReadOnlySpan<byte> bytes)
    {
        var sites = new List<KeyValuePair<string, Incarnation>>();
        while (bytes.Length > 0)
        {
            var length = bytes[0];
            if (length is 0 or > Bounds.SiteNameLengthMax || bytes.Length < 1 + length + Incarnation.Size) return null;
            var name = bytes[1..(1 + length)];
            if (!Ascii.IsValid(name) || sites.Count >= Bounds.SiteCountMax) return null;
            sites.Add(new(Encoding.ASCII.GetString(name), Incarnation.Read(bytes[(1 + length)..])));
            bytes = bytes[(1 + length + Incarnation.Size)..];
        }

        return sites;
    }
}
