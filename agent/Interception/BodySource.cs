using Cheops.Proto.Http;

namespace Cheops.Agent.Interception;

/// <summary>A message's body as a sequence of pieces, decoded, pulled one by one.</summary>
public abstract class BodySource
{
    /// <summary>How the body is delimited where it comes from.</summary>
    public abstract BodyFraming Framing { get; }

    /// <summary>Whether the end has been reached.</summary>
    public abstract bool IsComplete { get; }

    /// <summary>Whether anything has been read that a second reader would miss.</summary>
    public abstract bool IsTouched { get; }

    /// <summary>Gives the next piece, valid until the next call; an empty one at the end.</summary>
    /// <exception cref="IOException">The sender was lost.</exception>
    /// <exception cref="HttpRefusalException">The body is malformed.</exception>
    public abstract ValueTask<ReadOnlyMemory<byte>> ReadAsync();

    /// <summary>The trailer section, complete lines, once the end is reached.</summary>
    public virtual ReadOnlySpan<byte> Trailers => default;
}

/// <summary>A message was refused while its body was read.</summary>
/// <param name="refusal">Why.</param>
public sealed class HttpRefusalException(HttpRefusal refusal) : IOException(refusal.Describe())
{
    /// <summary>Why.</summary>
    public HttpRefusal Refusal { get; } = refusal;
}

/// <summary>A body's reader was told to stop: somebody else reads on.</summary>
public sealed class BodyAbandonedException : IOException;
