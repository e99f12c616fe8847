using System.Buffers;
using System.Collections.Immutable;
using Cheops.Proto;

namespace Cheops.Store.Table;

/// <summary>
/// The in-memory twin of <see cref="FasterReplicantTable"/>, for simulating whole agents: nothing of it depends on threads
/// or time, and it fails to order.
/// </summary>
public sealed class MemoryReplicantTable : IReplicantTable
{
    private static readonly ImmutableSortedDictionary<byte[], byte[]> Empty =
        ImmutableSortedDictionary.Create<byte[], byte[]>(Comparer<byte[]>.Create(static (a, b) => a.AsSpan().SequenceCompareTo(b)));

    private readonly Lock _gate = new();
    private ImmutableSortedDictionary<byte[], byte[]> _now = Empty;
    private ImmutableSortedDictionary<byte[], byte[]> _checkpoint = Empty;
    private ReadOnlyMemory<byte> _lastMark;
    private long _bytes;
    private bool _failed;
    private bool _closed;

    /// <summary>Bytes of keys and values that there is room for.</summary>
    public long Capacity { get; set; } = long.MaxValue;

    /// <inheritdoc/>
    public ReadOnlyMemory<byte> Mark { get; private init; }

    /// <inheritdoc/>
    public string? Damage { get; private init; }

    /// <inheritdoc/>
    public long Count => _now.Count;

    /// <inheritdoc/>
    public long DiskBytes => _bytes;

    /// <summary>The disk fails: nothing more is written, reads go on.</summary>
    public void Fail() => _failed = true;

    /// <summary>The power goes: gives the table as the next start finds it, and lets nothing more be written to this one.</summary>
    /// <param name="damage">What the next start finds wrong: it then begins with an empty table.</param>
    public MemoryReplicantTable Crash(string? damage = null)
    {
        Fail();
        lock (_gate)
        {
            if (damage is not null) return new MemoryReplicantTable { Capacity = Capacity, Damage = damage };
            return new MemoryReplicantTable
            {
                Capacity = Capacity,
                Mark = _lastMark,
                _lastMark = _lastMark,
                _now = _checkpoint,
                _checkpoint = _checkpoint,
                _bytes = _checkpoint.Sum(static entry => (long)entry.Key.Length + entry.Value.Length),
            };
        }
    }

    /// <inheritdoc/>
    public bool MayHold(ReadOnlySpan<byte> key) => _now.ContainsKey(key.ToArray());

    /// <inheritdoc/>
    public bool TryGet(ReadOnlySpan<byte> key, IBufferWriter<byte> value)
    {
        CheckKey(key);
        if (_closed) throw Closed();
        if (!_now.TryGetValue(key.ToArray(), out var found)) return false;
        value.Write(found);
        return true;
    }

    /// <inheritdoc/>
    public void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        CheckKey(key);
        if (value.Length > Bounds.TableValueSizeMax)
            throw new TableException(TableError.TooLarge, $"a value has at most {Bounds.TableValueSizeMax} bytes, not {value.Length}");
        lock (_gate)
        {
            ThrowIfFailed();
            var bytes = _bytes + value.Length + key.Length - Size(key);
            if (bytes > Capacity) throw new TableException(TableError.Full, "the simulated disk is full");
            _now = _now.SetItem(key.ToArray(), value.ToArray());
            _bytes = bytes;
        }
    }

    /// <inheritdoc/>
    public void Remove(ReadOnlySpan<byte> key)
    {
        CheckKey(key);
        lock (_gate)
        {
            ThrowIfFailed();
            _bytes -= Size(key);
            _now = _now.Remove(key.ToArray());
        }
    }

    /// <inheritdoc/>
    public void Visit(ReadOnlySpan<byte> prefix, TableVisitor visitor)
    {
        if (_closed) throw Closed();
        foreach (var (key, value) in _now)
        {
            if (key.AsSpan().StartsWith(prefix) && !visitor(key, value)) return;
        }
    }

    /// <inheritdoc/>
    public ValueTask CheckpointAsync(ReadOnlyMemory<byte> mark, CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        if (mark.Length > Bounds.TableMarkSizeMax)
            throw new TableException(TableError.TooLarge, $"a mark has at most {Bounds.TableMarkSizeMax} bytes, not {mark.Length}");
        lock (_gate)
        {
            ThrowIfFailed();
            (_checkpoint, _lastMark) = (_now, mark.ToArray());
        }

        return ValueTask.CompletedTask;
    }

    private long Size(ReadOnlySpan<byte> key) => _now.TryGetValue(key.ToArray(), out var value) ? key.Length + value.Length : 0;

    private static void CheckKey(ReadOnlySpan<byte> key)
    {
        if (key.Length is < 1 or > Bounds.TableKeySizeMax)
            throw new TableException(TableError.TooLarge, $"a key has 1 to {Bounds.TableKeySizeMax} bytes, not {key.Length}");
    }

    private void ThrowIfFailed()
    {
        if (_closed) throw Closed();
        if (_failed) throw new TableException(TableError.Failed, "the simulated disk of the replicant table failed");
    }

    private static TableException Closed() => new(TableError.Failed, "the replicant table is closed");

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _closed = true;
        return ValueTask.CompletedTask;
    }
}
