using System.Collections.Immutable;
using Cheops.Proto.Operations;

namespace Cheops.Raft;

/// <summary>
/// A replicant group: one totally ordered log of entries, each committed by a majority of its voters on stable storage.
/// Safe for use by many at once. An idle group sends nothing and wakes by itself when it is used.
/// </summary>
public interface IReplicaGroup
{
    /// <summary>What the group is.</summary>
    GroupFounding Founding { get; }

    /// <summary>How it stands, as this site knows it.</summary>
    GroupStatus Status { get; }

    /// <summary>
    /// Proposes an entry, at the leader or by way of it; completes when the entry is committed and this site's machine has
    /// applied it. Entries proposed at once by many share messages and syncs.
    /// </summary>
    /// <param name="entry">At most <see cref="Proto.Bounds.GroupEntrySizeMax"/> bytes; must not change until the call completes.</param>
    /// <param name="cancellation">Cancels the waiting, not the entry.</param>
    /// <returns>The entry's index.</returns>
    /// <exception cref="GroupException">It was not committed, or may have been: <see cref="GroupException.SurelyNotCommitted"/> tells.</exception>
    ValueTask<long> ProposeAsync(ReadOnlyMemory<byte> entry, CancellationToken cancellation = default) => ProposeAsync(entry, drawsLead: false, cancellation);

    /// <summary>Proposes an entry as the other method does.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="drawsLead">
    /// Whether it is what a client asks for, and no record of what comes of that. The group's lead should be where such entries are
    /// proposed: a site that clearly proposes most of them is given it. Where the log has no more room than it keeps for records, they are refused.
    /// </param>
    /// <param name="cancellation">Cancels the waiting, not the entry.</param>
    /// <exception cref="GroupException">As of the other method.</exception>
    ValueTask<long> ProposeAsync(ReadOnlyMemory<byte> entry, bool drawsLead, CancellationToken cancellation = default);

    /// <summary>Reads an entry again that the machine has applied and whose replay it still asks for (<see cref="IGroupMachine.ReplayFrom"/>).</summary>
    /// <param name="index">Its index.</param>
    /// <param name="cancellation">Cancels the reading.</param>
    /// <exception cref="GroupException">The log does not hold it any more, or cannot be read.</exception>
    ValueTask<ReadOnlyMemory<byte>> ReadAsync(long index, CancellationToken cancellation = default);

    /// <summary>Completes when this site's machine has applied everything that was committed before the call.</summary>
    /// <exception cref="GroupException">No majority answers.</exception>
    ValueTask BarrierAsync(CancellationToken cancellation = default);

    /// <summary>
    /// Asks that a member lead from now on; completes when it does. While the group is in use it then leads for a while
    /// (<see cref="GroupOptions.LeadAskedTime"/>), whoever sends the operations.
    /// </summary>
    /// <param name="site">One of the group's sites, never its witness.</param>
    /// <param name="cancellation">Cancels the waiting.</param>
    /// <exception cref="GroupException">It does not lead within its bound; the group goes on with another leader.</exception>
    ValueTask LeadAsync(string site, CancellationToken cancellation = default);
}

/// <summary>How a group stands, as one site knows it.</summary>
/// <param name="Leader">Who leads; null when that is not known, as in a group that is asleep.</param>
/// <param name="IsAwake">Whether it exchanges messages now.</param>
/// <param name="Term">The Raft term.</param>
/// <param name="Generation">How often the group was reopened because a member lost its data; 1 at first.</param>
/// <param name="LastIndex">Index of the last entry in the log here; 0 for none.</param>
/// <param name="CommitIndex">Index of the last entry known here as committed.</param>
/// <param name="AppliedIndex">Index of the last entry that the machine here has applied.</param>
/// <param name="Problem">What keeps the group from committing, for a person; empty when nothing does.</param>
public sealed record GroupStatus(
    string? Leader, bool IsAwake, long Term, int Generation, long LastIndex, long CommitIndex, long AppliedIndex, string Problem)
{
    /// <summary>Members that were removed, and count no longer.</summary>
    public ImmutableArray<string> Removed { get; init; } = [];
}

/// <summary>What a group's entries drive at one site. Called by one caller at a time.</summary>
public interface IGroupMachine
{
    /// <summary>
    /// After a start, the index of the first entry that the machine must see again: what came before is in its own durable
    /// state. 1 for a machine that knows nothing. The group keeps its log from here on.
    /// </summary>
    long ReplayFrom { get; }

    /// <summary>
    /// Takes the next committed entry. Entries come in order without a gap, also those that are replayed. Must not wait for
    /// this group. Fast: what takes time is begun here and carried out elsewhere.
    /// </summary>
    /// <param name="index">Its index; grows, and leaves out the group's own entries (elections, membership).</param>
    /// <param name="entry">What was proposed; valid during the call only.</param>
    /// <param name="isReplay">
    /// Whether it was known as committed when the host was made: then it comes before <see cref="ReplayedAsync"/>. How far
    /// a group is committed is recorded with its next entries only, so that one that was applied just before a crash may
    /// come again with false: what the machine did for it is in the machine's own records.
    /// </param>
    ValueTask ApplyAsync(long index, ReadOnlyMemory<byte> entry, bool isReplay);

    /// <summary>
    /// Tells, before <see cref="ReplayedAsync"/> and in order, of the entries that the log held at the start beyond what was known as
    /// committed. One that is committed comes again by <see cref="ApplyAsync"/>; others may take the place of the rest.
    /// </summary>
    /// <param name="entry">What was proposed; valid during the call only.</param>
    ValueTask SeenAsync(ReadOnlyMemory<byte> entry);

    /// <summary>Called once after a start, when everything that was known as committed has been replayed.</summary>
    /// <param name="seenUntil">
    /// Index of the last entry that the log held at the start. What an entry up to there asks for may have been done before
    /// the start, also one that is only applied later; what a later entry asks for was not.
    /// </param>
    ValueTask ReplayedAsync(long seenUntil);

    /// <summary>
    /// This site has lost its data, and was let in again: what entries up to here asked of it may have been done, and nothing
    /// is left that says so. Called before such an entry is applied, again after each start, at any time.
    /// </summary>
    /// <param name="until">Index of the entry by which the others let it in.</param>
    void Forgot(long until);

    /// <summary>
    /// Writes a snapshot of what all entries up to the last applied one have made of the machine, for a member that needs
    /// entries which the log does not hold any more. Pieces of any size, at most <see cref="Proto.Bounds.GroupEntrySizeMax"/>.
    /// </summary>
    /// <returns>The index that the snapshot stands for is the last one applied when the first piece is asked for.</returns>
    IAsyncEnumerable<ReadOnlyMemory<byte>> CaptureAsync(CancellationToken cancellation = default);

    /// <summary>Replaces the machine by a snapshot; durable when it completes.</summary>
    /// <param name="index">The index that it stands for; the next entry applied comes after it.</param>
    /// <param name="pieces">What <see cref="CaptureAsync"/> gave at another site, in order.</param>
    /// <param name="cancellation">Ends it; the machine is then replaced by another snapshot before it is used.</param>
    ValueTask RestoreAsync(long index, IAsyncEnumerable<ReadOnlyMemory<byte>> pieces, CancellationToken cancellation = default);
}

/// <summary>All groups that this site is a member of, as site or as witness.</summary>
public interface IGroupHost : IAsyncDisposable
{
    /// <summary>The groups.</summary>
    ImmutableArray<IReplicaGroup> Groups { get; }

    /// <summary>
    /// Whether the room for the log runs short while it holds much: machines should now make durable what they can, so as to need less
    /// of it, and have it given back by <see cref="ReclaimAsync"/>.
    /// </summary>
    bool IsRoomShort { get; }

    /// <summary>Why a full disk stays full although the log takes much of it, for a person; empty when that is not so.</summary>
    string DiskProblem { get; }

    /// <summary>Gives back at once what can be of the log; nothing when it is small for the room that there is.</summary>
    Task ReclaimAsync();

    /// <summary>A group, or null when this site is no member of it.</summary>
    IReplicaGroup? Find(GroupId id);

    /// <summary>
    /// Of other sites the first that can be the witness of two: one that is there; else one that both have met, with the same data,
    /// so that each of the two votes although it is away.
    /// </summary>
    /// <param name="sites">The two, this site among them.</param>
    /// <param name="candidates">The others, best first.</param>
    /// <param name="cancellation">Cancels the waiting.</param>
    /// <returns>The witness; null when none can.</returns>
    ValueTask<string?> ChooseWitnessAsync(ImmutableArray<string> sites, ImmutableArray<string> candidates, CancellationToken cancellation = default);

    /// <summary>
    /// The group of a set of sites that includes this one; founded when there is none yet. When sites found it at the same
    /// moment, one group comes of it; with different witnesses, the record of the site whose name comes first wins.
    /// </summary>
    /// <param name="sites">In ordinal order, each once, this site among them.</param>
    /// <param name="witness">
    /// For a set of two: one of the mesh's other sites, which may be away if both have met it. Null for none. The two must both be there.
    /// </param>
    /// <param name="cancellation">Cancels the waiting.</param>
    /// <exception cref="GroupException">It was not founded: a member was not reached, or has been wiped and is not yet let in again.</exception>
    ValueTask<IReplicaGroup> FoundAsync(ImmutableArray<string> sites, string? witness, CancellationToken cancellation = default);

    /// <summary>
    /// By decision of a person: a site that will not come back no longer counts in any group here. Each group's remaining members
    /// agree on it, or do not; those that do not keep no other from it.
    /// </summary>
    /// <param name="site">The site.</param>
    /// <param name="cancellation">Ends the waiting; what is not decided by then is told as not done.</param>
    /// <returns>What became of it in each group here that had the site as a member, in order of their sites.</returns>
    /// <exception cref="GroupException">It is this site: the others decide that.</exception>
    ValueTask<ImmutableArray<SiteRemoval>> RemoveSiteAsync(string site, CancellationToken cancellation = default);

    /// <summary>Asks another site to do the same with its groups. It refuses while it hears the site.</summary>
    /// <param name="at">The site that is asked.</param>
    /// <param name="site">The site that will not come back.</param>
    /// <param name="evenIfUp">Whether it is removed although the asked one hears it.</param>
    /// <param name="cancellation">Ends the waiting, not what the other site does.</param>
    /// <exception cref="GroupException">It refuses, was not reached, or has not answered in time and may be at it still.</exception>
    ValueTask<ImmutableArray<SiteRemoval>> RemoveSiteAtAsync(string at, string site, bool evenIfUp, CancellationToken cancellation = default);
}

/// <summary>What became of a site's removal from one group.</summary>
/// <param name="Sites">The group's sites, as it was founded.</param>
/// <param name="Reason">Why it counts there still, for a person; empty when it does not.</param>
public sealed record SiteRemoval(ImmutableArray<string> Sites, string Reason)
{
    /// <summary>Whether the site counts there no more.</summary>
    public bool IsDone => Reason.Length == 0;
}

/// <summary>Carries messages between the hosts of different sites. Messages may be lost; none is doubled or late.</summary>
public interface IGroupTransport
{
    /// <summary>This site.</summary>
    string Site { get; }

    /// <summary>The random name of this site's durable data.</summary>
    string Incarnation { get; }

    /// <summary>Takes a message: the site it came from (proven), its bytes, valid during the call only. Set before anything is sent.</summary>
    GroupMessageHandler? Handler { get; set; }

    /// <summary>Told when what <see cref="Peer"/> answers for a site has changed: it came, went, or has other data.</summary>
    Action<string>? PeerChanged { get; set; }

    /// <summary>What is known of another site; null for one that is not configured.</summary>
    GroupPeer? Peer(string site);

    /// <summary>Sends one message.</summary>
    /// <param name="site">Where to.</param>
    /// <param name="message">At most <see cref="Proto.Bounds.FramePayloadSizeMax"/> bytes.</param>
    /// <param name="timeToLive">After which it is not delivered any more.</param>
    /// <exception cref="IOException">It was not sent.</exception>
    ValueTask SendAsync(string site, ReadOnlyMemory<byte> message, TimeSpan timeToLive);
}

/// <summary>Takes a message from another site's host.</summary>
public delegate void GroupMessageHandler(string site, ReadOnlySpan<byte> message);

/// <summary>What the mesh knows of a site.</summary>
/// <param name="IsUp">Whether it was heard from within its bound.</param>
/// <param name="Incarnation">The random name of its durable data; empty when it was not heard.</param>
/// <param name="RoundTrip">Smoothed round-trip time; null when not measured.</param>
public sealed record GroupPeer(bool IsUp, string Incarnation, TimeSpan? RoundTrip);

/// <summary>Why a group did not do what was asked.</summary>
public enum GroupError
{
    /// <summary>No majority of the voters answers within the bound.</summary>
    NoMajority,
    /// <summary>The leader changed or fell silent while the entry was under way: it may have been committed.</summary>
    Unknown,
    /// <summary>Too much is waiting here or at the leader. Nothing was proposed.</summary>
    Busy,
    /// <summary>The disk here or at the leader is full. Nothing was proposed.</summary>
    Full,
    /// <summary>The entry is larger than one may be. Nothing was proposed.</summary>
    TooLarge,
    /// <summary>The group is not founded: a member was not reached, refuses, or lost its data.</summary>
    NotFounded,
    /// <summary>This site is no member, or the site asked for is none that may lead.</summary>
    NotMember,
    /// <summary>The host is closing, or the log failed.</summary>
    Closed,
}

/// <summary>A group did not do what was asked.</summary>
/// <param name="error">Why.</param>
/// <param name="detail">What, where, what to do; for a person.</param>
/// <param name="surelyNotCommitted">Whether the entry surely is not in the log and will not be.</param>
/// <param name="cause">What it came from, where there is something.</param>
public sealed class GroupException(GroupError error, string detail, bool surelyNotCommitted = true, Exception? cause = null) : IOException(detail, cause)
{
    /// <summary>Why.</summary>
    public GroupError Error { get; } = error;

    /// <summary>Whether the entry surely is not in the log and will not be.</summary>
    public bool SurelyNotCommitted { get; } = surelyNotCommitted && error != GroupError.Unknown;
}
