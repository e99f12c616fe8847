using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using System.Text.Unicode;
using Cheops.Proto;

namespace Cheops.Raft.Protocol;

/// <summary>
/// What became of a site's removal from the groups of the answering site. Each: number of its sites (1), their names, each with its
/// length (1) before it, then the reason's length (2) and the reason in UTF-8; no reason where the site counts no more.
/// </summary>
internal static class RemovedGroups
{
    /// <summary>Bytes of the reason of one group; longer ones are cut.</summary>
    public const int ReasonSizeMax = 256;

    /// <summary>Writes as many as one message takes, in their order.</summary>
    public static byte[] ToBytes(IEnumerable<SiteRemoval> removals)
    {
        using var bytes = new MemoryStream();
        foreach (var removal in removals)
        {
            var one = ToBytes(removal);
            if (bytes.Length + one.Length > Bounds.GroupMessageSizeMax - GroupFrame.HeaderSize) break;
            bytes.Write(one);
        }

        return bytes.ToArray();
    }

    /// <summary>Reads what <see cref="ToBytes(IEnumerable{SiteRemoval})"/> wrote; null when it is something else.</summary>
    public static ImmutableArray<SiteRemoval>? Read(ReadOnlySpan<byte> bytes)
    {
        var removals = ImmutableArray.CreateBuilder<SiteRemoval>();
        while (bytes.Length > 0)
        {
            if (bytes[0] is 0 or > Bounds.GroupSitesMax) return null;
            var sites = ImmutableArray.CreateBuilder<string>(bytes[0]);
            bytes = bytes[1..];
            while (sites.Count < sites.Capacity)
            {
                if (bytes.Length < 1 || bytes[0] is 0 or > Bounds.SiteNameLengthMax || bytes.Length <= bytes[0]) return null;
                var name = bytes[1..(1 + bytes[0])];
                if (!Ascii.IsValid(name)) return null;
                sites.Add(Encoding.ASCII.GetString(name));
                bytes = bytes[(1 + name.Length)..];
            }

            if (bytes.Length < 2 || BinaryPrimitives.ReadUInt16LittleEndian(bytes) is > ReasonSizeMax) return null;
            var size = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
            if (bytes.Length < 2 + size || !Utf8.IsValid(bytes.Slice(2, size))) return null;
            removals.Add(new SiteRemoval(sites.MoveToImmutable(), Encoding.UTF8.GetString(bytes.Slice(2, size))));
            bytes = bytes[(2 + size)..];
        }

        return removals.ToImmutable();
    }

    private static byte[] ToBytes(SiteRemoval removal)
    {
        var reason = Encoding.UTF8.GetBytes(removal.Reason).AsSpan();
        // Cut between two characters.
        var size = Math.Min(reason.Length, ReasonSizeMax);
        while (size < reason.Length && size > 0 && (reason[size] & 0xC0) == 0x80) size--;
        var bytes = new byte[1 + removal.Sites.Sum(site => 1 + site.Length) + 2 + size];
        bytes[0] = (byte)removal.Sites.Length;
        var rest = bytes.AsSpan(1);
        foreach (var site in removal.Sites)
        {
            rest[0] = (byte)Encoding.ASCII.GetBytes(site, rest[1..]);
            rest = rest[(1 + site.Length)..];
        }

        BinaryPrimitives.WriteUInt16LittleEndian(rest, (ushort)size);
        reason[..size].CopyTo(rest[2..]);
        return bytes;
    }
}
