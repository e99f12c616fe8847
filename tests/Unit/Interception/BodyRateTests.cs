using Cheops.Agent.Interception;
using Cheops.Proto;
using CsCheck;

namespace Cheops.Tests.Unit.Interception;

/// <summary>Bodies that come slowly: those that drip end, those that are only slow do not, and nobody pays for another's time.</summary>
public sealed class BodyRateTests
{
    // ---- the rule --------------------------------------------------------------------------------------------------

    [Fact]
    public void What_waiting_spends_bytes_give_back_up_to_the_bound()
    {
        var patience = new BodyPatience();
        Assert.Equal(Bounds.BodyStallTimeMaxMs, patience.LeftMs);
        patience.Waited(10_000);
        Assert.Equal(Bounds.BodyStallTimeMaxMs - 10_000, patience.LeftMs);
        patience.Came(2 * Bounds.BodyRateMin);
        Assert.Equal(Bounds.BodyStallTimeMaxMs - 8_000, patience.LeftMs);
        patience.Came(int.MaxValue);
        Assert.Equal(Bounds.BodyStallTimeMaxMs, patience.LeftMs);
        patience.Waited(long.MaxValue / (2 * Bounds.BodyRateMin));
        Assert.Equal(0, patience.LeftMs);
    }

    [Fact]
    public void At_the_rate_or_above_it_is_never_spent_and_below_it_is() => Gen
        .Select(Gen.Int[1, 30_000], Gen.Int[1, 4 * Bounds.BodyRateMin])
        .Sample((pauseMs, rate) =>
        {
            var patience = new BodyPatience();
            var bytes = ((rate * pauseMs) + 999) / 1000;
            var rounds = 0;
            for (; rounds < 100_000 && patience.LeftMs > pauseMs; rounds++)
            {
                patience.Waited(pauseMs);
                patience.Came(bytes);
            }

            // Whole bytes are at least the rate; what is below it by less than one of them would need more rounds.
            if ((long)bytes * 1000 >= (long)Bounds.BodyRateMin * pauseMs) Assert.Equal(100_000, rounds);
            else if ((long)(bytes + 1) * 1000 < (long)Bounds.BodyRateMin * pauseMs) Assert.True(rounds < 100_000);
        });

    // ---- connections -------------------------------------------------------------------------------------------------

    [Theory]
    [InlineData("Content-Length: 100000", "x")]
    [InlineData("Transfer-Encoding: chunked", "1\r\nx\r\n")]
    public async Task A_body_that_drips_is_cut_although_no_byte_of_it_is_late(string framing, string piece)
    {
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync($"POST / HTTP/1.1\r\nHost: shop\r\n{framing}\r\n\r\n");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        var lost = client.ReadUntilLostAsync();
        var passed = await DripAsync(rig, client, service, lost, piece, every: 10_000, atMost: 4 * Bounds.BodyStallTimeMaxMs);
        Assert.InRange(passed, Bounds.BodyStallTimeMaxMs, 2 * Bounds.BodyStallTimeMaxMs);
        await lost.WaitAsync(Rig.Patience);
        Assert.Equal(1, rig.Counters.Stalled);
        await service.ReadUntilLostAsync().WaitAsync(Rig.Patience);
    }

    [Fact]
    public async Task A_body_that_comes_slowly_is_taken_however_long_it_takes()
    {
        const int seconds = 4 * Bounds.BodyStallTimeMaxMs / 1000;
        var second = new string('x', 1_000);
        await using var rig = new Rig();
        var client = rig.Connect();
        await client.SendAsync($"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: {seconds * second.Length}\r\n\r\n");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        var passed = await DripAsync(rig, client, service, new TaskCompletionSource().Task, second, every: 1_000, atMost: 1_000 * seconds);
        Assert.Equal(1_000 * seconds, passed);
        await service.AnswerAsync("taken");
        Assert.Equal("taken", await client.ReadAnswerAsync());
    }

    // What is armed after the service has read at last is the client's whole patience.
    [Fact]
    public async Task Time_that_the_service_takes_to_read_is_not_the_client_s()
    {
        const int size = 100_000;
        await using var rig = new Rig(capacity: 1_000);
        var client = rig.Connect();
        var sending = client.SendAsync($"PUT / HTTP/1.1\r\nHost: shop\r\nContent-Length: {size + 1}\r\n\r\n{new string('b', size)}");
        var service = await rig.AcceptAsync();
        await service.ReadHeadAsync();
        await PassAsync(rig, 3 * Bounds.BodyStallTimeMaxMs);
        await service.ExpectAsync(new string('b', size));
        await sending;
        await PassAsync(rig, Bounds.BodyStallTimeMaxMs / 2);
        await client.SendAsync("c");
        await service.ExpectAsync("c");
        await service.AnswerAsync("taken");
        Assert.Equal("taken", await client.ReadAnswerAsync());
    }

    // Sends a piece now and then, each read by the service, until the client is cut; tells the time that passed, in milliseconds.
    private static async Task<int> DripAsync(Rig rig, End client, End service, Task lost, string piece, int every, int atMost)
    {
        for (var passed = 0; passed < atMost;)
        {
            try
            {
                await client.SendAsync(piece);
                await service.ExpectAsync(piece).WaitAsync(Rig.Patience);
            }
            catch (IOException)
            {
                return passed;
            }

            for (var waited = 0; waited < every; waited += Bounds.DeadlineSweepMs, passed += Bounds.DeadlineSweepMs)
            {
                await PassAsync(rig, Bounds.DeadlineSweepMs);
                if (lost.IsCompleted) return passed;
            }

            if (passed >= atMost) return passed;
        }

        return atMost;
    }

    // In the steps of the sweep, each with some real time, in which the agent takes what has come.
    private static async Task PassAsync(Rig rig, int ms)
    {
        for (var passed = 0; passed < ms; passed += Bounds.DeadlineSweepMs)
        {
            await Task.Delay(1);
            rig.Time.Advance(TimeSpan.FromMilliseconds(Bounds.DeadlineSweepMs));
        }
    }
}
