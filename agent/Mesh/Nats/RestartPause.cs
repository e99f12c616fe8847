using Cheops.Proto;

namespace Cheops.Agent.Mesh.Nats;

/// <summary>How long is waited before nats-server is started again: twice as long each time, and little again once it has run for long.</summary>
internal sealed class RestartPause
{
    private int _nextMs = Bounds.NatsRestartPauseMinMs;

    /// <summary>The pause in milliseconds.</summary>
    /// <param name="ran">How long the server has run, or was tried to be started.</param>
    public int AfterMs(TimeSpan ran)
    {
        if (ran > TimeSpan.FromMilliseconds(Bounds.NatsRestartPauseMaxMs)) _nextMs = Bounds.NatsRestartPauseMinMs;
        var pauseMs = _nextMs;
        _nextMs = Math.Min(pauseMs * 2, Bounds.NatsRestartPauseMaxMs);
        return pauseMs;
    }
}
