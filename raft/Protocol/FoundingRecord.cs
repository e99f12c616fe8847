using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using Cheops.Proto;

namespace Cheops.Raft.Protocol;

/// <summary>A member of a group, and the incarnation of its data that belongs to the group.</summary>
/// <param name="Site">Its name.</param>
/// <param name="Incarnation">Its incarnation; unknown for one that was removed.</param>
internal readonly record struct RosterEntry(string Site, Incarnation Incarnation);

/// <summary>
/// What all members of a group agree on before its first entry, and whenever one of them has lost its data: LAYOUT.md
/// draws its bytes.
/// </summary>
internal sealed record FoundingRecord
{
    /// <summary>Sites, in ordinal order, then the witness if there is one.</summary>
    public required ImmutableArray<RosterEntry> Members { get; init; }

    /// <summary>Whether the last member is the witness.</summary>
    public required bool HasWitness { get; init; }

    /// <summary>The site that made the record.</summary>
    public required string Founder { get; init; }

    /// <summary>1 at first; grows by one with each change of the members' incarnations.</summary>
    public required int Generation { get; init; }

    /// <summary>The group's index at which this generation began: a member that was let in votes only when it has come so far.</summary>
    public long Index { get; init; }

    /// <summary>
    /// The generation in which the site that holds the record was let in again; 0 when it was there from the beginning.
    /// What comes from an earlier generation is none of its.
    /// </summary>
    public int Since { get; init; }

    /// <summary>Whether the group may be used: every site whose word is needed has accepted.</summary>
    public bool IsOpen { get; init; }

    /// <summary>What the group is.</summary>
    public GroupFounding Founding => new()
    {
        Sites = [.. Members.Take(HasWitness ? Members.Length - 1 : Members.Length).Select(m => m.Site)],
        Witness = HasWitness ? Members[^1].Site : null,
    };

    /// <summary>The members that count: all that were not removed.</summary>
    public ImmutableArray<string> Voters => [.. Members.Where(m => !m.Incarnation.IsUnknown).Select(m => m.Site)];

    /// <summary>The sites that were removed.</summary>
    public ImmutableArray<string> Removed => [.. Members.Where(m => m.Incarnation.IsUnknown).Select(m => m.Site)];

    /// <summary>The incarnation that belongs to the group; null for a site that is no member, or was removed.</summary>
    public Incarnation? IncarnationOf(string site)
    {
        foreach (var member in Members)
        {
            if (string.Equals(member.Site, site, StringComparison.Ordinal)) return member.Incarnation.IsUnknown ? null : member.Incarnation;
        }

        return null;
    }

    /// <summary>Whether a site was a member and was removed.</summary>
    public bool HasRemoved(string site) => Members.Any(m => m.Incarnation.IsUnknown && string.Equals(m.Site, site, StringComparison.Ordinal));

    /// <summary>The record of the next generation, in which one member's data are others, or it is removed.</summary>
    public FoundingRecord Next(string site, Incarnation incarnation) => this with
    {
        Generation = Generation + 1,
        Since = 0,
        Members = [.. Members.Select(m => string.Equals(m.Site, site, StringComparison.Ordinal) ? m with { Incarnation = incarnation } : m)],
    };

    /// <summary>Whether two records say the same of the members.</summary>
    public bool Agrees(FoundingRecord other) =>
        Generation == other.Generation && HasWitness == other.HasWitness && Members.AsSpan().SequenceEqual(other.Members.AsSpan());

    /// <summary>Bytes of the written record.</summary>
    public int Size => 16 + NameSize(Founder) + Members.Sum(m => NameSize(m.Site) + Incarnation.Size);

    /// <summary>Writes the record.</summary>
    public byte[] ToBytes()
    {
        var bytes = new byte[Size];
        bytes[0] = (byte)((HasWitness ? 1 : 0) | (IsOpen ? 2 : 0));
        bytes[1] = (byte)Members.Length;
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), (ushort)Math.Min(Since, ushort.MaxValue));
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), Generation);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), Index);
        var rest = WriteName(bytes.AsSpan(16), Founder);
        foreach (var (site, incarnation) in Members)
        {
            rest = WriteName(rest, site);
            incarnation.Write(rest);
            rest = rest[Incarnation.Size..];
        }

        return bytes;
    }

    /// <summary>Reads a record; null when it is none.</summary>
    public static FoundingRecord? Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 16 || bytes[0] > 3 || bytes[1] is 0 or > Bounds.GroupSitesMax) return null;
        var (flags, count) = (bytes[0], bytes[1]);
        var since = BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]);
        var generation = BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]);
        var index = BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]);
        if (generation < 1 || index < 0 || since > generation) return null;
        bytes = bytes[16..];
        if (ReadName(ref bytes) is not { } founder) return null;
        var members = ImmutableArray.CreateBuilder<RosterEntry>(count);
        for (var i = 0; i < count; i++)
        {
            if (ReadName(ref bytes) is not { } site || bytes.Length < Incarnation.Size) return null;
            members.Add(new RosterEntry(site, Incarnation.Read(bytes)));
            bytes = bytes[Incarnation.Size..];
        }

        var record = new FoundingRecord
        {
            Members = members.MoveToImmutable(),
            HasWitness = (flags & 1) != 0,
            IsOpen = (flags & 2) != 0,
            Founder = founder,
            Generation = generation,
            Index = index,
            Since = since,
        };
        return bytes.Length == 0 && record.IsSound ? record : null;
    }

    // Sites in ordinal order, each once; a witness only beside two sites, and none of them.
    private bool IsSound
    {
        get
        {
            var sites = HasWitness ? Members.Length - 1 : Members.Length;
            if (HasWitness && sites != 2) return false;
            for (var i = 1; i < sites; i++)
            {
                if (string.CompareOrdinal(Members[i - 1].Site, Members[i].Site) >= 0) return false;
            }

            var witness = HasWitness ? Members[^1].Site : null;
            return witness is null || Members.Take(sites).All(m => !string.Equals(m.Site, witness, StringComparison.Ordinal));
        }
    }

    private static int NameSize(string name) => 1 + Encoding.UTF8.GetByteCount(name);

    private static Span<byte> WriteName(Span<byte> to, string name)
    {
        to[0] = (byte)Encoding.UTF8.GetBytes(name, to[1..]);
        return to[(1 + to[0])..];
    }

    private static string? ReadName(ref ReadOnlySpan<byte> from)
    {
        if (from.Length < 1 || from[0] is 0 or > Bounds.SiteNameLengthMax || from.Length <= from[0]) return null;
        var name = from[1..(1 + from[0])];
        from = from[(1 + name.Length)..];
        return Ascii.IsValid(name) ? Encoding.ASCII.GetString(name) : null;
    }
}
