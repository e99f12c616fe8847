using Cheops.Store.Table;
using CsCheck;

namespace Cheops.Tests.Unit.Store.Table;

public sealed class FingerprintSetTests
{
    [Fact]
    public void What_was_added_and_not_removed_is_always_found() => Gen.Select(Gen.ULong[0, 40], Gen.Bool).Array[0, 400].Sample(
        changes =>
        {
            // Few hashes, so that many keys share one: it is there as often as it was added.
            var set = new FingerprintSet();
            var model = new Dictionary<ulong, int>();
            foreach (var (small, adds) in changes)
            {
                var hash = small * 0x9E3779B97F4A7C15;
                var count = model.GetValueOrDefault(hash);
                if (adds) set.Add(hash);
                else Assert.Equal(count > 0, set.Remove(hash));
                model[hash] = adds ? count + 1 : Math.Max(0, count - 1);
            }

            foreach (var (hash, count) in model) Assert.Equal(count > 0, set.MayHold(hash));
        },
        iter: 300);

    [Fact]
    public async Task A_reader_never_misses_what_stays_while_others_come_and_go()
    {
        var set = new FingerprintSet();
        var hash = new KeyHash(5);
        ulong Of(int i) => hash.Of(BitConverter.GetBytes(i));
        for (var i = 0; i < 1000; i++) set.Add(Of(i));
        using var stop = new CancellationTokenSource();
        var reader = Task.Run(() =>
        {
            for (var i = 0; i < 100_000 || !stop.IsCancellationRequested; i++) Assert.True(set.MayHold(Of(i % 1000)));
        });
        for (var round = 0; round < 20; round++)
        {
            for (var i = 1000; i < 10_000; i++) set.Add(Of(i));
            for (var i = 1000; i < 10_000; i++) Assert.True(set.Remove(Of(i)));
        }

        await stop.CancelAsync();
        await reader;
        Assert.InRange(Enumerable.Range(1000, 9000).Count(i => set.MayHold(Of(i))), 0, 3);
    }

    [Fact]
    public void All_bits_of_a_hash_depend_on_all_of_a_key()
    {
        var hash = new KeyHash(9);
        foreach (var size in new[] { 1, 7, 8, 9, 16, 33 })
        {
            var key = new byte[size];
            var before = hash.Of(key);
            Assert.NotEqual(before, new KeyHash(10).Of(key));
            Assert.NotEqual(before, hash.Of(new byte[size + 1]));
            for (var bit = 0; bit < size * 8; bit++)
            {
                key[bit / 8] ^= (byte)(1 << (bit % 8));
                Assert.InRange(System.Numerics.BitOperations.PopCount(before ^ hash.Of(key)), 10, 54);
                key[bit / 8] ^= (byte)(1 << (bit % 8));
            }
        }
    }
}
