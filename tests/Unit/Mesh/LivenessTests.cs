using Cheops.Agent.Mesh;
using Cheops.Agent.Mesh.Protocol;
using Cheops.Proto;
using Cheops.Proto.Links;

namespace Cheops.Tests.Unit.Mesh;

public sealed class LivenessTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(Bounds.HeartbeatMs * Bounds.HeartbeatsMissedMax);

    [Fact]
    public void Sites_know_each_other_with_services_and_round_trip()
    {
        var mesh = new SimulatedMesh(1, "Site1", "Site2", "Site3");
        mesh.Links.Way("Site1", "Site2").Delay = TimeSpan.FromMilliseconds(20);
        mesh.Simulator.Run(async () =>
        {
            foreach (var site in (string[])["Site1", "Site2", "Site3"]) mesh.Start(site);
            await mesh.Simulator.Wait(TimeSpan.FromSeconds(5));
            var two = mesh.Status("Site1", "Site2");
            Assert.Equal(SiteState.Up, two.State);
            Assert.Equal("1.2", two.Services["shop"]);
            Assert.Equal("of Site2", two.Incarnation);
            Assert.InRange(two.RoundTrip!.Value.TotalMilliseconds, 20, 24);
            Assert.InRange(mesh.Status("Site1", "Site3").RoundTripsFromThere["Site2"].TotalMilliseconds, 1, 4);
            Assert.True(mesh.Simulator.Now - two.HeardAt <= TimeSpan.FromSeconds(1.1));
        });
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void A_silent_cut_is_noticed_at_both_ends_within_three_heartbeats_and_heals(bool cutThere, bool cutBack)
    {
        for (var phaseMs = 0; phaseMs < Bounds.HeartbeatMs; phaseMs += 70)
        {
            var mesh = new SimulatedMesh(2, "Site1", "Site2");
            mesh.Simulator.Run(async () =>
            {
                await mesh.TwoUpAsync();
                await mesh.Simulator.Wait(TimeSpan.FromMilliseconds(3000 + phaseMs));
                var cutAt = mesh.Simulator.Now;
                mesh.Cut("Site1", "Site2", cutThere);
                mesh.Cut("Site2", "Site1", cutBack);
                await mesh.Simulator.Until(() => mesh.Status("Site1", "Site2").State == SiteState.Down && mesh.Status("Site2", "Site1").State == SiteState.Down);
                Assert.True(mesh.Simulator.Now - cutAt <= Bound + TimeSpan.FromMilliseconds(10), $"noticed after {mesh.Simulator.Now - cutAt}");

                // It stays down, without flapping, for as long as the cut lasts.
                for (var i = 0; i < 100; i++)
                {
                    await mesh.Simulator.Wait(TimeSpan.FromMilliseconds(73));
                    Assert.Equal(SiteState.Down, mesh.Status("Site1", "Site2").State);
                    Assert.Equal(SiteState.Down, mesh.Status("Site2", "Site1").State);
                }

                mesh.CutBoth(false);
                var healedAt = mesh.Simulator.Now;
                await mesh.UntilUp("Site1", "Site2");
                Assert.True(mesh.Simulator.Now - healedAt <= TimeSpan.FromMilliseconds(1_100), $"healed after {mesh.Simulator.Now - healedAt}");
                Assert.Equal(10, (await mesh.RoundTripAsync(new byte[10], 3)).Length);
            });
        }
    }

    [Fact]
    public void A_site_that_is_known_to_be_gone_is_down_with_the_next_message()
    {
        var mesh = new SimulatedMesh(3, "Site1", "Site2");
        mesh.Simulator.Run(async () =>
        {
            await mesh.TwoUpAsync();
            mesh.Kill("Site2");
            var at = mesh.Simulator.Now;
            await using var channel = mesh.Open();
            await channel.Output.WriteAsync(new byte[] { 1 });
            var gone = await Assert.ThrowsAsync<LinkException>(async () => await channel.Input.ReadAsync());
            Assert.Equal(LinkError.SiteDown, gone.Error);
            Assert.True(gone.NothingExecuted);
            Assert.True(mesh.Simulator.Now - at < TimeSpan.FromMilliseconds(10));
            await mesh.Simulator.Until(() => mesh.Status("Site1", "Site2").State == SiteState.Down);
            Assert.True(mesh.Simulator.Now - at < TimeSpan.FromMilliseconds(20));
            var refused = Assert.Throws<LinkException>(() => mesh.Open());
            Assert.Equal(LinkError.SiteDown, refused.Error);
        });
    }

    [Fact]
    public void A_peer_that_is_started_anew_loses_the_old_streams_and_takes_new_ones()
    {
        var mesh = new SimulatedMesh(4, "Site1", "Site2");
        mesh.Simulator.Run(async () =>
        {
            for (var i = 0; i < 5; i++)
            {
                if (i == 0) await mesh.TwoUpAsync();
                await using var channel = mesh.Open();
                await channel.Output.WriteAsync(new byte[] { 1 });
                var read = await channel.Input.ReadAsync();
                channel.Input.AdvanceTo(read.Buffer.End);
                mesh.Kill("Site2");
                mesh.Start("Site2");
                var lost = await Assert.ThrowsAsync<LinkException>(async () => await channel.Input.ReadAsync());
                Assert.Equal(LinkError.LinkLost, lost.Error);
                Assert.False(lost.NothingExecuted);
                await mesh.UntilUp("Site1", "Site2");
                Assert.Equal(1000, (await mesh.RoundTripAsync(new byte[1000], 100)).Length);
            }
        });
    }

    [Fact]
    public void Draining_is_told_and_refused_at_once()
    {
        var mesh = new SimulatedMesh(5, "Site1", "Site2");
        mesh.Simulator.Run(async () =>
        {
            await mesh.TwoUpAsync();
            mesh["Site2"].Drain();
            await mesh.Simulator.Until(() => mesh.Status("Site1", "Site2").State == SiteState.Draining);
            Assert.Equal(LinkError.Draining, Assert.Throws<LinkException>(() => mesh.Open()).Error);
            Assert.Equal(10, (await mesh.RoundTripAsync(new byte[10], 3, "Site2", "Site1")).Length);
        });
    }

    [Fact]
    public void An_unknown_site_is_refused()
    {
        var mesh = new SimulatedMesh(6, "Site1", "Site2");
        mesh.Simulator.Run(async () =>
        {
            await mesh.TwoUpAsync();
            Assert.Equal(LinkError.UnknownSite, Assert.Throws<LinkException>(() => mesh.Open("Site1", "Site9")).Error);
        });
    }

    [Fact]
    public void A_newer_major_version_is_refused_with_a_clear_line_and_a_newer_minor_is_understood()
    {
        var mesh = new SimulatedMesh(7, "Site1", "Site2");
        mesh.Simulator.Run(async () =>
        {
            mesh.Start("Site1");
            var peer = mesh.Links.Connect("Site2", "Site1");
            var heard = new List<byte[]>();
            peer.Start((_, message) => heard.Add(message.ToArray()), _ => { });
            await mesh.Simulator.Until(() => heard.Count > 0);
            await peer.SendAsync(LinkLane.Control, new byte[] { Frame.Magic, 2, 0, 1, 0, 48 }, 0, default);
            await mesh.Simulator.Wait(TimeSpan.FromMilliseconds(10));
            Assert.Equal(SiteState.Incompatible, mesh.Status("Site1", "Site2").State);
            Assert.Contains("version 2", Assert.Single(mesh.Warnings), StringComparison.Ordinal);
            Assert.Contains("upgrade", mesh.Status("Site1", "Site2").Reason, StringComparison.Ordinal);
            Assert.Throws<LinkException>(() => mesh.Open());

            // A newer minor: a longer header, a member that is not known, and a kind that is not known.
            await NewerMinorPeerAsync(mesh, peer, heard);
            Assert.Equal(SiteState.Up, mesh.Status("Site1", "Site2").State);
        });
    }

    private static async Task NewerMinorPeerAsync(SimulatedMesh mesh, ILinkTransport peer, List<byte[]> heard)
    {
        for (ulong beat = 1; beat <= 3; beat++)
        {
            Frame.Read(heard[^1], out var last, out _);
            var json = "{\"future\":[1,{}],\"draining\":false}"u8;
            var message = new byte[60 + 16 + json.Length];
            new Frame { Kind = FrameKind.Heartbeat, FromSession = 7, ToSession = last.FromSession, Offset = beat, TimeToLiveMs = 3000, SentAtMs = (uint)beat }.Write(message);
            message[2] = 9;
            message[5] = 60;
            BitConverter.TryWriteBytes(message.AsSpan(60), last.Offset);
            json.CopyTo(message.AsSpan(76));
            await peer.SendAsync(LinkLane.Control, message, 0, default);
            var unknown = new byte[48];
            new Frame { Kind = (FrameKind)200, FromSession = 7, ToSession = last.FromSession, Sequence = beat, Epoch = last.Epoch }.Write(unknown);
            await mesh.Simulator.Wait(TimeSpan.FromMilliseconds(100));
            await peer.SendAsync(LinkLane.Control, unknown, 0, default);
            await mesh.Simulator.Wait(TimeSpan.FromMilliseconds(100));
        }
    }
}
