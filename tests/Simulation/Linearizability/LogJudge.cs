namespace Cheops.Tests.Simulation.Linearizability;

/// <summary>
/// Whether a history may be one of a single log. What machines were given tells the log's content, and so the place of every
/// proposal, also of one that nobody was told of: what is left to find is an order in time, and that is looked for in windows
/// between moments in which nothing was under way.
/// </summary>
public static class LogJudge
{
    /// <summary>Calls in a window; where more overlap, the order between windows is not looked at.</summary>
    public const int WindowMax = 500;

    /// <summary>What is wrong with a history; empty when nothing is.</summary>
    public static IReadOnlyList<string> Judge(LogHistory history)
    {
        var (calls, given) = (history.Calls, history.Given);
        var log = new SortedDictionary<long, Place>();
        var wrong = new List<string>();
        foreach (var one in given)
        {
            if (!log.TryGetValue(one.Index, out var place)) log.Add(one.Index, place = new Place(one.Entry));
            if (place.Entry != one.Entry) wrong.Add($"{one.Site} was given {one.Entry} at place {one.Index}, where others were given {place.Entry}");
            place.GivenAt = Math.Min(place.GivenAt, one.At);
        }

        wrong.AddRange(Skipped(given, log));
        if (wrong.Count > 0) return wrong;

        // Whoever was given an entry was given all before it.
        var (left, earliest) = (log.Count, long.MaxValue);
        foreach (var place in log.Values.Reverse())
        {
            place.Rank = --left;
            earliest = place.GivenAt = Math.Min(earliest, place.GivenAt);
        }

        wrong.AddRange(Claim(calls, log));
        return wrong.Count > 0 ? wrong : [.. WindowsOf(Placed(calls, log)).Select(OrderOf).OfType<string>()];
    }

    private sealed class Place(string entry)
    {
        public string Entry => entry;

        /// <summary>When it was committed at the latest.</summary>
        public long GivenAt { get; set; } = long.MaxValue;

        public int Rank { get; set; }

        /// <summary>Whose it is.</summary>
        public LogCall? Call { get; set; }
    }

    private sealed record PlacedCall(LogCall Call, Call<bool, int> Timed);

    private static IEnumerable<string> Skipped(IReadOnlyList<GivenEntry> given, SortedDictionary<long, Place> log)
    {
        long[] places = [.. log.Keys];
        foreach (var one in given)
        {
            if (one.Index <= one.Before)
            {
                yield return $"{one.Site} was given place {one.Index} after place {one.Before}";
                continue;
            }

            var next = Array.BinarySearch(places, one.Before + 1);
            if (places[next < 0 ? ~next : next] < one.Index) yield return $"{one.Site} was given place {one.Index} after place {one.Before}, and nothing of what is between";
        }
    }

    // Each entry of the log is of one proposal: of the one that was told its place, else of the first that it may be of.
    private static IEnumerable<string> Claim(IReadOnlyList<LogCall> calls, SortedDictionary<long, Place> log)
    {
        foreach (var call in calls.Where(call => call is { Entry: not null, IsOpen: false, IsRefused: false }))
        {
            if (!log.TryGetValue(call.Index, out var place)) yield return $"{call} is not in the log";
            else if (place.Entry != call.Entry) yield return $"{call} is not there: {place.Entry} is";
            else if (place.Call is { } other) yield return $"{call}, and so was {other}";
            else place.Call = call;
        }

        var open = calls.Where(call => call is { Entry: not null, IsOpen: true }).GroupBy(call => call.Entry!).ToDictionary(same => same.Key, same => new Queue<LogCall>(same));
        foreach (var (index, place) in log.Where(one => one.Value.Call is null))
        {
            if (open.TryGetValue(place.Entry, out var same) && same.TryPeek(out var first) && first.BegunAt < place.GivenAt) place.Call = same.Dequeue();
            else yield return $"{place.Entry} at place {index} was proposed by nobody, or by somebody who was told that it is not there";
        }
    }

    // What was committed when a machine was given it had taken effect by then. A read that saw a place saw all that stands before it.
    private static List<PlacedCall> Placed(IReadOnlyList<LogCall> calls, SortedDictionary<long, Place> log)
    {
        long[] places = [.. log.Keys];
        var placed = log.Values.Select(place => new PlacedCall(place.Call!, new(true, place.Call!.BegunAt, place.Rank, Math.Min(place.Call.AnsweredAt, place.GivenAt))));
        var reads = calls.Where(call => call is { Entry: null, IsOpen: false, IsRefused: false }).Select(call =>
        {
            var next = Array.BinarySearch(places, call.Index + 1);
            return new PlacedCall(call, new(false, call.BegunAt, next < 0 ? ~next : next, call.AnsweredAt));
        });

        // What sees so many entries comes before what adds the next one.
        return [.. placed.Concat(reads).OrderBy(one => one.Timed.Output).ThenBy(one => one.Timed.Input).ThenBy(one => one.Timed.Begun)];
    }

    private static IEnumerable<List<PlacedCall>> WindowsOf(List<PlacedCall> calls)
    {
        var begunAfter = new long[calls.Count + 1];
        begunAfter[^1] = long.MaxValue;
        for (var at = calls.Count - 1; at >= 0; at--) begunAfter[at] = Math.Min(begunAfter[at + 1], calls[at].Timed.Begun);
        var (window, ended) = (new List<PlacedCall>(), 0L);
        for (var at = 0; at < calls.Count; at++)
        {
            window.Add(calls[at]);
            ended = Math.Max(ended, calls[at].Timed.Ended);
            if (ended >= begunAfter[at + 1] && window.Count < WindowMax) continue;
            yield return window;
            window = [];
        }

        if (window.Count > 0) yield return window;
    }

    private static string? OrderOf(List<PlacedCall> window)
    {
        var result = Linearizer.Check(new LogModel(window[0].Timed.Output), [.. window.Select(one => one.Timed)]);
        if (result.IsLinearizable) return null;
        var left = window.Index().First(one => !result.Order.Contains(one.Index)).Item.Call;
        return $"no order explains {left}: after {(result.Order.Count == 0 ? "nothing" : $"{window[result.Order[^1]].Call}")}, of {window.Count} calls that overlap";
    }
}
