namespace Cheops.Proto.Operations;

/// <summary>A site was removed from the group by decision of a person: from here on nothing waits for it. The first counts.</summary>
/// <param name="Site">The site.</param>
public sealed record RemovedEntry(string Site) : GroupEntry
{
    private protected override byte Tag => 9;

    private protected override void Write(EntryWriter writer) => writer.Text(Site);

    private protected override bool IsValid => Site.Length > 0;
}

/// <summary>The sites that were removed from a group, as its members' tables keep them.</summary>
public static class RemovedSites
{
    private const byte Version = 1;

    /// <summary>Encodes them.</summary>
    /// <param name="sites">The sites, each with the index of the entry that removed it.</param>
    public static ReadOnlyMemory<byte> Encode(IReadOnlyCollection<KeyValuePair<string, long>> sites)
    {
        var writer = new EntryWriter().Byte(Version).Small(sites.Count);
        foreach (var (site, index) in sites) writer.Text(site).Number(index);
        return writer.Written;
    }

    /// <summary>Decodes them; null when they are malformed.</summary>
    public static Dictionary<string, long>? Decode(ReadOnlyMemory<byte> bytes)
    {
        var reader = new EntryReader(bytes);
        if (reader.Byte() != Version) return null;
        var sites = new Dictionary<string, long>(StringComparer.Ordinal);
        for (var left = reader.Count(Bounds.GroupSitesMax); left > 0; left--) sites[reader.Text(Bounds.SiteNameLengthMax)] = reader.Number();
        return reader.IsWhole ? sites : null;
    }

    /// <summary>The key under which the table has them: <c>X</c> and the group.</summary>
    public static byte[] TableKey(GroupId group)
    {
        var key = new byte[1 + GroupId.Size];
        key[0] = (byte)'X';
        group.Write(key.AsSpan(1));
        return key;
    }
}
