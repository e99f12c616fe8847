using Cheops.Agent.Mesh;
using Cheops.Proto;

namespace Cheops.Tests.Unit.Mesh;

public sealed class PeersTests
{
    [Fact]
    public void A_peer_that_goes_is_forgotten_its_streams_fail_and_it_may_come_back()
    {
        var mesh = new SimulatedMesh(1, "Site1", "Site2", "Site3");
        mesh.Simulator.Run(async () =>
        {
            foreach (var site in (string[])["Site1", "Site2", "Site3"]) mesh.Start(site);
            await mesh.UntilUp("Site1", "Site2");
            await mesh.UntilUp("Site1", "Site3");
            await using var open = mesh.Open();
            await open.Output.WriteAsync("x"u8.ToArray());

            mesh["Site1"].SetPeers(["Site3"]);
            await Assert.ThrowsAsync<LinkException>(async () => await open.Input.ReadAsync());
            Assert.Equal(["Site1", "Site3"], mesh["Site1"].Sites.Select(site => site.Name));
            Assert.Equal(LinkError.UnknownSite, Assert.Throws<LinkException>(() => mesh.Open()).Error);
            await mesh.Simulator.Until(() => mesh.Status("Site2", "Site1").State == SiteState.Down);
            Assert.Equal(SiteState.Up, mesh.Status("Site1", "Site3").State);

            mesh["Site1"].SetPeers(["Site2", "Site3"]);
            await mesh.UntilUp("Site1", "Site2");
            Assert.Equal("hello"u8.ToArray(), await mesh.RoundTripAsync("hello"u8.ToArray(), 5));
        });
    }

    [Fact]
    public void Heartbeats_are_never_later_than_promised_and_those_of_many_links_fall_apart()
    {
        const int most = Bounds.HeartbeatMs / Bounds.LinkTickMs;
        var schedules = Enumerable.Range(0, 100).Select(seed => new BeatSchedule(new Random(seed))).ToArray();
        var since = new int[schedules.Length];
        var beats = new List<int>();
        for (var tick = 0; tick < 400; tick++)
        {
            beats.Add(0);
            for (var i = 0; i < schedules.Length; i++)
            {
                since[i]++;
                if (!schedules[i].Tick()) continue;
                Assert.InRange(since[i], tick < most ? 1 : most - 1, most);
                since[i] = 0;
                beats[tick]++;
            }
        }

        Assert.All(since, ticks => Assert.True(ticks < most));
        Assert.All(beats, together => Assert.True(together < schedules.Length * 2 / 3, $"{together} of {schedules.Length} links beat at once"));
    }
}
