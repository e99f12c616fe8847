namespace Cheops.Tests.Fuzz.Wire;

/// <summary>One message as a <see cref="WireReader"/> understood it.</summary>
/// <param name="Start">Its first line.</param>
/// <param name="Fields">Its fields in order, names in lower case.</param>
/// <param name="Framing">What told where its body ends: <c>none</c>, <c>length</c>, <c>chunked</c> or <c>close</c>.</param>
/// <param name="Body">Its body, decoded.</param>
/// <param name="Trailers">Its trailer fields, names in lower case.</param>
public sealed record WireMessage(string Start, (string Name, string Value)[] Fields, string Framing, string Body, (string Name, string Value)[] Trailers)
{
    /// <summary>The values of a field, by its name in lower case.</summary>
    public string[] Values(string name) => [.. Fields.Where(field => field.Name == name).Select(field => field.Value)];

    /// <summary>The status code of an answer, or 0.</summary>
    public int Status => Start.StartsWith("HTTP/", StringComparison.Ordinal) ? int.Parse(Start.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture) : 0;

    /// <summary>What two readers must agree on: which message it is, whose it is, and what its body says.</summary>
    public string Essence => $"{Start} | {string.Join(',', Values("host"))} | {Body}";
}

/// <summary>Tells why a reader takes something for no HTTP.</summary>
public sealed class WireException(string message) : Exception(message);
