using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;

namespace Cheops.Proto.Links;

/// <summary>What opens a stream, as it travels in an Open frame.</summary>
public sealed record StreamHead
{
    /// <summary>The service.</summary>
    public required string Service { get; init; }

    /// <summary>The workflow's id; empty for none.</summary>
    public string WorkflowId { get; init; } = "";

    /// <summary>The workflow's scope; empty for none.</summary>
    public string Scope { get; init; } = "";

    /// <summary>The user's name; empty for none.</summary>
    public string User { get; init; } = "";

    /// <summary>The user's groups.</summary>
    public ImmutableArray<string> Groups { get; init; } = [];

    /// <summary>The client's address.</summary>
    public string ClientAddress { get; init; } = "";

    /// <summary><c>http</c> or <c>https</c>.</summary>
    public string Scheme { get; init; } = "http";

    /// <summary>
    /// Whether the receiver is to carry the request out as one that is replicated, instead of at its site alone: at the sites that its
    /// scope says, or, where that says none for the service, as one on a replicant of the receiver's that its path names.
    /// </summary>
    public bool Replicate { get; init; }

    /// <summary>Encodes it.</summary>
    public ReadOnlyMemory<byte> Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteString("service", Service);
        if (WorkflowId.Length > 0) json.WriteString("workflow", WorkflowId);
        if (Scope.Length > 0) json.WriteString("scope", Scope);
        if (User.Length > 0)
        {
            json.WriteString("user", User);
            json.WriteStartArray("groups");
            foreach (var group in Groups) json.WriteStringValue(group);
            json.WriteEndArray();
        }

        json.WriteString("client", ClientAddress);
        json.WriteString("scheme", Scheme);
        if (Replicate) json.WriteBoolean("replicate", true);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    /// <summary>Decodes it; null when it is malformed or breaks a bound.</summary>
    public static StreamHead? Decode(ReadOnlySpan<byte> bytes)
    {
        try
        {
            var reader = new Utf8JsonReader(bytes, new JsonReaderOptions { MaxDepth = 8 });
            using var document = JsonDocument.ParseValue(ref reader);
            var root = document.RootElement;
            var head = new StreamHead
            {
                Service = Text(root, "service", Bounds.ServiceNameLengthMax),
                WorkflowId = Text(root, "workflow", 32),
                Scope = Text(root, "scope", Bounds.ScopeLengthMax),
                User = Text(root, "user", Bounds.UserNameLengthMax),
                Groups = root.TryGetProperty("groups", out var groups)
                    ? [.. groups.EnumerateArray().Take(Bounds.UserGroupCountMax + 1).Select(group => Checked(group.GetString(), Bounds.UserNameLengthMax))]
                    : [],
                ClientAddress = Text(root, "client", 64),
                Scheme = Text(root, "scheme", 5),
                Replicate = root.TryGetProperty("replicate", out var replicate) && replicate.GetBoolean(),
            };
            return head.Service.Length > 0 && head.Scheme is "http" or "https" && head.Groups.Length <= Bounds.UserGroupCountMax ? head : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private static string Text(JsonElement root, string name, int lengthMax) =>
        root.TryGetProperty(name, out var value) ? Checked(value.GetString(), lengthMax) : "";

    // All of these become field values or look-ups: what is no plain ASCII was not written by an agent.
    private static string Checked(string? text, int lengthMax) =>
        text is not null && text.Length <= lengthMax && !text.AsSpan().ContainsAnyExceptInRange(' ', '~')
            ? text
            : throw new FormatException("a member is too long or not plain text");
}
