using System.Collections.Immutable;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

internal sealed partial class Replicants
{
    /// <summary>The replicant of that name, in whichever group it is now; null when it is not known.</summary>
    public ReplicantRecord? Find(ReplicantKey key) => AtPath(MetaIdSpaces, key.Service, ItemPath(key, key.MetaId));

    /// <summary>The marks of a replicant's comings and goings in a group; null for none.</summary>
    public ReplicantMoves? MovesOf(GroupId group, ReplicantKey key)
    {
        var name = ReplicantMoves.TableKey(group, key);
        if (!table.MayHold(name)) return null;
        var value = new System.Buffers.ArrayBufferWriter<byte>(256);
        return table.TryGet(name, value) ? ReplicantMoves.Decode(value.WrittenMemory) : null;
    }

    /// <summary>Whether a group has marks at all: most have none, and need not be asked for each operation.</summary>
    public bool HasMoves(GroupId group) => table.MayHold(ReplicantMoves.TablePrefix(group));

    /// <summary>Keeps a replicant's marks.</summary>
    public void Keep(GroupId group, ReplicantMoves moves)
    {
        table.Put(ReplicantMoves.TablePrefix(group), [1]);
        table.Put(ReplicantMoves.TableKey(group, moves.Key), moves.Encode().Span);
        lock (_gate) LeaveOutFormer(group, moves.Key);
    }

    // After a start, a replica may have been noted in the group after before it was known again that its site was left out of that.
    private void LeaveOutFormer(GroupId from, ReplicantKey key)
    {
        if (Find(key) is not { } record || record.Group == from || SitesMovedTo(from, key, record.Group) is not { } sites) return;
        string[] former = [.. record.LocalIds.Keys.Where(one => !sites.Contains(one))];
        if (former.Length > 0) Write(ReplicantRecord.TableKey(record.Group, key), record with { LocalIds = record.LocalIds.RemoveRange(former) }, namesChange: false);
    }

    /// <summary>Visits the marks of all replicants of a group that have come or gone.</summary>
    public void VisitMoves(GroupId group, Action<ReplicantMoves> visitor)
    {
        if (!HasMoves(group)) return;
        table.Visit(ReplicantMoves.TablePrefix(group), (_, value) =>
        {
            if (ReplicantMoves.Decode(value.ToArray()) is { } moves) visitor(moves);
            return true;
        });
    }

    /// <summary>The sites that were removed from a group, each with the index of the entry that did it; null for none.</summary>
    public IReadOnlyDictionary<string, long>? RemovedFrom(GroupId group)
    {
        var name = RemovedSites.TableKey(group);
        if (!table.MayHold(name)) return null;
        var value = new System.Buffers.ArrayBufferWriter<byte>(64);
        return table.TryGet(name, value) ? RemovedSites.Decode(value.WrittenMemory) : null;
    }

    /// <summary>Keeps that a site was removed from a group.</summary>
    public void KeepRemoved(GroupId group, string gone, long index)
    {
        var all = new Dictionary<string, long>(RemovedFrom(group) ?? new Dictionary<string, long>(), StringComparer.Ordinal) { [gone] = index };
        table.Put(RemovedSites.TableKey(group), RemovedSites.Encode(all).Span);
    }

    /// <summary>Takes a replicant in that has come from another group, unless it is known to have moved on since.</summary>
    public void Opened(GroupId group, ReplicantRecord record, GroupId from)
    {
        lock (_gate) Open(group, record, from);
    }

    private void Open(GroupId group, ReplicantRecord record, GroupId from)
    {
        var before = Newest(from, record.Key) ?? Find(group, record.Key);
        var isSame = before is not null && before.CreatedBy == record.CreatedBy;
        if (isSame && before!.Moves > record.Moves)
        {
            // It had left the group that it came from before it moved on.
            if (Find(from, record.Key) is { } left && left.CreatedBy == record.CreatedBy && left.Moves < record.Moves) LetGo(from, record.Key);
            return;
        }

        var ids = isSame ? record.LocalIds.SetItems(before!.LocalIds.Where(id => sitesOf(group).Contains(id.Key) && (id.Key == site || !record.LocalIds.ContainsKey(id.Key)))) : record.LocalIds;
        Write(ReplicantRecord.TableKey(group, record.Key), record with { Group = group, LocalIds = ids }, namesChange: true);
        if (from != group) table.Remove(ReplicantRecord.TableKey(from, record.Key));
    }

    /// <summary>Lets go of a replicant in the group that it has left for another one of this site, which has taken it in before.</summary>
    public void HandedOver(GroupId from, GroupId to, ReplicantKey key)
    {
        lock (_gate)
        {
            // What names it is never gone in between: a change that came in then would be carried out here alone.
            if (Find(from, key) is null) return;
            if (Find(to, key) is { } record) Write(ReplicantRecord.TableKey(to, key), record, namesChange: true);
            Gone(from, key);
        }
    }

    // Of a group that is not open yet the marks may tell.
    private bool MayBeOf(GroupId group, string one, GroupId from, ReplicantKey key)
    {
        var known = sitesOf(group);
        return GroupId.Of(known.AsSpan()) == group ? known.Contains(one) : SitesMovedTo(from, key, group)?.Contains(one) != false;
    }

    private ImmutableArray<string>? SitesMovedTo(GroupId from, ReplicantKey key, GroupId to)
    {
        for (var hops = 0; hops < Bounds.MoveMarksKept; hops++)
        {
            if (MovesOf(from, key)?.Marks.LastOrDefault(mark => mark.Kind == MoveMarkKind.Closed) is not { } closed) return null;
            if (closed.Other == to) return closed.OtherSites;
            from = closed.Other;
        }

        return null;
    }

    // The table may be ahead of one group's entries and behind another's while they are applied again.
    private ReplicantRecord? Newest(GroupId group, ReplicantKey key) => (Find(group, key), Find(key)) switch
    {
        ({ } here, { } named) => named.Moves > here.Moves ? named : here,
        var (here, named) => here ?? named,
    };
}
