using Cheops.Proto;

namespace Cheops.Agent.Replication;

/// <summary>How an operation fares at this site, from one try to the next.</summary>
/// <param name="started">When its first try was to be, in the clock's timestamps.</param>
/// <param name="mayBeExecuted">Whether it may have been executed here before.</param>
internal sealed class Course(long started, bool mayBeExecuted)
{
    private long? _refused;
    private int _pauseMs;
    private bool _isTold;

    /// <summary>When its first try was to be, in the clock's timestamps.</summary>
    public long Started => started;

    /// <summary>Whether it may have been executed here: the next try looks first.</summary>
    public bool MayBeExecuted { get; set; } = mayBeExecuted;

    /// <summary>It waits once more; whether a person should be told: at first, and from time to time when it waits for long.</summary>
    public bool IsToBeTold()
    {
        var isFirst = !_isTold;
        _isTold = true;
        return isFirst || _pauseMs == Bounds.FollowPauseMaxMs;
    }

    /// <summary>The pause before the next try, in milliseconds: twice the one before.</summary>
    public int NextPause() => _pauseMs = Math.Clamp(_pauseMs * 2, Bounds.FollowPauseMinMs, Bounds.FollowPauseMaxMs);

    /// <summary>The service has refused it.</summary>
    /// <returns>Since when it has, in the clock's timestamps.</returns>
    public long Refused(long now) => _refused ??= now;

    /// <summary>The service was not reached, or not able to say.</summary>
    public void NotRefused() => _refused = null;
}

/// <summary>What a try has come to.</summary>
/// <param name="Verdict">What is to be recorded; null when it is tried again.</param>
/// <param name="AfterEarlier">Whether that is when all that was accepted before is done here; else it is after a pause.</param>
internal readonly record struct Tried(Verdict? Verdict, bool AfterEarlier = false)
{
    /// <summary>It is tried again after a pause.</summary>
    public static readonly Tried AgainLater = new(null);

    /// <summary>It is tried again when all that was accepted before is done here.</summary>
    public static readonly Tried AgainCaughtUp = new(null, AfterEarlier: true);
}
