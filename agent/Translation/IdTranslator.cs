using Cheops.Agent.Profiles;
using Cheops.Proto;

namespace Cheops.Agent.Translation;

/// <summary>Asks an <see cref="IIdMap"/> in one direction, for one service.</summary>
internal sealed class IdTranslator(ServiceProfile service, Direction direction, IIdMap ids)
{
    private byte[] _scratch = [];

    public ServiceProfile Service => service;

    public Direction Direction => direction;

    /// <summary>Whether anything can be found for the service itself or the ones it refers to; false is certain.</summary>
    public bool CanFindAny(ResourceProfile? resource)
    {
        if (ids.HasAny(service.Name)) return true;
        foreach (var reference in resource?.References ?? [])
        {
            if (reference.Service != service.Name && ids.HasAny(reference.Service)) return true;
        }

        return false;
    }

    /// <summary>Translates a bare id; false when it is to stay.</summary>
    public bool TryTranslate(string serviceName, string resource, ReadOnlySpan<byte> id, out string translated)
    {
        translated = "";
        return id.Length is > 0 and <= Bounds.LocalIdSizeMax
            && (direction == Direction.ToLocal ? ids.TryToLocal(serviceName, resource, id, out translated) : ids.TryToMeta(serviceName, resource, id, out translated));
    }

    /// <summary>Translates a percent-encoded id of this service; false when it is to stay.</summary>
    public bool TryTranslateEncoded(string resource, ReadOnlySpan<byte> encoded, out string translated, bool inQuery = false) =>
        TryTranslateEncoded(service.Name, resource, encoded, out translated, inQuery);

    /// <summary>Translates a percent-encoded id; false when it is to stay.</summary>
    public bool TryTranslateEncoded(string serviceName, string resource, ReadOnlySpan<byte> encoded, out string translated, bool inQuery)
    {
        translated = "";
        if (encoded.Length > 3 * Bounds.LocalIdSizeMax) return false;
        return TryTranslate(serviceName, resource, PercentEncoding.Decode(encoded, Scratch(encoded.Length), inQuery), out translated);
    }

    private Span<byte> Scratch(int size)
    {
        if (_scratch.Length < size) _scratch = new byte[Math.Max(256, size)];
        return _scratch;
    }
}
