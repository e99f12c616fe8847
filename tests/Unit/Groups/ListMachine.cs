using System.Runtime.CompilerServices;
using System.Text;
using Cheops.Raft;

namespace Cheops.Tests.Unit.Groups;

/// <summary>A machine that remembers what it was given. Its list is what survives a crash, as a checkpoint does.</summary>
public sealed class ListMachine(List<(long Index, string Entry)>? checkpoint = null) : IGroupMachine
{
    private readonly Lock _gate = new();
    private readonly List<(long Index, string Entry)> _applied = [.. checkpoint ?? []];

    private readonly List<string> _seen = [];

    public long ReplayFrom { get; set; } = checkpoint is { Count: > 0 } ? checkpoint[^1].Index + 1 : 1;

    public int Replayed { get; private set; }

    public int ReplayedEntries { get; private set; }

    public long SeenUntil { get; private set; }

    public List<(long Index, string Entry)> Applied
    {
        get
        {
            lock (_gate) return [.. _applied];
        }
    }

    /// <summary>What the log held at the start beyond what was known as committed.</summary>
    public List<string> Seen
    {
        get
        {
            lock (_gate) return [.. _seen];
        }
    }

    public List<string> Entries => [.. Applied.Select(a => a.Entry)];

    public ValueTask ApplyAsync(long index, ReadOnlyMemory<byte> entry, bool isReplay)
    {
        lock (_gate)
        {
            Assert.True(_applied.Count == 0 || _applied[^1].Index < index, $"entry {index} after {_applied.LastOrDefault().Index}");
            if (isReplay) Assert.Equal(0, Replayed);
            if (isReplay) ReplayedEntries++;
            _applied.Add((index, Encoding.ASCII.GetString(entry.Span)));
        }

        return ValueTask.CompletedTask;
    }

    public long ForgottenUntil { get; private set; }

    public void Forgot(long until) => ForgottenUntil = until;

    public ValueTask SeenAsync(ReadOnlyMemory<byte> entry)
    {
        Assert.Equal(0, Replayed);
        lock (_gate) _seen.Add(Encoding.ASCII.GetString(entry.Span));
        return ValueTask.CompletedTask;
    }

    public ValueTask ReplayedAsync(long seenUntil)
    {
        SeenUntil = seenUntil;
        Replayed++;
        return ValueTask.CompletedTask;
    }

    public async IAsyncEnumerable<ReadOnlyMemory<byte>> CaptureAsync([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        foreach (var (index, entry) in Applied)
        {
            await Task.Yield();
            yield return Encoding.ASCII.GetBytes($"{index} {entry}");
        }
    }

    public async ValueTask RestoreAsync(
        long index, IAsyncEnumerable<ReadOnlyMemory<byte>> pieces, CancellationToken cancellation = default)
    {
        var restored = new List<(long, string)>();
        await foreach (var piece in pieces.WithCancellation(cancellation))
        {
            var text = Encoding.ASCII.GetString(piece.Span);
            var space = text.IndexOf(' ', StringComparison.Ordinal);
            restored.Add((long.Parse(text[..space], null), text[(space + 1)..]));
        }

        lock (_gate)
        {
            _applied.Clear();
            _applied.AddRange(restored);
            ReplayFrom = index + 1;
        }
    }
}
