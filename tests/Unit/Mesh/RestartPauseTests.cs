using Cheops.Agent.Mesh.Nats;
using Cheops.Proto;

namespace Cheops.Tests.Unit.Mesh;

public sealed class RestartPauseTests
{
    [Fact]
    public void Pauses_double_up_to_the_bound_and_begin_anew_once_the_server_has_run_for_long()
    {
        var pause = new RestartPause();
        for (var expected = Bounds.NatsRestartPauseMinMs; expected < Bounds.NatsRestartPauseMaxMs; expected *= 2)
            Assert.Equal(expected, pause.AfterMs(TimeSpan.FromMilliseconds(expected)));
        for (var i = 0; i < 3; i++) Assert.Equal(Bounds.NatsRestartPauseMaxMs, pause.AfterMs(TimeSpan.FromMilliseconds(Bounds.NatsRestartPauseMaxMs)));
        Assert.Equal(Bounds.NatsRestartPauseMinMs, pause.AfterMs(TimeSpan.FromMilliseconds(Bounds.NatsRestartPauseMaxMs + 1)));
        Assert.Equal(2 * Bounds.NatsRestartPauseMinMs, pause.AfterMs(TimeSpan.Zero));
    }
}
