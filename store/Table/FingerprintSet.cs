namespace Cheops.Store.Table;

/// <summary>
/// Which keys may be in a table: 32 bits of the hash of each that is there. One thread writes, any read without waiting
/// for it; a reader finds each key that was added before it began and is not removed before it ends.
/// </summary>
/// <remarks>
/// Open addressing in shards that grow one by one, so that no write rehashes more than one of them. An entry never moves
/// within its array: a reader that is on its way cannot miss it. Two keys with one fingerprint have two entries.
/// </remarks>
internal sealed class FingerprintSet
{
    private const int ShardBits = 6;
    private const int SlotsMin = 16;
    private const uint Empty = 0, Removed = 1;

    private readonly Shard[] _shards = new Shard[1 << ShardBits];

    /// <summary>Makes an empty set.</summary>
    /// <param name="expected">How many keys it is to hold soon.</param>
    public FingerprintSet(long expected = 0)
    {
        var slots = Math.Max(SlotsMin, (int)((expected >> ShardBits) * 3 / 2));
        for (var i = 0; i < _shards.Length; i++) _shards[i] = new Shard(slots);
    }

    /// <summary>Whether the key with this hash may be there; false is certain.</summary>
    public bool MayHold(ulong hash) => ShardOf(hash).MayHold(FingerprintOf(hash));

    /// <summary>Whether any of the keys with these hashes may be there; false is certain. They are looked for in their order.</summary>
    public bool MayHoldAny(ReadOnlySpan<ulong> hashes)
    {
        // In a large set each look misses the processor's caches: it fetches at once what it is told of without a decision in between.
        var firsts = Empty;
        foreach (var hash in hashes) firsts |= ShardOf(hash).First(FingerprintOf(hash));
        if (firsts == Empty) return false;
        foreach (var hash in hashes)
        {
            if (MayHold(hash)) return true;
        }

        return false;
    }

    /// <summary>Adds the key with this hash, which is not there yet.</summary>
    public void Add(ulong hash) => ShardOf(hash).Add(FingerprintOf(hash));

    /// <summary>Removes the key with this hash; false when it is not there.</summary>
    public bool Remove(ulong hash) => ShardOf(hash).Remove(FingerprintOf(hash));

    private Shard ShardOf(ulong hash) => _shards[hash >> (64 - ShardBits)];

    private static uint FingerprintOf(ulong hash)
    {
        var fingerprint = (uint)(hash >> (32 - ShardBits));
        return fingerprint > Removed ? fingerprint : fingerprint + 2;
    }

    private sealed class Shard(int size)
    {
        private uint[] _slots = new uint[size];
        private int _there;
        private int _used;

        public bool MayHold(uint fingerprint)
        {
            var slots = Volatile.Read(ref _slots);
            for (var at = Home(slots, fingerprint); ; at = Next(slots, at))
            {
                // There is always an empty slot: at most three quarters are in use.
                var slot = Volatile.Read(ref slots[at]);
                if (slot == fingerprint) return true;
                if (slot == Empty) return false;
            }
        }

        public uint First(uint fingerprint)
        {
            var slots = Volatile.Read(ref _slots);
            return Volatile.Read(ref slots[Home(slots, fingerprint)]);
        }

        public void Add(uint fingerprint)
        {
            if ((_used + 1) * 4 > _slots.Length * 3) Rebuild();
            if (Place(_slots, fingerprint)) _used++;
            _there++;
        }

        public bool Remove(uint fingerprint)
        {
            for (var at = Home(_slots, fingerprint); ; at = Next(_slots, at))
            {
                ref var slot = ref _slots[at];
                if (slot == Empty) return false;
                if (slot != fingerprint) continue;
                Volatile.Write(ref slot, Removed);
                _there--;
                return true;
            }
        }

        /// <summary>Makes a new array with room, without the removed entries, and only then shows it to readers.</summary>
        private void Rebuild()
        {
            var slots = new uint[Math.Max(SlotsMin, (_there + 1) * 2)];
            foreach (var slot in _slots)
            {
                if (slot > Removed) Place(slots, slot);
            }

            Volatile.Write(ref _slots, slots);
            _used = _there;
        }

        // Any length will do: one that is a power of two would leave up to half of it empty.
        private static int Home(uint[] slots, uint fingerprint) => (int)(((ulong)fingerprint * (uint)slots.Length) >> 32);

        private static int Next(uint[] slots, int at) => at + 1 < slots.Length ? at + 1 : 0;

        /// <returns>Whether it took a slot that was empty before.</returns>
        private static bool Place(uint[] slots, uint fingerprint)
        {
            for (var at = Home(slots, fingerprint); ; at = Next(slots, at))
            {
                ref var slot = ref slots[at];
                if (slot > Removed) continue;
                var wasEmpty = slot == Empty;
                Volatile.Write(ref slot, fingerprint);
                return wasEmpty;
            }
        }
    }
}
