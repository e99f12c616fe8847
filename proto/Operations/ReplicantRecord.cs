using System.Collections.Immutable;
using System.Text;

namespace Cheops.Proto.Operations;

/// <summary>A replicant, as a site's table keeps it.</summary>
public sealed record ReplicantRecord
{
    private const byte Version = 2;

    /// <summary>Its name.</summary>
    public required ReplicantKey Key { get; init; }

    /// <summary>The resource's name in its profile.</summary>
    public required string Resource { get; init; }

    /// <summary>The group that shares it.</summary>
    public required GroupId Group { get; init; }

    /// <summary>The replication operator (0: <c>&amp;</c>, 1: <c>&amp;&amp;</c>, 2: <c>&amp;~</c>).</summary>
    public byte Operator { get; init; }

    /// <summary>The operation that made it.</summary>
    public OperationId CreatedBy { get; init; }

    /// <summary>When it was made, in milliseconds since 1970; for people only.</summary>
    public long CreatedUnixMs { get; init; }

    /// <summary>How often it has moved: of two records of one replicant the one with more is newer.</summary>
    public int Moves { get; init; }

    /// <summary>The method of the request that made it; with it another site's replica is made.</summary>
    public string Method { get; init; } = "POST";

    /// <summary>The user that made it, verified by the agent; for that user another site's replica is made. Empty for none.</summary>
    public string User { get; init; } = "";

    /// <summary>The groups of <see cref="User"/>.</summary>
    public ImmutableArray<string> UserGroups { get; init; } = [];

    /// <summary>Local ids of its replicas, by site; a site whose replica is not made yet is not there.</summary>
    public ImmutableSortedDictionary<string, string> LocalIds { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>Encodes it.</summary>
    public ReadOnlyMemory<byte> Encode()
    {
        var writer = new EntryWriter().Byte(Version).Byte(Operator);
        Key.Write(writer);
        Span<byte> group = stackalloc byte[GroupId.Size];
        Group.Write(group);
        writer.Text(Resource).Bytes(group).Id(CreatedBy).Number(CreatedUnixMs).Small(Moves).Text(Method).Text(User).Texts(UserGroups).Small(LocalIds.Count);
        foreach (var (site, id) in LocalIds) writer.Text(site).Text(id);
        return writer.Written;
    }

    /// <summary>Decodes a record; null when it is malformed.</summary>
    public static ReplicantRecord? Decode(ReadOnlyMemory<byte> bytes)
    {
        var reader = new EntryReader(bytes);
        if (reader.Byte() != Version) return null;
        var op = reader.Byte();
        var key = ReplicantKey.Read(ref reader);
        var resource = reader.Text(Bounds.ServiceNameLengthMax * 4);
        var group = reader.Bytes(GroupId.Size);
        var createdBy = reader.Id();
        var created = reader.Number();
        var moves = reader.Small();
        var method = reader.Text(32);
        var user = reader.Text(Bounds.UserNameLengthMax);
        var userGroups = reader.Texts(Bounds.UserGroupCountMax, Bounds.UserNameLengthMax);
        var count = reader.Count(Bounds.GroupSitesMax);
        var ids = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < count; i++) ids[reader.Text(Bounds.SiteNameLengthMax)] = reader.Text(Bounds.LocalIdSizeMax);
        if (!reader.IsWhole || group.Length != GroupId.Size) return null;
        return new ReplicantRecord
        {
            Key = key,
            Resource = resource,
            Group = GroupId.Read(group.Span),
            Operator = op,
            CreatedBy = createdBy,
            CreatedUnixMs = created,
            Moves = moves,
            Method = method,
            User = user,
            UserGroups = [.. userGroups],
            LocalIds = ids.ToImmutable(),
        };
    }

    /// <summary>The key under which the table has it: <c>R</c>, the group, then the parts of the name, each followed by a zero byte.</summary>
    public static byte[] TableKey(GroupId group, ReplicantKey key)
    {
        var name = $"{key.Service}\0{key.Collection}\0{key.MetaId}\0";
        var bytes = new byte[1 + GroupId.Size + Encoding.UTF8.GetByteCount(name)];
        bytes[0] = (byte)'R';
        group.Write(bytes.AsSpan(1));
        Encoding.UTF8.GetBytes(name, bytes.AsSpan(1 + GroupId.Size));
        return bytes;
    }
}
