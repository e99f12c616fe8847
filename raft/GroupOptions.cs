namespace Cheops.Raft;

/// <summary>Times of the groups of a site.</summary>
public sealed record GroupOptions
{
    /// <summary>
    /// Shortest time without a leader before a member campaigns, and longest that a member may take to answer. On a loaded
    /// machine less costs leaders that are there. Longer where ten round trips are.
    /// </summary>
    public TimeSpan ElectionTimeMin { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a group that nobody uses stays awake.</summary>
    public TimeSpan IdleTime { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a proposal or a barrier may take.</summary>
    public TimeSpan ProposeTimeMax { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a machine may take to be replaced by a snapshot.</summary>
    public TimeSpan RestoreTimeMax { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How fast operations cease to speak for the site that sent them as leader: after so long a third of them does.</summary>
    public TimeSpan LeadWindow { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a leader stays, in a group that is in use, before it gives the lead to a site that sends more operations.</summary>
    public TimeSpan LeadTimeMin { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long it stays, in a group that is in use, when a person asked for it.</summary>
    public TimeSpan LeadAskedTime { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Bytes of the operation log past which entries that no member is likely to need are let go of; the newest half of it stays. Where less than
    /// twice as much room is left on its disk, half of that room takes its place.
    /// </summary>
    public long LogSizeKept { get; init; } = 64L * 1024 * 1024;
}
