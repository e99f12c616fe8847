using System.Security.Cryptography;

namespace Cheops.Tests.Simulation.Linearizability;

/// <summary>
/// What was seen of one log, in the order in which it was seen: what callers proposed and read and when they were answered, and
/// what each machine was given. <see cref="LogJudge"/> tells whether it may be one log. Thread-safe.
/// </summary>
public sealed class LogHistory
{
    private readonly Lock _gate = new();
    private readonly List<LogCall> _calls = [];
    private readonly List<GivenEntry> _given = [];
    private readonly SortedSet<long> _places = [];
    private long _number;

    /// <summary>The calls, as they were begun.</summary>
    public IReadOnlyList<LogCall> Calls
    {
        get
        {
            lock (_gate) return [.. _calls];
        }
    }

    /// <summary>The entries that machines were given, as they were.</summary>
    public IReadOnlyList<GivenEntry> Given
    {
        get
        {
            lock (_gate) return [.. _given];
        }
    }

    /// <summary>Whether some machine was given an entry after one place and up to another.</summary>
    public bool IsGivenBetween(long after, long until)
    {
        lock (_gate) return after < until && _places.GetViewBetween(after + 1, until).Count > 0;
    }

    /// <summary>What an entry is called here.</summary>
    public static string NameOf(ReadOnlySpan<byte> entry) => Convert.ToHexStringLower(SHA256.HashData(entry).AsSpan(0, 8));

    /// <summary>A caller proposes an entry, or, without one, reads what its site's machine was given up to the moment of the call.</summary>
    /// <returns>The call's number.</returns>
    public int OnCalled(string site, string? entry) => Note(at =>
    {
        _calls.Add(new LogCall(site, entry, at));
        return _calls.Count - 1;
    });

    /// <summary>It is answered: a proposal with its place, a read with the last place that the machine was given; 0 for none.</summary>
    public void OnAnswered(int call, long index) => Note(at => _calls[call] = _calls[call] with { Index = index, AnsweredAt = at });

    /// <summary>It is answered that the entry surely is not in the log.</summary>
    public void OnRefused(int call) => Note(at => _calls[call] = _calls[call] with { IsRefused = true, AnsweredAt = at });

    /// <summary>A machine is given an entry: it is committed by then.</summary>
    /// <param name="site">The machine's site.</param>
    /// <param name="before">The place of what it was given before; 0 for nothing.</param>
    /// <param name="index">The entry's place.</param>
    /// <param name="entry">The entry.</param>
    public void OnGiven(string site, long before, long index, string entry) => Note(at =>
    {
        _given.Add(new GivenEntry(at, site, before, index, entry));
        _places.Add(index);
        return index;
    });

    private T Note<T>(Func<long, T> note)
    {
        lock (_gate) return note(++_number);
    }
}

/// <summary>A call on a log.</summary>
/// <param name="Site">Where.</param>
/// <param name="Entry">What is proposed; null for a read.</param>
/// <param name="BegunAt">When it began, as a number of the history.</param>
public sealed record LogCall(string Site, string? Entry, long BegunAt)
{
    /// <summary>When it was answered, as a number of the history; <see cref="long.MaxValue"/> for never, or that nobody knows.</summary>
    public long AnsweredAt { get; init; } = long.MaxValue;

    /// <summary>The place that it was answered with.</summary>
    public long Index { get; init; }

    /// <summary>Whether it was answered that the entry surely is not in the log.</summary>
    public bool IsRefused { get; init; }

    /// <summary>Whether nobody was told what became of it.</summary>
    public bool IsOpen => AnsweredAt == long.MaxValue;

    /// <inheritdoc/>
    public override string ToString() => Entry is null
        ? $"the read at {Site} ({BegunAt} to {AnsweredAt}) that saw the log up to {Index}"
        : $"the proposal of {Entry} at {Site} ({BegunAt} to {AnsweredAt}) that was told place {Index}";
}

/// <summary>An entry that a machine was given.</summary>
/// <param name="At">When, as a number of the history.</param>
/// <param name="Site">The machine's site.</param>
/// <param name="Before">The place of what it was given before; 0 for nothing.</param>
/// <param name="Index">Its place.</param>
/// <param name="Entry">The entry.</param>
public sealed record GivenEntry(long At, string Site, long Before, long Index, string Entry);
