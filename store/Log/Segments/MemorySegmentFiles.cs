namespace Cheops.Store.Log.Segments;

/// <summary>
/// The in-memory twin of <see cref="DiskSegmentFiles"/>: a disk that loses what was not synced, tears writes at sectors,
/// flips bits, becomes full and fails, all to order.
/// </summary>
/// <param name="segmentSize">Bytes of a segment.</param>
public sealed class MemorySegmentFiles(int segmentSize) : ISegmentFiles
{
    private const int SectorSize = 512;

    private readonly Lock _gate = new();
    private readonly SortedDictionary<int, Segment> _segments = [];
    private readonly byte[][] _slots = [new byte[ISegmentFiles.SlotSize], new byte[ISegmentFiles.SlotSize]];
    private readonly HashSet<int> _written = [];
    private bool _off;

    /// <summary>Most segments that there is room for.</summary>
    public int SegmentsMax { get; set; } = int.MaxValue;

    /// <summary>Makes every write fail as a broken disk does, while set.</summary>
    public bool FailWrites { get; set; }

    /// <summary>Makes every sync, and so every commit, fail, while set.</summary>
    public bool FailSyncs { get; set; }

    /// <summary>Makes every read fail, while set.</summary>
    public bool FailReads { get; set; }

    /// <summary>How often data was made durable.</summary>
    public int Syncs { get; private set; }

    /// <summary>
    /// The power goes: gives the disk as the next start finds it, and lets nothing more reach this one. Each sector
    /// written and not synced is there or not, as chance says.
    /// </summary>
    public MemorySegmentFiles Crash(Random chance)
    {
        lock (_gate)
        {
            _off = true;
            var after = new MemorySegmentFiles(segmentSize) { SegmentsMax = SegmentsMax };
            foreach (var (number, segment) in _segments) after._segments[number] = segment.After(chance);
            for (var i = 0; i < 2; i++) _slots[i].CopyTo(after._slots[i], 0);
            return after;
        }
    }

    /// <summary>
    /// The process is killed: gives the disk as the next one finds it, with all that was written, and lets nothing more reach this one.
    /// What was not synced may still be lost when the power goes, and a sync of the next process is only of segments that it writes to.
    /// </summary>
    public MemorySegmentFiles Kill()
    {
        lock (_gate)
        {
            _off = true;
            var after = new MemorySegmentFiles(segmentSize) { SegmentsMax = SegmentsMax };
            foreach (var (number, segment) in _segments) after._segments[number] = segment.Clone();
            for (var i = 0; i < 2; i++) _slots[i].CopyTo(after._slots[i], 0);
            return after;
        }
    }

    /// <summary>Flips one bit of a segment, on the disk itself.</summary>
    public void FlipBit(int segment, long offset, int bit)
    {
        lock (_gate) _segments[segment].Flip((int)offset, bit);
    }

    /// <summary>Flips one bit of a slot.</summary>
    public void FlipSlotBit(int slot, int offset, int bit)
    {
        lock (_gate) _slots[slot][offset] ^= (byte)(1 << bit);
    }

    /// <inheritdoc/>
    public long Room
    {
        get
        {
            lock (_gate) return Math.Max(0L, SegmentsMax - _segments.Count) * segmentSize;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<int> List()
    {
        lock (_gate) return [.. _segments.Keys];
    }

    /// <inheritdoc/>
    public void Reserve(int segment)
    {
        lock (_gate)
        {
            CheckOn(FailWrites);
            if (_segments.ContainsKey(segment)) return;
            if (_segments.Count >= SegmentsMax) throw new SegmentsFullException("the simulated disk is full");
            _segments[segment] = new Segment(segmentSize);
        }
    }

    /// <inheritdoc/>
    public void Write(int segment, long offset, ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            CheckOn(FailWrites);
            if (!_segments.TryGetValue(segment, out var found)) throw new IOException($"segment {segment} is gone");
            found.Write((int)offset, bytes);
            _written.Add(segment);
        }
    }

    /// <inheritdoc/>
    public void Read(int segment, long offset, Span<byte> bytes)
    {
        lock (_gate)
        {
            if (FailReads) throw new IOException("the simulated disk fails");
            if (_segments.TryGetValue(segment, out var found)) found.Read((int)offset, bytes);
            else bytes.Clear();
        }
    }

    /// <inheritdoc/>
    public void Sync()
    {
        lock (_gate)
        {
            CheckOn(FailSyncs);
            foreach (var segment in _written.Where(_segments.ContainsKey)) _segments[segment].Sync();
            _written.Clear();
            Syncs++;
        }
    }

    /// <inheritdoc/>
    public void Remove(int segment)
    {
        lock (_gate)
        {
            if (!_off) _segments.Remove(segment);
        }
    }

    /// <inheritdoc/>
    public void WriteSlot(int slot, ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            CheckOn(FailSyncs);
            bytes[..ISegmentFiles.SlotSize].CopyTo(_slots[slot]);
        }
    }

    /// <inheritdoc/>
    public void ReadSlot(int slot, Span<byte> bytes)
    {
        lock (_gate) _slots[slot].CopyTo(bytes);
    }

    private void CheckOn(bool fails)
    {
        if (_off) throw new IOException("the simulated power is off");
        if (fails) throw new IOException("the simulated disk fails");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private sealed class Segment(int size)
    {
        private readonly byte[] _current = new byte[size];
        private readonly byte[] _synced = new byte[size];
        private readonly SortedSet<int> _dirtySectors = [];

        public void Write(int offset, ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(_current.AsSpan(offset));
            if (bytes.IsEmpty) return;
            for (var sector = offset / SectorSize; sector <= (offset + bytes.Length - 1) / SectorSize; sector++) _dirtySectors.Add(sector);
        }

        public void Read(int offset, Span<byte> bytes)
        {
            var there = Math.Clamp(_current.Length - offset, 0, bytes.Length);
            _current.AsSpan(offset, there).CopyTo(bytes);
            bytes[there..].Clear();
        }

        public void Sync()
        {
            foreach (var sector in _dirtySectors) CopySector(sector, _synced);
            _dirtySectors.Clear();
        }

        public Segment Clone()
        {
            var clone = new Segment(_current.Length);
            _current.CopyTo(clone._current, 0);
            _synced.CopyTo(clone._synced, 0);
            clone._dirtySectors.UnionWith(_dirtySectors);
            return clone;
        }

        public Segment After(Random chance)
        {
            var after = new Segment(_current.Length);
            _synced.CopyTo(after._synced, 0);
            foreach (var sector in _dirtySectors)
            {
                if (chance.Next(2) == 0) CopySector(sector, after._synced);
            }

            after._synced.CopyTo(after._current, 0);
            return after;
        }

        public void Flip(int offset, int bit)
        {
            _current[offset] ^= (byte)(1 << bit);
            _synced[offset] ^= (byte)(1 << bit);
        }

        private void CopySector(int sector, byte[] to)
        {
            var at = sector * SectorSize;
            var count = Math.Min(SectorSize, _current.Length - at);
            _current.AsSpan(at, count).CopyTo(to.AsSpan(at));
        }
    }
}
