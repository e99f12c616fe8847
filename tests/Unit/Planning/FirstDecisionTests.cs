using Cheops.Agent.Planning;

namespace Cheops.Tests.Unit.Planning;

public class FirstDecisionTests
{
    /// <summary>Every outcome after the first of two, for both kinds of method, written out.</summary>
    [Theory]
    [InlineData(false, "unreached", FirstAction.TryNext, true)]
    [InlineData(false, "lost", FirstAction.AnswerLost, false)]
    [InlineData(false, "101", FirstAction.Answer, false)]
    [InlineData(false, "200", FirstAction.Answer, false)]
    [InlineData(false, "201", FirstAction.Answer, false)]
    [InlineData(false, "299", FirstAction.Answer, false)]
    [InlineData(false, "300", FirstAction.Answer, false)]
    [InlineData(false, "399", FirstAction.Answer, false)]
    [InlineData(false, "400", FirstAction.TryNext, true)]
    [InlineData(false, "404", FirstAction.TryNext, true)]
    [InlineData(false, "499", FirstAction.TryNext, true)]
    [InlineData(false, "500", FirstAction.Answer, false)]
    [InlineData(false, "503", FirstAction.Answer, false)]
    [InlineData(false, "599", FirstAction.Answer, false)]
    [InlineData(true, "unreached", FirstAction.TryNext, true)]
    [InlineData(true, "lost", FirstAction.TryNext, false)]
    [InlineData(true, "101", FirstAction.Answer, false)]
    [InlineData(true, "200", FirstAction.Answer, false)]
    [InlineData(true, "304", FirstAction.Answer, false)]
    [InlineData(true, "400", FirstAction.TryNext, true)]
    [InlineData(true, "404", FirstAction.TryNext, true)]
    [InlineData(true, "500", FirstAction.TryNext, false)]
    [InlineData(true, "599", FirstAction.TryNext, false)]
    public void First_of_two(bool idempotent, string outcome, FirstAction action, bool retrySafe)
    {
        var step = new FirstDecision(idempotent, 2).Next(Parse(outcome));
        Assert.Equal((action, retrySafe), (step.Action, step.RetrySafe));
        Assert.Equal(action switch { FirstAction.TryNext => 1, FirstAction.Answer => 0, _ => -1 }, step.Index);
    }

    [Theory]
    [InlineData(false, "404 unreached", "Answer 0 True")]
    [InlineData(false, "unreached 409", "Answer 1 True")]
    [InlineData(false, "409 404", "Answer 0 True")]
    [InlineData(false, "unreached unreached", "NothingReached -1 True")]
    [InlineData(false, "unreached lost", "AnswerLost -1 False")]
    [InlineData(false, "404 lost", "AnswerLost -1 False")]
    [InlineData(false, "404 500", "Answer 1 False")]
    [InlineData(false, "404 201", "Answer 1 False")]
    [InlineData(true, "500 404", "Answer 0 False")]
    [InlineData(true, "404 500", "Answer 0 False")]
    [InlineData(true, "lost unreached", "AnswerLost -1 False")]
    [InlineData(true, "lost 404", "Answer 1 False")]
    [InlineData(true, "500 lost", "Answer 0 False")]
    [InlineData(true, "500 200", "Answer 1 False")]
    public void Both_of_two(bool idempotent, string outcomes, string expected) => Assert.Equal(expected, Run(idempotent, outcomes.Split(' ')));

    /// <summary>All runs of up to four locations, against the rules stated over the whole list at once.</summary>
    [Fact]
    public void Every_run_of_up_to_four_follows_the_rules()
    {
        string[] outcomes = ["unreached", "lost", "200", "404", "500"];
        for (var count = 1; count <= 4; count++)
        {
            for (var code = 0; code < Math.Pow(outcomes.Length, count); code++)
            {
                var run = Enumerable.Range(0, count).Select(i => outcomes[code / (int)Math.Pow(outcomes.Length, i) % outcomes.Length]).ToArray();
                Assert.Equal(Expected(false, run), Run(false, run));
                Assert.Equal(Expected(true, run), Run(true, run));
            }
        }
    }

    [Fact]
    public void Ended_is_ended()
    {
        var decision = new FirstDecision(false, 3);
        decision.Next(AttemptOutcome.Answered(200));
        Assert.Throws<InvalidOperationException>(() => decision.Next(AttemptOutcome.NotReached));
        Assert.Throws<ArgumentOutOfRangeException>(() => new FirstDecision(false, 0));
    }

    private static string Run(bool idempotent, string[] outcomes)
    {
        var decision = new FirstDecision(idempotent, outcomes.Length);
        for (var i = 0; ; i++)
        {
            var step = decision.Next(Parse(outcomes[i]));
            if (step.Action != FirstAction.TryNext)
                return $"{step.Action} {step.Index} {step.RetrySafe}";
            Assert.Equal(i + 1, step.Index);
        }
    }

    private static string Expected(bool idempotent, string[] run)
    {
        string[] stops = idempotent ? ["200"] : ["200", "500", "lost"];
        var stop = Array.FindIndex(run, outcome => stops.Contains(outcome));
        var tried = stop < 0 ? run : run[..(stop + 1)];
        var safe = !tried.Any(outcome => outcome is "200" or "500" or "lost");
        var answer = stop >= 0 ? (run[stop] == "lost" ? -1 : stop) : Array.FindIndex(run, outcome => char.IsAsciiDigit(outcome[0]));
        var action = answer >= 0 ? "Answer" : safe ? "NothingReached" : "AnswerLost";
        return $"{action} {answer} {safe}";
    }

    private static AttemptOutcome Parse(string outcome) => outcome switch
    {
        "unreached" => AttemptOutcome.NotReached,
        "lost" => AttemptOutcome.Lost,
        _ => AttemptOutcome.Answered(int.Parse(outcome, System.Globalization.CultureInfo.InvariantCulture)),
    };
}
