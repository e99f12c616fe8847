using System.Numerics;

namespace Cheops.Store.Table;

/// <summary>What a table was when a checkpoint was taken.</summary>
/// <param name="Number">Grows by every checkpoint.</param>
/// <param name="Begin">Position of the first record kept.</param>
/// <param name="Until">Position after the last record.</param>
/// <param name="Count">Keys that are there.</param>
/// <param name="Sum">Sum of the checksums of the last records of all keys that are there: what is found must have the same.</param>
/// <param name="LiveSize">Bytes of these records.</param>
/// <param name="NumberBound">All numbers of keys are below it.</param>
/// <param name="Secret">Of the hashes of its keys (see <see cref="KeyHash"/>).</param>
/// <param name="Buckets">
/// Of FASTER's index, a power of two. A record of the log names the record before it in its bucket's chain: with fewer
/// buckets than there were when it was written, records would not be found. It never becomes less.
/// </param>
internal readonly record struct TableExtent(
    long Number, long Begin, long Until, long Count, ulong Sum, long LiveSize, uint NumberBound, ulong Secret, long Buckets)
{
    // FASTER keeps seven in a bucket before it needs another one.
    private const int KeysPerBucket = 6;
    private const long BucketsMin = 1024;

    /// <summary>Where FASTER puts the first record.</summary>
    public const long FirstPosition = 64;

    /// <summary>An empty table.</summary>
    public static TableExtent Empty(long number, ulong secret) => new(number, FirstPosition, FirstPosition, 0, 0, 0, 0, secret, BucketsFor(0));

    /// <summary>Buckets of FASTER's index for so many keys.</summary>
    public static long BucketsFor(long keys) => Math.Max(BucketsMin, (long)BitOperations.RoundUpToPowerOf2((ulong)keys / KeysPerBucket));
}
