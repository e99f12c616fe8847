using System.Collections.Immutable;

namespace Cheops.Proto.Operations;

/// <summary>What a group's log says of a replicant's coming and going.</summary>
public enum MoveMarkKind : byte
{
    /// <summary>It leaves: what is proposed on it later is another group's.</summary>
    Closed = 1,
    /// <summary>It is this group's from here on.</summary>
    Opened = 2,
    /// <summary>It was to come, and does not.</summary>
    CalledOff = 3,
    /// <summary>It had left, and what is proposed on it is this group's again: it was deleted where it had gone, or its move was called off.</summary>
    Returned = 4,
}

/// <summary>One coming or going.</summary>
/// <param name="Index">Index of the entry in this group's log.</param>
/// <param name="Kind">What it says.</param>
/// <param name="Move">The move; zero for a name that is free again.</param>
/// <param name="Other">The group at the other end of the move.</param>
/// <param name="OtherSites">Its sites.</param>
/// <param name="ClosedAt">Of an opening: index of the closing entry in the other group's log.</param>
public sealed record MoveMark(long Index, MoveMarkKind Kind, OperationId Move, GroupId Other, ImmutableArray<string> OtherSites, long ClosedAt)
{
    /// <summary>Of an opening: the sites that had it before and are none of <see cref="OtherSites"/>; else empty.</summary>
    public ImmutableArray<FormerSite> Former { get; init; } = [];

    /// <summary>Of an opening: where a site had it last before; null for one that never had it.</summary>
    public FormerSite? LastAt(string site) =>
        OtherSites.Contains(site) ? new FormerSite(site, OtherSites, ClosedAt) : Former.FirstOrDefault(one => one.Site == site);
}

/// <summary>A site that a replicant has left, and where it had it last.</summary>
/// <param name="Site">The site.</param>
/// <param name="Sites">The sites of the group that it was left out of, itself among them.</param>
/// <param name="ClosedAt">Index of the closing entry in that group's log.</param>
public sealed record FormerSite(string Site, ImmutableArray<string> Sites, long ClosedAt)
{
    /// <summary>Whether it can be what an opening says.</summary>
    internal bool IsValid => ClosedAt > 0 && Sites.Contains(Site);

    internal static void Write(EntryWriter writer, ImmutableArray<FormerSite> former)
    {
        writer.Small(former.Length);
        foreach (var one in former) writer.Text(one.Site).Texts(one.Sites).Number(one.ClosedAt);
    }

    internal static ImmutableArray<FormerSite> Read(ref EntryReader reader)
    {
        var former = ImmutableArray.CreateBuilder<FormerSite>();
        for (var left = reader.Count(Bounds.FormerSitesMax); left > 0; left--)
            former.Add(new FormerSite(reader.Text(Bounds.SiteNameLengthMax), [.. reader.Texts(Bounds.GroupSitesMax, Bounds.SiteNameLengthMax)], reader.Number()));
        return former.ToImmutable();
    }
}

/// <summary>A replicant's comings and goings in one group, oldest first, as its members' tables keep them.</summary>
/// <param name="Key">The replicant.</param>
/// <param name="Marks">The last <see cref="Bounds.MoveMarksKept"/> of them.</param>
public sealed record ReplicantMoves(ReplicantKey Key, ImmutableArray<MoveMark> Marks)
{
    private const byte Version = 2;

    /// <summary>Encodes it.</summary>
    public ReadOnlyMemory<byte> Encode()
    {
        var writer = new EntryWriter().Byte(Version);
        Key.Write(writer);
        writer.Small(Marks.Length);
        var other = new byte[GroupId.Size];
        foreach (var mark in Marks)
        {
            mark.Other.Write(other);
            writer.Number(mark.Index).Byte((byte)mark.Kind).Id(mark.Move).Bytes(other).Texts(mark.OtherSites).Number(mark.ClosedAt);
            FormerSite.Write(writer, mark.Former);
        }

        return writer.Written;
    }

    /// <summary>Decodes it; null when it is malformed.</summary>
    public static ReplicantMoves? Decode(ReadOnlyMemory<byte> bytes)
    {
        var reader = new EntryReader(bytes);
        if (reader.Byte() != Version) return null;
        var key = ReplicantKey.Read(ref reader);
        var marks = ImmutableArray.CreateBuilder<MoveMark>();
        for (var left = reader.Count(Bounds.MoveMarksKept); left > 0; left--)
        {
            var (index, kind, move, other) = (reader.Number(), (MoveMarkKind)reader.Byte(), reader.Id(), reader.Bytes(GroupId.Size));
            var mark = new MoveMark(
                index, kind, move, other.Length == GroupId.Size ? GroupId.Read(other.Span) : default,
                [.. reader.Texts(Bounds.GroupSitesMax, Bounds.SiteNameLengthMax)], reader.Number())
            {
                Former = FormerSite.Read(ref reader),
            };
            if (!Enum.IsDefined(kind) || other.Length != GroupId.Size) return null;
            marks.Add(mark);
        }

        return reader.IsWhole ? new ReplicantMoves(key, marks.ToImmutable()) : null;
    }

    /// <summary>The key under which the table has it: <c>V</c>, the group, and the name.</summary>
    public static byte[] TableKey(GroupId group, ReplicantKey key)
    {
        var name = ReplicantRecord.TableKey(group, key);
        name[0] = (byte)'V';
        return name;
    }

    /// <summary>What the keys of a group's replicants begin with.</summary>
    public static byte[] TablePrefix(GroupId group)
    {
        var prefix = new byte[1 + GroupId.Size];
        prefix[0] = (byte)'V';
        group.Write(prefix.AsSpan(1));
        return prefix;
    }
}
