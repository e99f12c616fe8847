using System.Globalization;
using Cheops.Agent.Mesh;
using Cheops.Agent.Transport;
using Cheops.Proto;
using CsCheck;
using Xunit.Abstractions;

namespace Cheops.Tests.Unit.Mesh;

public sealed class LinkStreamTests(ITestOutputHelper output)
{
    private static byte[] Bytes(int size, int seed)
    {
        var bytes = new byte[size];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    [Fact]
    public void Bytes_come_through_whatever_the_delays_of_the_lanes() =>
        Gen.Select(Gen.Int[0, 400_000], Gen.Int[1, 200_000], Gen.Int[0, 40], Gen.Int[-40, 40], Gen.Int[0, 30], Gen.Int).Sample(
            (size, piece, delay, bulk, jitter, seed) =>
            {
                var mesh = new SimulatedMesh(seed, "Site1", "Site2");
                foreach (var way in (MemoryLinkConditions[])[mesh.Links.Way("Site1", "Site2"), mesh.Links.Way("Site2", "Site1")])
                {
                    way.Delay = TimeSpan.FromMilliseconds(delay);
                    way.BulkDelay = TimeSpan.FromMilliseconds(bulk);
                    way.Jitter = TimeSpan.FromMilliseconds(jitter);
                }

                var sent = Bytes(size, seed);
                mesh.Simulator.Run(async () =>
                {
                    await mesh.TwoUpAsync();
                    Assert.Equal(sent, await mesh.RoundTripAsync(sent, piece));
                });
                Assert.Equal(0, mesh["Site1"].Traffic.Single().Streams);
                Assert.Equal(0, mesh["Site2"].Traffic.Single().Streams);
            },
            iter: 60,
            writeLine: output.WriteLine);

    [Theory]
    [InlineData(65_535)]
    [InlineData(65_536)]
    [InlineData(65_537)]
    public void The_border_between_the_lanes_is_crossed(int size)
    {
        var mesh = new SimulatedMesh(size, "Site1", "Site2");
        mesh.Links.Way("Site1", "Site2").Delay = TimeSpan.FromMilliseconds(50);
        mesh.Simulator.Run(async () =>
        {
            await mesh.TwoUpAsync();
            var sent = Bytes(size, size);
            foreach (var piece in (int[])[1000, 65_536, size]) Assert.Equal(sent, await mesh.RoundTripAsync(sent, piece));
        });
    }

    [Fact]
    public void Streams_are_used_in_another_order_than_they_were_opened_and_from_both_directions_at_once()
    {
        var mesh = new SimulatedMesh(9, "Site1", "Site2");
        mesh.Simulator.Run(async () =>
        {
            await mesh.TwoUpAsync();
            var (first, second) = (mesh.Open(), mesh.Open());
            foreach (var channel in (Channel[])[second, first])
            {
                var reading = SimulatedMesh.ReadAllAsync(channel);
                await channel.Output.WriteAsync(new byte[10]);
                await channel.CompleteOutputAsync();
                Assert.Equal(10, (await reading).Length);
            }
        });
    }

    [Fact]
    public void The_end_of_a_stream_may_overtake_its_beginning()
    {
        var mesh = new SimulatedMesh(10, "Site1", "Site2");
        mesh.Links.Way("Site1", "Site2").BytesPerSecond = mesh.Links.Way("Site2", "Site1").BytesPerSecond = 3_000_000;
        mesh.Simulator.Run(async () =>
        {
            // The control lane is crowded by the beginnings of many streams; the bulk lane is not.
            await mesh.TwoUpAsync();
            foreach (var size in (int[])[65_600, 90_000, 130_000])
            {
                var streams = Enumerable.Range(0, 20).Select(i => mesh.RoundTripAsync(Bytes(size + i, i), 20_000)).ToArray();
                for (var i = 0; i < streams.Length; i++) Assert.Equal(Bytes(size + i, i), await streams[i]);
            }
        });
    }

    [Fact]
    public void Thousands_of_streams_are_open_at_once_and_one_more_is_refused()
    {
        var mesh = new SimulatedMesh(11, "Site1", "Site2");
        mesh.Simulator.Run(async () =>
        {
            await mesh.TwoUpAsync();
            var open = new List<Channel>();
            for (var i = 0; i < Bounds.LinkStreamsMax; i++)
            {
                var channel = mesh.Open();
                await channel.Output.WriteAsync(new[] { (byte)i });
                open.Add(channel);
            }

            Assert.Equal(LinkError.TooManyStreams, Assert.Throws<LinkException>(() => mesh.Open()).Error);
            for (var i = 0; i < open.Count; i++)
            {
                var read = await open[i].Input.ReadAsync();
                Assert.Equal((byte)i, read.Buffer.FirstSpan[0]);
                open[i].Input.AdvanceTo(read.Buffer.End);
                await open[i].DisposeAsync();
            }

            await mesh.Simulator.Until(() => mesh["Site2"].Traffic.Single().Streams == 0);
            Assert.Equal(0, mesh["Site1"].Traffic.Single().Streams);
        });
    }

    [Fact]
    public void A_slow_reader_slows_only_its_own_stream_and_holds_no_more_than_its_window()
    {
        var mesh = new SimulatedMesh(12, "Site1", "Site2");
        var stuck = new List<Channel>();
        mesh.Simulator.Run(async () =>
        {
            await mesh.TwoUpAsync(inbound =>
            {
                if (inbound.Opening.ClientAddress != "slow") return SimulatedMesh.EchoAsync(inbound);
                stuck.Add(inbound.Channel);
                return Task.CompletedTask;
            });
            var slow = mesh["Site1"].OpenStream("Site2", new StreamOpening { Service = "shop", ClientAddress = "slow" });
            var taken = 0;
            var writing = WriteAsync();
            await mesh.Simulator.Wait(TimeSpan.FromSeconds(5));
            Assert.False(writing.IsCompleted);
            Assert.InRange(taken, 1, Bounds.StreamWindowStartSize + 16_384);
            var sent = Bytes(3_000_000, 1);
            Assert.Equal(sent, await mesh.RoundTripAsync(sent, 100_000));
            Assert.False(writing.IsCompleted);
            stuck[0].Abort();
            await Assert.ThrowsAsync<LinkException>(() => writing);

            async Task WriteAsync()
            {
                while (true)
                {
                    await slow.Output.WriteAsync(new byte[16_384]);
                    taken += 16_384;
                }
            }
        });
    }

    [Fact]
    public void Each_direction_ends_by_itself()
    {
        var mesh = new SimulatedMesh(13, "Site1", "Site2");
        Channel? there = null;
        mesh.Simulator.Run(async () =>
        {
            await mesh.TwoUpAsync(inbound =>
            {
                there = inbound.Channel;
                return Task.CompletedTask;
            });
            await using var here = mesh.Open();
            await here.CompleteOutputAsync();
            await mesh.Simulator.Until(() => there is not null);
            Assert.Empty(await SimulatedMesh.ReadAllAsync(there!));
            var reading = SimulatedMesh.ReadAllAsync(here);
            await there!.Output.WriteAsync(new byte[100_000]);
            await there.CompleteOutputAsync();
            Assert.Equal(100_000, (await reading).Length);
            Assert.Equal(0, mesh["Site1"].Traffic.Single().Streams);
            Assert.Equal(0, mesh["Site2"].Traffic.Single().Streams);
        });
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_abort_reaches_the_other_end_as_a_reset_never_as_an_end(bool abortThere)
    {
        var mesh = new SimulatedMesh(14, "Site1", "Site2");
        Channel? there = null;
        mesh.Simulator.Run(async () =>
        {
            await mesh.TwoUpAsync(inbound =>
            {
                there = inbound.Channel;
                return Task.CompletedTask;
            });
            var here = mesh.Open();
            await here.Output.WriteAsync(new byte[10]);
            await mesh.Simulator.Until(() => there is not null);
            var (aborting, other) = abortThere ? (there!, here) : (here, there!);
            aborting.Abort();
            var failed = await Assert.ThrowsAsync<LinkException>(async () => await SimulatedMesh.ReadAllAsync(other));
            Assert.Equal(LinkError.Reset, failed.Error);
            await Assert.ThrowsAsync<LinkException>(async () => await other.Output.WriteAsync(new byte[10]));
            await Assert.ThrowsAsync<LinkException>(async () => await SimulatedMesh.ReadAllAsync(aborting));
            await here.DisposeAsync();
            await there!.DisposeAsync();
            Assert.Equal(0, mesh["Site1"].Traffic.Single().Streams);
            Assert.Equal(0, mesh["Site2"].Traffic.Single().Streams);
        });
    }

    [Fact]
    public void An_opening_that_arrives_late_is_dropped_and_nothing_is_executed()
    {
        var mesh = new SimulatedMesh(15, "Site1", "Site2");
        var executed = 0;
        mesh.Simulator.Run(async () =>
        {
            await mesh.TwoUpAsync(_ =>
            {
                executed++;
                return Task.CompletedTask;
            });

            // A queue in the network holds the opening for longer than it is worth anything.
            mesh.Links.Way("Site1", "Site2").Delay = TimeSpan.FromMilliseconds(Bounds.OpenTimeMaxMs + 100);
            await using var channel = mesh.Open();
            await channel.Output.WriteAsync(new byte[10]);
            await Assert.ThrowsAsync<LinkException>(async () => await channel.Input.ReadAsync());
            await mesh.Simulator.Wait(TimeSpan.FromSeconds(20));
            Assert.Equal(0, executed);
        });
    }

    [Fact]
    public void Streams_take_turns_on_the_bulk_lane()
    {
        var mesh = new SimulatedMesh(16, "Site1", "Site2");
        mesh.Links.Way("Site1", "Site2").BytesPerSecond = 2_500_000;
        mesh.Simulator.Run(async () =>
        {
            var got = new long[4];
            await mesh.TwoUpAsync(inbound => CountAsync(inbound, got));
            for (var i = 0; i < got.Length; i++) _ = SendForeverAsync(mesh, i);
            await mesh.Simulator.Wait(TimeSpan.FromSeconds(20));
            output.WriteLine(string.Join(" ", got));
            Assert.True(got.Min() > got.Max() * 2 / 3, "one stream keeps others from their turn");
            Assert.True(got.Sum() > 2_500_000L * 20 * 8 / 10, "the line is not used");
            Assert.InRange(mesh["Site1"].Traffic.Single().BulkWindow, 1, 12 * Bounds.StreamChunkSizeMax);
        });
    }

    [Fact]
    public void A_fast_line_gets_a_large_window()
    {
        var mesh = new SimulatedMesh(17, "Site1", "Site2");
        mesh.Links.Way("Site1", "Site2").Delay = mesh.Links.Way("Site2", "Site1").Delay = TimeSpan.FromMilliseconds(25);
        mesh.Simulator.Run(async () =>
        {
            var got = new long[1];
            await mesh.TwoUpAsync(inbound => CountAsync(inbound, got));
            _ = SendForeverAsync(mesh, 0);
            await mesh.Simulator.Wait(TimeSpan.FromSeconds(5));
            var before = got[0];
            await mesh.Simulator.Wait(TimeSpan.FromSeconds(2));
            output.WriteLine($"{(got[0] - before) / 2e6:0} MB/s at 50 ms");
            Assert.True(got[0] - before > 60_000_000, "50 ms of delay should not keep a fast line from 30 MB/s");
        });
    }

    private static async Task CountAsync(InboundStream inbound, long[] got)
    {
        var channel = inbound.Channel;
        var index = inbound.Opening.ClientAddress.Length > 0 ? int.Parse(inbound.Opening.ClientAddress, CultureInfo.InvariantCulture) : 0;
        while (true)
        {
            var read = await channel.Input.ReadAsync();
            got[index] += read.Buffer.Length;
            channel.Input.AdvanceTo(read.Buffer.End);
        }
    }

    private static async Task SendForeverAsync(SimulatedMesh mesh, int index)
    {
        var channel = mesh["Site1"].OpenStream("Site2", new StreamOpening { Service = "shop", ClientAddress = index.ToString(CultureInfo.InvariantCulture) });
        var piece = new byte[100_000];
        while (true) await channel.Output.WriteAsync(piece);
    }

    [Fact]
    public void Messages_reach_their_channel()
    {
        var mesh = new SimulatedMesh(18, "Site1", "Site2");
        var got = new List<(string, ulong, int)>();
        mesh.Simulator.Run(async () =>
        {
            await mesh.TwoUpAsync();
            mesh["Site2"].MessageHandler = (site, channel, message) => got.Add((site, channel, message.Length));
            await mesh["Site1"].SendMessageAsync("Site2", 42, new byte[Bounds.FramePayloadSizeMax], TimeSpan.FromSeconds(1));
            await mesh["Site1"].SendMessageAsync("Site2", 43, Array.Empty<byte>(), TimeSpan.FromSeconds(1));
            await mesh.Simulator.Until(() => got.Count == 2);
            Assert.Equal([("Site1", 42UL, Bounds.FramePayloadSizeMax), ("Site1", 43UL, 0)], got);
        });
    }
}
