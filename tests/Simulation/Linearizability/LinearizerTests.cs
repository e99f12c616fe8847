using CsCheck;

namespace Cheops.Tests.Simulation.Linearizability;

/// <summary>The decision of linearizability, against known histories and against trying every order.</summary>
public sealed class LinearizerTests
{
    private static readonly RegisterModel Register = new();

    private static readonly string[] Values = ["", "x", "y"];

    private static Call<string?, string> Write(string value, long begun, long ended) => new(value, begun, value, ended);

    private static Call<string?, string> Read(string value, long begun, long ended) => new(null, begun, value, ended);

    private static bool Holds(params Call<string?, string>[] calls) => Linearizer.Check(Register, calls).IsLinearizable;

    [Fact]
    public void A_read_sees_the_write_that_ended_before_it()
    {
        Assert.True(Holds(Write("x", 0, 1), Read("x", 2, 3)));
        Assert.False(Holds(Write("x", 0, 1), Read("", 2, 3)));
    }

    [Fact]
    public void A_read_may_see_a_write_under_way_or_not_but_not_first_the_one_and_then_the_other()
    {
        Assert.True(Holds(Write("x", 0, 9), Read("", 1, 2), Read("x", 3, 4)));
        Assert.False(Holds(Write("x", 0, 9), Read("x", 1, 2), Read("", 3, 4)));
    }

    [Fact]
    public void A_call_that_was_never_answered_may_have_taken_effect_at_any_time_or_never()
    {
        Assert.True(Holds(Write("x", 0, long.MaxValue), Read("", 5, 6), Read("x", 7, 8)));
        Assert.True(Holds(Write("x", 0, long.MaxValue), Read("", 5, 6)));
        Assert.False(Holds(Write("x", 0, long.MaxValue), Read("x", 5, 6), Read("", 7, 8)));
    }

    [Fact]
    public void A_log_gives_each_place_once_and_loses_nothing()
    {
        var log = new LogModel(0);
        Assert.True(Linearizer.Check(log, [new(true, 0, 1, 9), new(true, 1, 0, 8), new(false, 10, 2, 11)]).IsLinearizable);
        Assert.False(Linearizer.Check(log, [new(true, 0, 0, 9), new(true, 1, 0, 8)]).IsLinearizable);
        Assert.False(Linearizer.Check(log, [new(true, 0, 0, 1), new(false, 2, 0, 3)]).IsLinearizable);
    }

    [Fact]
    public void Where_there_is_no_order_the_longest_beginning_is_told()
    {
        var result = Linearizer.Check(Register, [Write("x", 0, 1), Read("x", 2, 3), Read("y", 4, 5)]);
        Assert.False(result.IsLinearizable);
        Assert.Equal([0, 1], result.Order);
    }

    private static readonly Gen<Call<string?, string>[]> SmallHistories =
        Gen.Select(Gen.Int[0, 2].Select(one => one == 0 ? null : Values[one]), Gen.Long[0, 6], Gen.Int[0, 2].Select(one => Values[one]), Gen.Int[0, 7])
            .Select((input, begun, output, length) => new Call<string?, string>(input, begun, input ?? output, length == 7 ? long.MaxValue : begun + length))
            .Array[0, 6];

    [Fact]
    public void It_agrees_with_trying_every_order() =>
        SmallHistories.Sample(calls => Assert.Equal(AnyOrderHolds(calls), Holds(calls)), iter: 5_000);

    // Every order of the answered calls with any of the open ones, taken literally from the definition.
    private static bool AnyOrderHolds(Call<string?, string>[] calls)
    {
        return Try([], "");

        bool Try(List<int> order, string state)
        {
            if (Enumerable.Range(0, calls.Length).All(at => calls[at].IsOpen || order.Contains(at))) return true;
            return Enumerable.Range(0, calls.Length).Where(at => !order.Contains(at)).Any(at =>
            {
                if (Enumerable.Range(0, calls.Length).Any(other => !order.Contains(other) && calls[other].Ended < calls[at].Begun)) return false;
                var (output, next) = Register.Step(state, calls[at].Input);
                return (calls[at].IsOpen || output == calls[at].Output) && Try([.. order, at], next);
            });
        }
    }

    [Fact]
    public void Histories_of_a_real_register_are_always_linearizable()
    {
        var calls = Gen.Select(Gen.Bool, Gen.Int[0, 20], Gen.Int[0, 20]);
        calls.Array[1, 40].Sample(made =>
        {
            // Each call takes effect at its own time, in the order of the array, and lasts around it.
            var state = "";
            var history = new List<Call<string?, string>>();
            foreach (var (at, (reads, before, after)) in made.Index())
            {
                var (output, next) = Register.Step(state, reads ? null : $"v{at}");
                state = next;
                history.Add(new(reads ? null : $"v{at}", 100 * at - before * 10, output, 100 * at + after * 10));
            }

            Assert.True(Linearizer.Check(Register, history).IsLinearizable);
        }, iter: 500);
    }
}
