using Cheops.Agent.Mesh;
using Cheops.Agent.Mesh.Protocol;
using Cheops.Proto;
using Cheops.Proto.Links;
using CsCheck;
using Xunit.Abstractions;

namespace Cheops.Tests.Unit.Mesh;

/// <summary>Links that lose and double, and peers that keep no rule.</summary>
public sealed class HostileLinkTests(ITestOutputHelper output)
{
    [Fact]
    public void With_losses_and_doubles_a_stream_is_whole_or_fails_and_afterwards_all_is_well() =>
        Gen.Select(Gen.Int, Gen.Double[0, 0.03], Gen.Double[0, 0.2]).Sample(
            (seed, loss, doubles) =>
            {
                var mesh = new SimulatedMesh(seed, "Site1", "Site2");
                var ways = (MemoryLinkConditions[])[mesh.Links.Way("Site1", "Site2"), mesh.Links.Way("Site2", "Site1")];
                mesh.Simulator.Run(async () =>
                {
                    await mesh.TwoUpAsync();
                    foreach (var way in ways) (way.Loss, way.Duplication, way.Jitter) = (loss, doubles, TimeSpan.FromMilliseconds(10));
                    var streams = Enumerable.Range(0, 30).Select(i => TryAsync(mesh, seed + i, i * 17_000)).ToArray();
                    await Task.WhenAll(streams);

                    // Then the network behaves: everything works, and nothing is left over.
                    foreach (var way in ways) (way.Loss, way.Duplication) = (0, 0);
                    await mesh.Simulator.Wait(TimeSpan.FromSeconds(10));
                    await mesh.UntilUp("Site1", "Site2");
                    Assert.True(await TryAsync(mesh, seed, 300_000), "a stream fails on a good network");
                    await mesh.Simulator.Wait(TimeSpan.FromSeconds(1));
                    Assert.Equal(0, mesh["Site1"].Traffic.Single().Streams);
                    Assert.Equal(0, mesh["Site2"].Traffic.Single().Streams);
                });
            },
            iter: 40,
            writeLine: output.WriteLine);

    [Fact]
    public void Doubles_alone_harm_no_stream() =>
        Gen.Int.Sample(
            seed =>
            {
                var mesh = new SimulatedMesh(seed, "Site1", "Site2");
                mesh.Simulator.Run(async () =>
                {
                    await mesh.TwoUpAsync();
                    (mesh.Links.Way("Site1", "Site2").Duplication, mesh.Links.Way("Site2", "Site1").Duplication) = (0.5, 0.5);
                    var streams = Enumerable.Range(0, 10).Select(i => TryAsync(mesh, seed + i, i * 30_000)).ToArray();
                    Assert.All(await Task.WhenAll(streams), Assert.True);
                });
            },
            iter: 10,
            writeLine: output.WriteLine);

    [Fact]
    public void An_opening_is_late_by_when_it_was_sent_and_one_of_a_former_life_is_none()
    {
        var mesh = new SimulatedMesh(7, "Site1", "Site2");
        mesh.Simulator.Run(async () =>
        {
            var executed = 0;
            mesh.Start("Site1", _ =>
            {
                executed++;
                return Task.CompletedTask;
            });
            var peer = mesh.Links.Connect("Site2", "Site1");
            Frame theirs = default;
            var resets = new List<(ulong Stream, LinkError Error)>();
            peer.Start(
                (_, message) =>
                {
                    Frame.Read(message.Span, out var frame, out var payload);
                    if (frame.Kind == FrameKind.Heartbeat) theirs = frame;
                    if (frame.Kind == FrameKind.Reset) resets.Add((frame.Stream, (LinkError)payload[0]));
                },
                _ => { });
            await mesh.Simulator.Until(() => theirs.Kind == FrameKind.Heartbeat);
            for (var beat = 1UL; beat <= 3; beat++)
            {
                await SendAsync(FrameKind.Heartbeat, 0, 0, 20_000 + (uint)beat * 1000, theirs.FromSession, beat, new HeartbeatStatus { Echo = theirs.Offset }.Encode());
                await mesh.Simulator.Wait(TimeSpan.FromSeconds(1));
            }

            Assert.Equal(SiteState.Up, mesh["Site1"].Sites.Single(site => site.Name == "Site2").State);
            var head = new StreamHead { Service = "shop" }.Encode();
            byte[] opening = [.. BitConverter.GetBytes(head.Length), .. head.Span];
            await SendAsync(FrameKind.Open, 2, 1, 24_000, theirs.FromSession + 1, 0, opening);
            await SendAsync(FrameKind.Open, 4, 1, 24_000 - Bounds.OpenTimeMaxMs - 1000, theirs.FromSession, 0, opening);
            await SendAsync(FrameKind.Open, 6, 2, 24_000, theirs.FromSession, 0, opening);
            await mesh.Simulator.Wait(TimeSpan.FromSeconds(1));
            Assert.Equal(1, executed);
            Assert.Equal([(4UL, LinkError.Late)], resets.Where(reset => reset.Stream != 6));

            ValueTask SendAsync(FrameKind kind, ulong stream, ulong sequence, uint sentAt, uint to, ulong offset, ReadOnlyMemory<byte> payload)
            {
                var message = new byte[Frame.HeaderSize + payload.Length];
                payload.CopyTo(message.AsMemory(Frame.HeaderSize));
                new Frame
                {
                    Kind = kind,
                    Epoch = theirs.Epoch,
                    FromSession = 99,
                    ToSession = to,
                    TimeToLiveMs = Bounds.OpenTimeMaxMs,
                    SentAtMs = sentAt,
                    Stream = stream,
                    Offset = offset,
                    Sequence = sequence,
                }.Write(message);
                return peer.SendAsync(LinkLane.Control, message, 0, default);
            }
        });
    }

    private static async Task<bool> TryAsync(SimulatedMesh mesh, int seed, int size)
    {
        var sent = new byte[size];
        new Random(seed).NextBytes(sent);
        try
        {
            var echoed = await mesh.RoundTripAsync(sent, 30_000);
            Assert.True(sent.AsSpan().SequenceEqual(echoed), "a stream that ended in an orderly way was not whole");
            return true;
        }
        catch (LinkException)
        {
            return false;
        }
    }

    [Fact]
    public void A_peer_that_sends_anything_makes_nothing_crash_and_holds_no_more_than_the_bounds() =>
        Gen.Int.Sample(
            seed =>
            {
                var chance = new Random(seed);
                var mesh = new SimulatedMesh(seed, "Site1", "Site2");
                mesh.Simulator.Run(async () =>
                {
                    mesh.Start("Site1", _ => Task.CompletedTask);
                    var peer = mesh.Links.Connect("Site2", "Site1");
                    byte[] last = [];
                    peer.Start((_, message) => last = message.ToArray(), _ => { });
                    await mesh.Simulator.Until(() => last.Length > 0);
                    Frame.Read(last, out var theirs, out _);
                    var sequences = new ulong[2];
                    for (var i = 0; i < 2000; i++)
                    {
                        var (lane, message) = AnyFrame(chance, theirs, sequences);
                        await peer.SendAsync(lane, message, 0, default);
                        if (i % 20 == 0) await mesh.Simulator.Wait(TimeSpan.FromMilliseconds(chance.Next(30)));
                        if (last.Length > 0) Frame.Read(last, out theirs, out _);
                    }

                    await mesh.Simulator.Wait(TimeSpan.FromSeconds(5));
                    Assert.InRange(mesh["Site1"].Traffic.Single().Streams, 0, Bounds.LinkStreamsMax);
                    Assert.InRange(mesh["Site1"].ReceivedHeld, 0, Bounds.LinkReceivedHeldMax);
                });
            },
            iter: 30,
            writeLine: output.WriteLine);

    // Mostly frames that go far: right sessions, epoch and sequence, and everything else by chance.
    private static (LinkLane, byte[]) AnyFrame(Random chance, in Frame theirs, ulong[] sequences)
    {
        var lane = (LinkLane)chance.Next(2);
        var payload = new byte[chance.Next(4) switch { 0 => 0, 1 => chance.Next(50), 2 => chance.Next(70_000), _ => 1 }];
        chance.NextBytes(payload);
        var kind = (FrameKind)chance.Next(0, 9);
        if (kind == FrameKind.Heartbeat)
        {
            var beat = new HeartbeatStatus { Echo = theirs.Offset, Draining = chance.Next(4) == 0 }.Encode();
            payload = chance.Next(5) == 0 ? payload : beat.ToArray();
        }
        else if (kind == FrameKind.Open && chance.Next(5) > 0)
        {
            var head = new StreamHead { Service = "shop" }.Encode();
            // Sometimes it says that its head is longer than it is.
            var length = chance.Next(8) == 0 ? head.Length + chance.Next(1, 100_000) : head.Length;
            payload = [.. BitConverter.GetBytes(length), .. head.Span, .. payload];
        }

        var message = new byte[Frame.HeaderSize + payload.Length];
        payload.CopyTo(message, Frame.HeaderSize);
        var sequence = kind == FrameKind.Heartbeat ? sequences[0] : ++sequences[(int)lane];
        if (chance.Next(200) == 0) sequence += (ulong)chance.Next(3);
        new Frame
        {
            Kind = kind,
            Flags = (FrameFlags)chance.Next(2),
            Epoch = chance.Next(100) == 0 ? (ushort)chance.Next() : theirs.Epoch,
            FromSession = chance.Next(100) == 0 ? (uint)chance.Next() : 99,
            ToSession = theirs.FromSession,
            TimeToLiveMs = (uint)chance.Next(10_000),
            SentAtMs = (uint)chance.Next(10) * 1000,
            Stream = (ulong)chance.Next(2, 40),
            Offset = kind == FrameKind.Heartbeat ? (ulong)sequences.Sum(s => (long)s) : (ulong)(chance.Next(3) == 0 ? chance.Next(200_000) : 0),
            Sequence = sequence,
        }.Write(message);
        if (chance.Next(100) == 0) chance.NextBytes(message.AsSpan(0, chance.Next(message.Length)));
        return (lane, message);
    }
}
