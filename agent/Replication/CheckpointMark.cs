using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>What a checkpoint of the table says of each group: from which index on its entries are to be applied again.</summary>
internal static class CheckpointMark
{
    private const byte Version = 1;

    /// <summary>Encodes it.</summary>
    public static ReadOnlyMemory<byte> Write(IEnumerable<(GroupId Group, long ReplayFrom)> groups)
    {
        var all = groups.ToArray();
        var writer = new EntryWriter().Byte(Version).Small(all.Length);
        var id = new byte[GroupId.Size];
        foreach (var (group, from) in all)
        {
            group.Write(id);
            writer.Bytes(id).Number(from);
        }

        return writer.Written;
    }

    /// <summary>Decodes it; a mark that is none, like that of a new table, tells of no group.</summary>
    public static Dictionary<GroupId, long> Read(ReadOnlyMemory<byte> mark)
    {
        var reader = new EntryReader(mark);
        var groups = new Dictionary<GroupId, long>();
        if (reader.Byte() != Version) return groups;
        var count = reader.Count(Bounds.TableMarkSizeMax / GroupId.Size);
        for (var i = 0; i < count; i++)
        {
            var id = reader.Bytes(GroupId.Size);
            var from = reader.Number();
            if (reader.Failed || id.Length != GroupId.Size) return [];
            groups[GroupId.Read(id.Span)] = from;
        }

        return reader.IsWhole ? groups : [];
    }
}
