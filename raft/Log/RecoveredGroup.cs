using Cheops.Raft.Protocol;

namespace Cheops.Raft.Log;

/// <summary>What the log tells of a group: its durable state, without its entries' bytes.</summary>
internal sealed class RecoveredGroup
{
    /// <summary>How it was founded; null when that is not known.</summary>
    public FoundingRecord? Founding { get; set; }

    /// <summary>Where its entries are.</summary>
    public EntryIndex Entries { get; } = new();

    /// <summary>Where entries were written again, from the last time that they were.</summary>
    public EntryIndex Again { get; } = new();

    /// <summary>Index and term of the last entry that the group has let go of, with its oldest part of the log.</summary>
    public (long Index, long Term)? Begin { get; set; }

    /// <summary>The term.</summary>
    public long Term { get; set; }

    /// <summary>Whom this site has voted for in it; null for nobody.</summary>
    public string? VotedFor { get; set; }

    /// <summary>Index of the last entry that is known as committed.</summary>
    public long CommitIndex { get; set; }

    /// <summary>Indices of entries that change the members' incarnations, with what they say.</summary>
    public SortedList<long, FoundingRecord> Rosters { get; } = [];

    /// <summary>Position of the oldest record that the group needs.</summary>
    public long OldestPosition { get; set; }

    /// <summary>Index and term of a snapshot with which the machine was about to be replaced.</summary>
    public (long Index, long Term)? Restoring { get; set; }

    /// <summary>Puts together what was found, when all of it was.</summary>
    /// <exception cref="InvalidDataException">Entries are missing that were not let go of.</exception>
    public void Complete()
    {
        if (Begin is { } begin) BeginAfter(begin.Index, begin.Term);
        for (var index = Math.Max(Again.First, Entries.First); index <= Math.Min(Again.Last, Entries.Last); index++)
        {
            Entries.Move(index, Again.PositionOf(index));
        }
    }

    private void BeginAfter(long index, long term)
    {
        // Of a group that has let go of nothing, all may have been written again, the first entry too.
        if (Entries.Last >= Entries.First && Entries.First <= index + 1 && index <= Entries.Last)
        {
            Entries.DropUntil(index);
            return;
        }

        // The records in which they were written first are gone, as they may: they were written again.
        var (first, last) = (Entries.First, Entries.Last);
        var kept = new List<(long Term, long Position)>();
        for (var i = Math.Max(first, index + 1); i <= last; i++) kept.Add((Entries.TermOf(i)!.Value, Entries.PositionOf(i)));
        Entries.Reset(index, term);
        for (var i = index + 1; i < (kept.Count == 0 ? Again.Last + 1 : first); i++)
        {
            if (i < Again.First || i > Again.Last) throw new InvalidDataException($"entry {i} of a group is missing in the operation log");
            Entries.Add(Again.TermOf(i)!.Value, Again.PositionOf(i));
        }

        foreach (var (keptTerm, position) in kept) Entries.Add(keptTerm, position);
    }
}
