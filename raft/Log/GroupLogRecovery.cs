using System.Buffers.Binary;
using System.Text;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;

namespace Cheops.Raft;

/// <summary>
/// Gathers what the groups of a site need from its log while that is opened: its <see cref="Visit"/> is called for each
/// record, then a <see cref="GroupHost"/> is made of it. Holds positions, never entries.
/// </summary>
/// <remarks>
/// Where the opening tells of damage, acknowledged records are lost: the site has to take a new incarnation before the host
/// is made. Its groups then count it as wiped, let it in again, and heal what it lacks.
/// </remarks>
public sealed class GroupLogRecovery
{
    /// <summary>Groups of which there are records.</summary>
    public int GroupCount => Groups.Count;

    internal Dictionary<GroupId, RecoveredGroup> Groups { get; } = [];

    internal long? MetPosition { get; private set; }

    internal Dictionary<string, Incarnation> Met { get; } = new(StringComparer.Ordinal);

    /// <summary>Takes a record; passes over those of the agent's journal.</summary>
    /// <param name="position">Its position.</param>
    /// <param name="record">The record without its payload.</param>
    /// <param name="payload">Its payload.</param>
    /// <exception cref="InvalidDataException">The record is whole, but says what no group can mean.</exception>
    public void Visit(long position, in LogRecord record, ReadOnlySpan<byte> payload)
    {
        if (record.Kind > 127) return;
        if ((GroupRecordKind)record.Kind == GroupRecordKind.Met)
        {
            foreach (var (site, incarnation) in MetSites.Read(payload) ?? throw Unsound(position, record)) Met[site] = incarnation;
            MetPosition = position;
            return;
        }

        if (!Groups.TryGetValue(record.Group, out var group))
        {
            Groups.Add(record.Group, group = new RecoveredGroup { OldestPosition = position });
        }

        if (!Take(group, position, record, payload)) throw Unsound(position, record);
    }

    /// <summary>Whether the log lacks entries that machines need: a machine was lost, and what it stood for is let go of.</summary>
    /// <param name="neededFrom">Index from which on a group's machine needs its entries.</param>
    public bool Lacks(Func<GroupId, long> neededFrom) =>
        Groups.Any(one => neededFrom(one.Key) < Math.Max(one.Value.Entries.First, (one.Value.Begin?.Index ?? 0) + 1));

    private static bool Take(RecoveredGroup group, long position, in LogRecord record, ReadOnlySpan<byte> payload)
    {
        if (record.Index > Bounds.GroupIndexMax || record.Term > Bounds.GroupIndexMax) return false;
        var (index, term) = ((long)record.Index, (long)record.Term);
        switch ((GroupRecordKind)record.Kind)
        {
            case GroupRecordKind.Entry:
                return TakeEntry(group, position, index, term, payload);
            case GroupRecordKind.EntryAgain:
                return TakeEntryAgain(group, position, index, term, payload);
            case GroupRecordKind.Vote:
                (group.Term, group.VotedFor) = (term, payload.Length == 0 ? null : Encoding.ASCII.GetString(payload));
                return true;
            case GroupRecordKind.Commit:
                group.CommitIndex = Math.Max(group.CommitIndex, index);
                return true;
            case GroupRecordKind.Founding:
                if (FoundingRecord.Read(payload) is not { } founding) return false;
                group.Founding = founding;
                return true;
            case GroupRecordKind.Restoring:
                group.Restoring = (index, term);
                return true;
            case GroupRecordKind.Snapshot:
                TakeSnapshot(group, index, term);
                return true;
            case GroupRecordKind.Begin:
                group.Begin = (index, term);
                return true;
            default:
                // A newer Cheops wrote it beside the ones that are known.
                return true;
        }
    }

    private static bool TakeEntry(RecoveredGroup group, long position, long index, long term, ReadOnlySpan<byte> payload)
    {
        if (index < group.Entries.First || payload.Length < LoggedEntry.HeaderSize) return false;
        group.Entries.DropFrom(index);
        group.Again.DropFrom(index);
        // The entries before it were let go of with the oldest part of the log.
        if (index > group.Entries.Last + 1) group.Entries.Reset(index - 1, 0);
        group.Entries.Add(term, position);
        NoteCommit(group, payload);
        return NoteRoster(group, index, payload);
    }

    private static bool TakeEntryAgain(RecoveredGroup group, long position, long index, long term, ReadOnlySpan<byte> payload)
    {
        if (index < 1 || payload.Length < LoggedEntry.HeaderSize) return false;
        if (index > group.Again.Last + 1 || index < group.Again.First) group.Again.Reset(index - 1, 0);
        if (index <= group.Again.Last) group.Again.Move(index, position);
        else group.Again.Add(term, position);
        NoteCommit(group, payload);
        return true;
    }

    internal static void TakeSnapshot(RecoveredGroup group, long index, long term)
    {
        if (group.Entries.TermOf(index) == term && index >= group.Entries.First) group.Entries.DropUntil(index);
        else if (index >= group.Entries.First) group.Entries.Reset(index, term);
        group.CommitIndex = Math.Max(group.CommitIndex, index);
        (group.Restoring, group.Begin) = (null, null);
    }

    private static bool NoteRoster(RecoveredGroup group, long index, ReadOnlySpan<byte> payload)
    {
        while (group.Rosters.Count > 0 && group.Rosters.GetKeyAtIndex(group.Rosters.Count - 1) >= index) group.Rosters.RemoveAt(group.Rosters.Count - 1);
        if ((EntryKind)payload[0] != EntryKind.Roster) return true;
        if (FoundingRecord.Read(payload[LoggedEntry.HeaderSize..]) is not { } roster) return false;
        group.Rosters.Add(index, roster);
        return true;
    }

    private static void NoteCommit(RecoveredGroup group, ReadOnlySpan<byte> payload)
    {
        var known = BinaryPrimitives.ReadInt64LittleEndian(payload[1..]);
        group.CommitIndex = Math.Max(group.CommitIndex, known);
    }

    private static InvalidDataException Unsound(long position, in LogRecord record) => new(
        $"the record at position {position} of the operation log, of kind {record.Kind} and index {record.Index}, is whole but unsound");
}
