namespace Cheops.Tests.Fuzz;

/// <summary>Something that must hold whatever the input.</summary>
public interface IFuzzTarget
{
    /// <summary>Its name on the command line.</summary>
    string Name { get; }

    /// <summary>What it checks, in a sentence.</summary>
    string Purpose { get; }

    /// <summary>Inputs to start from.</summary>
    IEnumerable<byte[]> Seeds { get; }

    /// <summary>Pieces that inputs of this kind are made of, put in by mutations.</summary>
    IReadOnlyList<byte[]> Words { get; }

    /// <summary>Checks one input.</summary>
    /// <returns>
    /// A number for what happened: inputs that give a new one are kept and mutated further, like those that take new branches
    /// of instrumented code.
    /// </returns>
    /// <exception cref="Exception">A property does not hold.</exception>
    int Run(byte[] input);
}

/// <summary>Tells that a property does not hold.</summary>
public sealed class FuzzException(string message) : Exception(message)
{
    /// <summary>Demands that a property holds.</summary>
    public static void Demand(bool holds, string otherwise)
    {
        if (!holds) throw new FuzzException(otherwise);
    }

    /// <summary>Demands that two things are equal.</summary>
    public static void Equal<T>(T expected, T actual, string what)
    {
        if (!EqualityComparer<T>.Default.Equals(expected, actual)) throw new FuzzException($"{what}: expected <{expected}>, was <{actual}>");
    }
}
