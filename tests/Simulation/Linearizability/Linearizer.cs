namespace Cheops.Tests.Simulation.Linearizability;

/// <summary>Whether a history is linearizable.</summary>
/// <param name="IsLinearizable">Whether an order was found in which a single object would have given all these answers.</param>
/// <param name="Order">The order, as places in the history; where there is none, the longest beginning of one that was found.</param>
public sealed record LinearizationResult(bool IsLinearizable, IReadOnlyList<int> Order);

/// <summary>
/// Decides linearizability as Wing and Gong do it, with Lowe's memory of what was tried: a set of calls that have taken
/// effect, with the state they lead to, is looked at once. Time and memory may grow exponentially with how many calls
/// overlap, so histories are checked per object.
/// </summary>
public static class Linearizer
{
    /// <summary>Looks for an order of <paramref name="calls"/> that respects which ended before which began.</summary>
    public static LinearizationResult Check<TState, TInput, TOutput>(
        ISequentialModel<TState, TInput, TOutput> model, IReadOnlyList<Call<TInput, TOutput>> calls)
    {
        var answered = calls.Count(call => !call.IsOpen);
        var tried = new HashSet<Tried<TState>>();
        var path = new Stack<(int Call, TState Before, Taken Taken)>();
        var longest = new List<int>();
        var state = model.Initial;
        var taken = new Taken(calls.Count);
        var next = 0;
        while (true)
        {
            if (path.Count(step => !calls[step.Call].IsOpen) == answered) return new LinearizationResult(true, Places(path));
            var found = Candidate(model, calls, taken, state, tried, next, out var after);
            if (found >= 0)
            {
                path.Push((found, state, taken));
                (state, taken, next) = (after!, taken.With(found), 0);
                if (path.Count > longest.Count) longest = Places(path);
                continue;
            }

            if (!path.TryPop(out var last)) return new LinearizationResult(false, longest);
            (state, taken, next) = (last.Before, last.Taken, last.Call + 1);
        }
    }

    private static List<int> Places<TState>(Stack<(int Call, TState, Taken)> path) => [.. path.Select(step => step.Call).Reverse()];

    // The next call that may take effect now: none of those left ended before it began, and the object answers as it was
    // answered.
    private static int Candidate<TState, TInput, TOutput>(
        ISequentialModel<TState, TInput, TOutput> model, IReadOnlyList<Call<TInput, TOutput>> calls, Taken taken, TState state, HashSet<Tried<TState>> tried, int from, out TState? after)
    {
        var firstEnd = long.MaxValue;
        for (var at = 0; at < calls.Count; at++)
        {
            if (!taken.Has(at)) firstEnd = Math.Min(firstEnd, calls[at].Ended);
        }

        for (var at = from; at < calls.Count; at++)
        {
            if (taken.Has(at) || calls[at].Begun > firstEnd) continue;
            var (output, next) = model.Step(state, calls[at].Input);
            if (!calls[at].IsOpen && !EqualityComparer<TOutput>.Default.Equals(output, calls[at].Output)) continue;
            if (!tried.Add(new Tried<TState>(taken.With(at), next))) continue;
            after = next;
            return at;
        }

        after = default;
        return -1;
    }

    private readonly record struct Tried<TState>(Taken Taken, TState State);

    // A set of calls, compared by what is in it.
    private readonly struct Taken : IEquatable<Taken>
    {
        private readonly ulong[] _bits;

        public Taken(int count) => _bits = new ulong[(count + 63) / 64];

        private Taken(ulong[] bits) => _bits = bits;

        public bool Has(int at) => (_bits[at / 64] >> (at % 64) & 1) != 0;

        public Taken With(int at)
        {
            var bits = (ulong[])_bits.Clone();
            bits[at / 64] |= 1UL << (at % 64);
            return new Taken(bits);
        }

        public bool Equals(Taken other) => _bits.AsSpan().SequenceEqual(other._bits);

        public override bool Equals(object? obj) => obj is Taken other && Equals(other);

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            foreach (var word in _bits) hash.Add(word);
            return hash.ToHashCode();
        }
    }
}
