using System.Buffers;
using Cheops.Agent.Profiles;
using Cheops.Proto;

namespace Cheops.Agent.Translation;

/// <summary>
/// Translates ids in request targets and in fields that hold URLs (<c>Location</c>, <c>Content-Location</c>); byte for byte
/// otherwise. For one exchange at a time.
/// </summary>
/// <param name="service">The service, under its own name (<see cref="ServiceProfile.Named"/>).</param>
/// <param name="direction">Which way.</param>
/// <param name="ids">The ids.</param>
public sealed class TargetTranslator(ServiceProfile service, Direction direction, IIdMap ids)
{
    private readonly UrlTranslator _url = new(new IdTranslator(service, direction, ids));

    /// <summary>Translates a request's target, or the URL or path that a field holds.</summary>
    /// <param name="target">The target as it came: a path with perhaps a query, or an absolute URL.</param>
    /// <param name="output">An empty buffer; gets the translated target, and stays empty when nothing is translated.</param>
    /// <returns>Whether anything was translated.</returns>
    public bool TryTranslate(ReadOnlySpan<byte> target, ArrayBufferWriter<byte> output) =>
        target.Length <= Bounds.TargetSizeMax && ids.HasAnyFor(service, service.Name) && _url.TryTranslate(target, output);
}
