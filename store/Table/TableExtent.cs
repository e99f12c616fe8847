namespace Cheops.Store.Table;

/// <summary>What a table was when a checkpoint was taken.</summary>
/// <param name="Number">Grows by every checkpoint.</param>
/// <param name="Begin">Position of the first record kept.</param>
/// <param name="Until">Position after the last record.</param>
/// <param name="Count">Keys that are there.</param>
/// <param name="Sum">Sum of the checksums of the last records of all keys that are there: what is found must have the same.</param>
/// <param name="LiveSize">Bytes of these records.</param>
/// <param name="NumberBound">All numbers of keys are below it.</param>
internal readonly record struct TableExtent(long Number, long Begin, long Until, long Count, ulong Sum, long LiveSize, uint NumberBound)
{
    /// <summary>Where FASTER puts the first record.</summary>
    public const long FirstPosition = 64;

    /// <summary>An empty table.</summary>
    public static TableExtent Empty(long number) => new(number, FirstPosition, FirstPosition, 0, 0, 0, 0);
}
