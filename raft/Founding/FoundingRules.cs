using Cheops.Raft.Protocol;

namespace Cheops.Raft.Founding;

/// <summary>What a site does with a founding record that another member has sent.</summary>
internal enum FoundingStep : byte
{
    /// <summary>It accepts the record in place of what it had; durably, before it answers.</summary>
    Accept,
    /// <summary>It notes durably that there is such a group, to which its data do not belong (any more): it was wiped, or removed.</summary>
    Note,
    /// <summary>It stays with its own, and answers with that.</summary>
    Keep,
    /// <summary>It cannot accept: the record is about other data than are there.</summary>
    Refuse,
}

/// <summary>
/// How one group comes of it when a set of sites is founded, also from several sites at once. Pure.
/// </summary>
/// <remarks>
/// Two sites with a witness must agree on the witness: each accepts one record durably, and the group is open when both
/// have accepted the same. Of two records that are on their way the one from the site whose name comes first wins: neither
/// can have both acceptances yet, since each site's own is its acceptance. Every other set is its own membership, so that
/// a record is open from the beginning. An open record is replaced by one of a later generation only, or, while the group
/// here is empty, by one that was made before a member lost its data. One that is not open, and names data that were lost since,
/// stands until those whose data it names rightly have told that it is not open there: the member that lost its data may have
/// opened it before, and a majority may have gone on.
/// </remarks>
internal static class FoundingRules
{
    /// <summary>The record with which a site begins.</summary>
    /// <param name="members">The members with their incarnations, the witness last.</param>
    /// <param name="hasWitness">Whether the last one is the witness.</param>
    /// <param name="self">The founding site.</param>
    public static FoundingRecord Begin(IEnumerable<RosterEntry> members, bool hasWitness, string self) => new()
    {
        Members = [.. members],
        HasWitness = hasWitness,
        Founder = self,
        Generation = 1,
        IsOpen = !hasWitness,
    };

    /// <summary>What a site does with a record that it was sent.</summary>
    /// <param name="own">What it has accepted; null for nothing.</param>
    /// <param name="isEmpty">Whether its log of the group is empty.</param>
    /// <param name="sent">The record.</param>
    /// <param name="self">This site.</param>
    /// <param name="known">The incarnation that this site knows of a member, its own among them; unknown when it is not there.</param>
    public static FoundingStep Take(FoundingRecord? own, bool isEmpty, FoundingRecord sent, string self, Func<string, Incarnation> known)
    {
        var belongs = sent.IncarnationOf(self) == known(self);
        if (own is { IsOpen: true })
        {
            var isNewer = sent.IsOpen && (sent.Generation > own.Generation || (isEmpty && IsOlder(sent, own, known)));
            return !isNewer ? FoundingStep.Keep : belongs ? FoundingStep.Accept : FoundingStep.Note;
        }

        if (!belongs) return sent.IsOpen ? FoundingStep.Note : FoundingStep.Refuse;
        if (own is null) return IsKnown(sent, known) ? FoundingStep.Accept : FoundingStep.Refuse;
        if (sent.IsOpen) return FoundingStep.Accept;
        if (IsOutdated(own, known)) return FoundingStep.Keep;
        return IsKnown(sent, known) && string.CompareOrdinal(sent.Founder, own.Founder) < 0 ? FoundingStep.Accept : FoundingStep.Keep;
    }

    /// <summary>Whether a record that this site has accepted is open, now that another member answers with its own.</summary>
    /// <param name="own">What this site has accepted.</param>
    /// <param name="answered">What the other has accepted.</param>
    public static bool Opens(FoundingRecord own, FoundingRecord answered) =>
        !own.IsOpen && (answered.IsOpen || string.Equals(own.Founder, answered.Founder, StringComparison.Ordinal)) && own.Agrees(answered);

    /// <summary>Whether a record that this site has accepted can never be opened by the other: it names data of a member that are no more.</summary>
    /// <param name="own">What this site has accepted.</param>
    /// <param name="known">The incarnation that this site knows of a member; unknown when it is not there.</param>
    public static bool IsOutdated(FoundingRecord own, Func<string, Incarnation> known) => !IsKnown(own, known);

    // An open group's members are what they were when it was opened; a member that lost its data since does not matter.
    private static bool IsKnown(FoundingRecord sent, Func<string, Incarnation> known) => sent.IsOpen
        || sent.Members.All(m => known(m.Site) is var incarnation && (incarnation.IsUnknown || incarnation == m.Incarnation));

    private static bool IsOlder(FoundingRecord sent, FoundingRecord own, Func<string, Incarnation> known)
    {
        if (sent.Generation != own.Generation || sent.Members.Length != own.Members.Length) return false;
        var differ = own.Members.Where(m => sent.IncarnationOf(m.Site) != m.Incarnation).ToList();
        return differ.Count > 0 && differ.All(m => known(m.Site) == m.Incarnation);
    }
}
