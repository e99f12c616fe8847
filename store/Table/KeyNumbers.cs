namespace Cheops.Store.Table;

/// <summary>
/// Gives each key that is there a number of its own, as small as can be: whoever reads the log from its beginning needs
/// one place for each number to know which record of a key is the last, and no key.
/// </summary>
internal sealed class KeyNumbers
{
    private readonly Stack<uint> _free = new();

    /// <summary>No number ever given is higher or equal: it never shrinks, since records of keys that are gone stay in the log for a while.</summary>
    public uint Bound { get; private set; }

    /// <summary>The numbers as they are when these are in use.</summary>
    public static KeyNumbers From(uint bound, Predicate<uint> isUsed)
    {
        var numbers = new KeyNumbers { Bound = bound };
        for (var number = bound; number-- > 0;)
        {
            if (!isUsed(number)) numbers._free.Push(number);
        }

        return numbers;
    }

    /// <summary>Takes a number that is not in use.</summary>
    public uint Take() => _free.TryPop(out var number) ? number : Bound++;

    /// <summary>Gives a number back.</summary>
    public void Give(uint number) => _free.Push(number);
}
