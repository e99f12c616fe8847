using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text.Json;

namespace Cheops.Proto.Links;

/// <summary>What a heartbeat says beyond its sequence.</summary>
public sealed record HeartbeatStatus
{
    /// <summary>The last sequence received from the peer; 0 for none.</summary>
    public ulong Echo { get; init; }

    /// <summary>How long ago that was, in microseconds.</summary>
    public ulong HeldMicroseconds { get; init; }

    /// <summary>Whether the sender has one link for both lanes: the peer's bulk frames must then come over the control link too.</summary>
    public bool SharesBulk { get; init; }

    /// <summary>Whether the site takes no new requests.</summary>
    public bool Draining { get; init; }

    /// <summary>The agent's version.</summary>
    public string AgentVersion { get; init; } = "";

    /// <summary>A random name of the site's durable data, made with it.</summary>
    public string Incarnation { get; init; } = "";

    /// <summary>The public key for which credentials are sealed to the site, in Base64; empty for none.</summary>
    public string SealingKey { get; init; } = "";

    /// <summary>Whether the site holds replicas: it is asked of what another site does not know.</summary>
    public bool HoldsReplicants { get; init; }

    /// <summary>The services offered, each with its version (<c>major.minor</c> or empty).</summary>
    public ImmutableDictionary<string, string> Services { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Round-trip times to other sites in microseconds.</summary>
    public ImmutableDictionary<string, long> RoundTrips { get; init; } = ImmutableDictionary<string, long>.Empty;

    /// <summary>Encodes the payload of a heartbeat.</summary>
    public ReadOnlyMemory<byte> Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        var numbers = buffer.GetSpan(16);
        BinaryPrimitives.WriteUInt64LittleEndian(numbers, Echo);
        BinaryPrimitives.WriteUInt64LittleEndian(numbers[8..], HeldMicroseconds);
        buffer.Advance(16);
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteBoolean("draining", Draining);
        if (SharesBulk) json.WriteBoolean("sharesBulk", true);
        json.WriteString("agent", AgentVersion);
        json.WriteString("incarnation", Incarnation);
        if (SealingKey.Length > 0) json.WriteString("sealingKey", SealingKey);
        if (HoldsReplicants) json.WriteBoolean("replicants", true);
        json.WriteStartObject("services");
        foreach (var (name, version) in Services) json.WriteString(name, version);
        json.WriteEndObject();
        json.WriteStartObject("roundTrips");
        foreach (var (name, microseconds) in RoundTrips) json.WriteNumber(name, microseconds);
        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    /// <summary>Decodes the payload of a heartbeat; null when it is malformed or breaks a bound.</summary>
    public static HeartbeatStatus? Decode(ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 18) return null;
        try
        {
            var reader = new Utf8JsonReader(payload[16..], new JsonReaderOptions { MaxDepth = 8 });
            using var document = JsonDocument.ParseValue(ref reader);
            var root = document.RootElement;
            return new HeartbeatStatus
            {
                Echo = BinaryPrimitives.ReadUInt64LittleEndian(payload),
                HeldMicroseconds = BinaryPrimitives.ReadUInt64LittleEndian(payload[8..]),
                Draining = root.TryGetProperty("draining", out var draining) && draining.GetBoolean(),
                SharesBulk = root.TryGetProperty("sharesBulk", out var shares) && shares.GetBoolean(),
                AgentVersion = Text(root, "agent"),
                Incarnation = Text(root, "incarnation"),
                SealingKey = Text(root, "sealingKey"),
                HoldsReplicants = root.TryGetProperty("replicants", out var replicants) && replicants.GetBoolean(),
                Services = Members(root, "services", Bounds.HeartbeatServicesMax, value => Limited(value.GetString())),
                RoundTrips = Members(root, "roundTrips", Bounds.SiteCountMax, value => Math.Clamp(value.GetInt64(), 0, 3_600_000_000)),
            };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private static string Text(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) ? Limited(value.GetString()) : "";

    private static string Limited(string? text) => text is { Length: <= 128 } ? text : "";

    private static ImmutableDictionary<string, T> Members<T>(JsonElement root, string name, int countMax, Func<JsonElement, T> read)
    {
        if (!root.TryGetProperty(name, out var members)) return ImmutableDictionary<string, T>.Empty;
        var found = ImmutableDictionary.CreateBuilder<string, T>();
        foreach (var member in members.EnumerateObject().Take(countMax))
        {
            if (member.Name.Length is > 0 and <= Bounds.SiteNameLengthMax) found[member.Name] = read(member.Value);
        }

        return found.ToImmutable();
    }
}
