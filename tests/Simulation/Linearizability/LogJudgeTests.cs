namespace Cheops.Tests.Simulation.Linearizability;

/// <summary>Histories of one log, and one for each way in which a log may fail.</summary>
public sealed class LogJudgeTests
{
    private readonly LogHistory _history = new();
    private readonly Dictionary<string, long> _until = [];

    private void Give(long index, string entry, params string[] sites)
    {
        foreach (var site in sites)
        {
            _history.OnGiven(site, _until.GetValueOrDefault(site), index, entry);
            _until[site] = index;
        }
    }

    private void Propose(string entry, long index)
    {
        var call = _history.OnCalled("A", entry);
        Give(index, entry, "A");
        _history.OnAnswered(call, index);
    }

    private void Read(string site, long index) => _history.OnAnswered(_history.OnCalled(site, null), index);

    private void AssertWrong(string what) => Assert.Contains(LogJudge.Judge(_history), one => one.Contains(what, StringComparison.Ordinal));

    [Fact]
    public void A_history_of_one_log_is_one()
    {
        // Places may be left out: elections have some.
        var (x, y) = (_history.OnCalled("A", "x"), _history.OnCalled("B", "y"));
        var reads = _history.OnCalled("C", null);
        Give(2, "y", "A", "B");
        Give(3, "x", "A", "B");
        _history.OnAnswered(x, 3);
        _history.OnAnswered(y, 2);
        Give(2, "y", "C");
        _history.OnAnswered(reads, 2);
        Read("A", 3);
        Read("A", 4);
        Assert.Empty(LogJudge.Judge(_history));
    }

    [Fact]
    public void What_nobody_was_told_of_may_be_there_or_not_and_the_same_entry_twice()
    {
        foreach (var entry in new[] { "x", "x", "x", "y" }) _history.OnCalled("A", entry);
        _history.OnRefused(_history.OnCalled("A", "z"));
        Give(1, "x", "A");
        Propose("x", 2);
        Give(3, "x", "A");
        Read("A", 3);
        Assert.Empty(LogJudge.Judge(_history));
    }

    [Fact]
    public void An_acknowledged_entry_that_is_not_there_is_found()
    {
        _history.OnAnswered(_history.OnCalled("A", "x"), 1);
        AssertWrong("is not in the log");
    }

    [Fact]
    public void An_acknowledged_entry_in_whose_place_another_stands_is_found()
    {
        var lost = _history.OnCalled("A", "x");
        _history.OnAnswered(lost, 1);
        Propose("y", 1);
        AssertWrong("is not there: y is");
    }

    [Fact]
    public void Two_proposals_with_one_place_are_found()
    {
        Propose("x", 1);
        _history.OnAnswered(_history.OnCalled("B", "x"), 1);
        AssertWrong("and so was");
    }

    [Fact]
    public void An_entry_that_nobody_proposed_or_that_was_refused_is_found()
    {
        _history.OnRefused(_history.OnCalled("A", "x"));
        Give(1, "x", "A");
        AssertWrong("was proposed by nobody");
    }

    [Fact]
    public void An_entry_that_was_there_before_it_was_proposed_is_found()
    {
        Give(1, "x", "A");
        _history.OnCalled("A", "x");
        AssertWrong("was proposed by nobody");
    }

    [Fact]
    public void Machines_that_are_given_different_entries_are_found()
    {
        Propose("x", 1);
        Give(1, "y", "B");
        AssertWrong("where others were given x");
    }

    [Fact]
    public void A_machine_that_is_given_nothing_of_an_entry_is_found()
    {
        Propose("x", 1);
        Propose("y", 2);
        Give(2, "y", "B");
        AssertWrong("B was given place 2 after place 0, and nothing of what is between");
    }

    [Fact]
    public void A_machine_that_is_given_a_place_twice_is_found()
    {
        Propose("x", 1);
        Give(1, "x", "A");
        AssertWrong("A was given place 1 after place 1");
    }

    [Fact]
    public void A_read_that_does_not_see_what_was_acknowledged_before_it_is_found()
    {
        Propose("x", 1);
        Propose("y", 2);
        Read("B", 1);
        AssertWrong("no order explains");
    }

    [Fact]
    public void A_read_that_sees_less_than_one_before_it_is_found()
    {
        _history.OnCalled("A", "x");
        Give(1, "x", "A");
        Read("A", 1);
        Read("B", 0);
        AssertWrong("no order explains the read at B");
    }

    [Fact]
    public void A_later_proposal_with_an_earlier_place_is_found()
    {
        // Answered before it was committed, and overtaken.
        var first = _history.OnCalled("A", "x");
        _history.OnAnswered(first, 2);
        Propose("y", 1);
        Give(2, "x", "A");
        AssertWrong("no order explains");
    }

    [Fact]
    public void Long_histories_are_judged_in_windows()
    {
        for (var at = 1; at <= 5 * LogJudge.WindowMax; at++)
        {
            Propose($"e{at}", at);
            Read("A", at);
        }

        Assert.Empty(LogJudge.Judge(_history));
        Read("A", 5 * LogJudge.WindowMax - 1);
        AssertWrong("no order explains");
    }
}
