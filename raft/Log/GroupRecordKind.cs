namespace Cheops.Raft.Log;

/// <summary>What a record of the operation log is to its group: 1 to 127; higher numbers are the agent's.</summary>
internal enum GroupRecordKind : byte
{
    /// <summary>An entry. It drops whatever the group had at its index and after.</summary>
    Entry = 1,
    /// <summary>An entry written again, so that the old part of the log can go. Drops nothing.</summary>
    EntryAgain = 2,
    /// <summary>The term, and whom this site has voted for in it: the voter's name, empty for nobody.</summary>
    Vote = 3,
    /// <summary>How far the group is committed.</summary>
    Commit = 4,
    /// <summary>How the group was founded.</summary>
    Founding = 5,
    /// <summary>A snapshot, of which index and term are the last entry's, replaces everything up to that entry.</summary>
    Snapshot = 6,
    /// <summary>The machine is about to be replaced by a snapshot.</summary>
    Restoring = 7,
    /// <summary>Entries up to this one are no longer in the log.</summary>
    Begin = 8,
    /// <summary>Incarnations of other sites that this one has met; of no group.</summary>
    Met = 9,
}
