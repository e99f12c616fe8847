namespace Cheops.Agent.Workflows;

/// <summary>The fields of a request or response, as far as workflows need them.</summary>
public interface IFieldSource
{
    /// <summary>The value of the first field of a name, without surrounding white space; empty when there is none.</summary>
    /// <param name="name">The name in lower case.</param>
    ReadOnlySpan<byte> Find(string name);
}

/// <summary>A field to set, in place of any of the same name.</summary>
/// <param name="Name">The name.</param>
/// <param name="Value">The value, ASCII.</param>
public readonly record struct OutgoingField(string Name, string Value);
