using Cheops.Proto;
using Cheops.Raft;

namespace Cheops.Tests.Unit.Groups;

/// <summary>Where a leader finds that its group's lead belongs.</summary>
public sealed class LeadChoiceTests
{
    private static readonly GroupOptions Options = new();

    private readonly LeadChoice _choice = new(Options);
    private TimeSpan _now = TimeSpan.FromHours(1);

    [Fact]
    public void It_belongs_to_the_site_that_clearly_sends_most_of_the_operations()
    {
        Send(("B", Bounds.GroupLeadOperationsMin - 1));
        Assert.Null(Better("A"));
        Send(("B", 1));
        Assert.Equal("B", Better("A"));
        Assert.Null(Better("B"));
        Send(("A", Bounds.GroupLeadOperationsMin / 2));
        Assert.Null(Better("A"));
        Send(("B", 1));
        Assert.Equal("B", Better("A"));
    }

    [Fact]
    public void Of_three_sites_that_send_none_has_enough()
    {
        for (var i = 0; i < 1000; i++)
        {
            Send(("A", 1), ("B", 2), ("C", 1));
            Assert.Null(Better("A"));
        }
    }

    [Fact]
    public void What_was_sent_long_ago_does_not_count()
    {
        Send(("B", 100));
        Pass(Options.LeadWindow);
        Assert.Equal("B", Better("A"));
        Pass(3 * Options.LeadWindow);
        Assert.Null(Better("A"));
        Send(("C", Bounds.GroupLeadOperationsMin));
        Assert.Equal("C", Better("A"));
    }

    [Fact]
    public void A_leader_stays_for_a_while_and_longer_where_a_person_asked_for_it()
    {
        _choice.Stay(_now);
        AssertStays(Options.LeadTimeMin);
        _choice.Asked(_now);
        _choice.Stay(_now);
        AssertStays(Options.LeadAskedTime);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(700)]
    [InlineData(10_000)]
    [InlineData(30_000)]
    public void Sites_that_take_turns_do_not_move_it(int turnMs)
    {
        // Ten operations a second, for an hour.
        var (leader, moves) = ("A", 0);
        for (var i = 0; i < 36_000; i++)
        {
            Pass(TimeSpan.FromMilliseconds(100));
            Send((i * 100 / turnMs % 2 == 0 ? "A" : "B", 1));
            if (Better(leader) is not { } better) continue;
            (leader, moves) = (better, moves + 1);
            _choice.Stay(_now);
        }

        // While one has only begun it may look as if it were alone.
        Assert.InRange(moves, 0, 1);
    }

    [Fact]
    public void Where_the_load_moves_it_follows_but_never_faster_than_leaders_stay()
    {
        var (leader, moves) = ("A", new List<TimeSpan>());
        for (var i = 0; i < 36_000; i++)
        {
            Pass(TimeSpan.FromMilliseconds(100));
            Send((i / 3000 % 2 == 0 ? "B" : "A", 1));
            if (Better(leader) is not { } better) continue;
            leader = better;
            moves.Add(_now);
            _choice.Stay(_now);
        }

        Assert.Equal(12, moves.Count);
        Assert.All(moves.Zip(moves.Skip(1)), pair => Assert.True(pair.Second - pair.First >= Options.LeadTimeMin));
    }

    private string? Better(string leader) => _choice.Better(leader, _now);

    private void Pass(TimeSpan time) => _now += time;

    private void Send(params (string Site, int Count)[] sent)
    {
        foreach (var (site, count) in sent)
        {
            for (var i = 0; i < count; i++) _choice.Count(site, _now);
        }
    }

    private void AssertStays(TimeSpan time)
    {
        Pass(time - TimeSpan.FromMilliseconds(1));
        Send(("B", 100));
        Assert.Null(Better("A"));
        Pass(TimeSpan.FromMilliseconds(1));
        Assert.Equal("B", Better("A"));
    }
}
