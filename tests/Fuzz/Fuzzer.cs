namespace Cheops.Tests.Fuzz;

/// <summary>What a run found.</summary>
/// <param name="Executions">Inputs that were tried.</param>
/// <param name="Outcomes">Different outcomes that were met.</param>
/// <param name="Edges">Different pairs of branches that were taken; 0 where the code is not instrumented.</param>
/// <param name="Crash">What failed, if anything did; the run ends there.</param>
/// <param name="CrashInput">The input that did it, made as small as was found.</param>
public sealed record FuzzReport(long Executions, int Outcomes, int Edges, Exception? Crash, byte[] CrashInput);

/// <summary>
/// Tries inputs made by mutating those that gave something new: another outcome or, where the product's code is
/// instrumented, another branch. The same seed gives the same run.
/// </summary>
public sealed class Fuzzer
{
    private const int CorpusCountMax = 4096;
    private const int InputSizeMax = 80 * 1024;

    private readonly IFuzzTarget _target;
    private readonly Random _random;
    private readonly Mutator _mutator;
    private readonly List<byte[]> _corpus = [];
    private readonly List<byte[]> _reaching = [];
    private readonly HashSet<int> _outcomes = [];
    private readonly Coverage _coverage = new();

    /// <summary>Prepares a run.</summary>
    /// <param name="target">What is checked.</param>
    /// <param name="seed">Decides every choice.</param>
    /// <param name="more">Further inputs to start from.</param>
    public Fuzzer(IFuzzTarget target, int seed, IEnumerable<byte[]>? more = null)
    {
        _target = target;
        _random = new Random(seed);
        _mutator = new Mutator(_random, target.Words);
        Starts = [.. target.Seeds, .. Corpus.Of(target), .. more ?? []];
    }

    /// <summary>
    /// The inputs that took new branches, and those from which the run started: they stay, while of those that only had another
    /// outcome later ones take the place of earlier ones.
    /// </summary>
    public IReadOnlyList<byte[]> Kept => [.. Starts, .. _reaching];

    private byte[][] Starts { get; }

    /// <summary>Tries so many inputs, the seeds first, or until <paramref name="goesOn"/> says no.</summary>
    public FuzzReport Run(long executionsMax, Func<bool>? goesOn = null)
    {
        for (long executions = 1; executions <= executionsMax; executions++)
        {
            var input = executions <= Starts.Length ? Starts[executions - 1] : Next();
            if (Try(input) is { } crash)
            {
                var smaller = Shrink(input, crash.GetType());
                return Report(executions, Try(smaller) ?? crash, smaller);
            }

            if (goesOn is not null && executions % 64 == 0 && !goesOn()) return Report(executions, null, []);
        }

        return Report(executionsMax, null, []);
    }

    private FuzzReport Report(long executions, Exception? crash, byte[] input) => new(executions, _outcomes.Count, _coverage.Edges, crash, input);

    private byte[] Next()
    {
        var input = _mutator.Mutate(Pick(), Pick());
        return input.Length <= InputSizeMax ? input : input[..InputSizeMax];
    }

    // Half of the time one of those found last: what is new leads on to what is newer. Long inputs are slow to check
    // and say little more, so they are taken seldom.
    private byte[] Pick()
    {
        while (true)
        {
            var input = _random.Next(2) == 0 ? _corpus[_random.Next(_corpus.Count)] : _corpus[_random.Next(Math.Max(0, _corpus.Count - 64), _corpus.Count)];
            if (input.Length < 1024 || _random.Next(input.Length / 256) == 0) return input;
        }
    }

    private Exception? Try(byte[] input)
    {
        try
        {
            Coverage.Begin();
            var isNew = _outcomes.Add(_target.Run(input));
            var reaches = _coverage.Take();
            if (reaches) _reaching.Add(input);
            if (isNew || reaches || _corpus.Count < Starts.Length) Keep(input);
            return null;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return e;
        }
    }

    private void Keep(byte[] input)
    {
        if (_corpus.Count < CorpusCountMax) _corpus.Add(input);
        else _corpus[_random.Next(CorpusCountMax)] = input;
    }

    // Takes pieces out, large ones first, as long as it still fails in the same way.
    private byte[] Shrink(byte[] input, Type failure)
    {
        var tries = 0;
        for (var size = input.Length / 2; size > 0; size /= 2)
        {
            for (var at = 0; at + size <= input.Length && tries < 5000; tries++)
            {
                byte[] smaller = [.. input.AsSpan(0, at), .. input.AsSpan(at + size)];
                if (Try(smaller)?.GetType() == failure) input = smaller;
                else at += size;
            }
        }

        return input;
    }
}
