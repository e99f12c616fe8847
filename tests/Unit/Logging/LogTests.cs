using Cheops.Agent.Logging;
using Cheops.Proto;
using Cheops.Proto.Problems;
using CsCheck;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Logging;

public sealed class LogTests
{
    private static readonly DateTimeOffset At = new(2026, 3, 1, 12, 0, 0, 5, TimeSpan.Zero);

    private static Dictionary<string, object?> Values(params (string, object?)[] all) => all.ToDictionary(one => one.Item1, one => one.Item2);

    [Fact]
    public void A_line_has_time_level_part_event_message_and_values() => Assert.Equal(
        "time=2026-03-01T12:00:00.005Z level=warn part=mesh event=LinkDown msg=\"the link is down\" peer=Site2 afterMs=3000 again=true\n",
        new LineFormat(forJournal: false).Format(
            At, LogLevel.Warning, "mesh", "LinkDown", "the link is down", Values(("Peer", "Site2"), ("afterMs", 3000), ("again", true), ("said", "x"), ("{OriginalFormat}", "is {said}")), null));

    [Theory]
    [InlineData(LogLevel.Error, "<3>level=error")]
    [InlineData(LogLevel.Warning, "<4>level=warn")]
    [InlineData(LogLevel.Information, "<6>level=info")]
    [InlineData(LogLevel.Debug, "<7>level=debug")]
    public void The_journal_gets_priorities_and_no_time(LogLevel level, string expected) =>
        Assert.Equal(expected + " msg=x\n", new LineFormat(forJournal: true).Format(At, level, "", "", "x", null, null));

    [Theory]
    [InlineData("Authorization")]
    [InlineData("xAuthToken")]
    [InlineData("SetCookie")]
    [InlineData("password")]
    public void Secrets_are_not_written(string name) => Assert.DoesNotContain(
        "geheim", new LineFormat(false).Format(At, LogLevel.Error, "", "", "x", Values((name, "geheim")), null), StringComparison.Ordinal);

    [Fact]
    public void Whatever_comes_from_outside_stays_within_one_bounded_line() => Gen.String.Sample(text =>
    {
        var line = new LineFormat(false).Format(At, LogLevel.Information, "p", "e", text, Values(("value", text)), null);
        Assert.Equal(line.Length - 1, line.IndexOf('\n', StringComparison.Ordinal));
        Assert.DoesNotContain(line[..^1], char.IsControl);
        Assert.True(line.Length <= Bounds.LogLineLengthMax + 1);
    });

    [Fact]
    public void A_long_value_is_cut() =>
        Assert.True(new LineFormat(false).Format(At, LogLevel.Information, "", "", new string('é', 100_000), null, null).Length <= Bounds.LogLineLengthMax + 1);

    [Fact]
    public void Below_the_level_nothing_is_written_and_the_level_can_be_changed()
    {
        var output = new StringWriter();
        using (var factory = new LogFactory(output, new LineFormat(true), new FakeTimeProvider(At), LogLevel.Warning))
        {
            var log = factory.CreateLogger("Cheops.Agent.Mesh");
            Assert.False(log.IsEnabled(LogLevel.Information));
            log.LogInformation("one");
            factory.Level = LogLevel.Debug;
            log.LogDebug("two");
        }

        Assert.Equal("<7>level=debug part=Mesh msg=two\n", output.ToString());
    }

    [Fact]
    public void A_failed_request_is_one_line_without_its_query()
    {
        var output = new StringWriter();
        using (var factory = new LogFactory(output, new LineFormat(true), new FakeTimeProvider(At), LogLevel.Information))
        {
            var problem = new Problem
            {
                Kind = "site-down",
                Title = "t",
                Status = 503,
                Detail = "Site2 was not heard from",
                Stage = Stage.Forward,
                RetrySafe = true,
                Service = "glance",
            };
            RequestLog.Failed(factory.CreateLogger("requests"), problem, "GET"u8, "/v2/images?sig=geheim"u8, "10.0.0.1");
        }

        Assert.Equal(
            "<4>level=warn part=requests event=RequestFailed msg=\"request failed\" reason=site-down status=503 service=glance method=GET path=/v2/images "
            + "client=10.0.0.1 stage=forward retrySafe=true detail=\"Site2 was not heard from\"\n",
            output.ToString());
    }

    [Fact]
    public void Who_logs_never_waits_and_lost_lines_are_counted_and_told()
    {
        using var gate = new ManualResetEventSlim();
        var output = new GatedWriter(gate);
        var writer = new LogWriter(output, count => $"{count} dropped\n", capacity: 2);
        for (var i = 0; i < 100; i++) writer.Write($"{i}\n");

        // One may be in the writer's hands, two wait: the rest was dropped, and this thread did not wait for the gate.
        Assert.InRange(writer.Dropped, 97, 98);
        var dropped = writer.Dropped;
        gate.Set();
        writer.Dispose();
        Assert.StartsWith("0\n", output.ToString(), StringComparison.Ordinal);
        Assert.Contains($"{dropped} dropped\n", output.ToString(), StringComparison.Ordinal);
        writer.Write("late\n");
        Assert.Equal(dropped + 1, writer.Dropped);
    }

    private sealed class GatedWriter(ManualResetEventSlim gate) : StringWriter
    {
        public override void Write(string? value)
        {
            gate.Wait();
            base.Write(value);
        }
    }
}
