using System.Buffers;
using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Cheops.Proto.Problems;

/// <summary>Where in a request's life a failure happened (DESIGN.md section 4).</summary>
public enum Stage : byte
{
    /// <summary>The request is no valid HTTP.</summary>
    Parse,
    /// <summary>Its scope could not be found or parsed.</summary>
    Scope,
    /// <summary>The scope could not be turned into a plan.</summary>
    Plan,
    /// <summary>The service instance could not be reached.</summary>
    Connect,
    /// <summary>Another site could not be reached, or was lost.</summary>
    Forward,
    /// <summary>Replication.</summary>
    Replicate,
    /// <summary>Carrying an operation out.</summary>
    Apply,
    /// <summary>The service's answer was lost, late, or no HTTP.</summary>
    Respond,
}

/// <summary>A failure that Cheops itself answers, as <c>application/problem+json</c> (RFC 9457).</summary>
public sealed record Problem
{
    /// <summary>The media type.</summary>
    public const string MediaType = "application/problem+json";

    /// <summary>A name for this kind of problem, in lower case with hyphens; <c>type</c> is <c>urn:cheops:problem:</c> and this.</summary>
    public required string Kind { get; init; }

    /// <summary>A short sentence, the same for every problem of this kind.</summary>
    public required string Title { get; init; }

    /// <summary>The status code.</summary>
    public required int Status { get; init; }

    /// <summary>What happened this time, and what to do.</summary>
    public required string Detail { get; init; }

    /// <summary>Where it happened.</summary>
    public required Stage Stage { get; init; }

    /// <summary>Whether the request surely was not executed, so that sending it again is safe.</summary>
    public required bool RetrySafe { get; init; }

    /// <summary>The site that answers.</summary>
    public string Site { get; init; } = "";

    /// <summary>The service that was addressed.</summary>
    public string Service { get; init; } = "";

    /// <summary>Further members: the column of a scope's error, the known sites, an operator.</summary>
    public ImmutableArray<(string Name, object Value)> Members { get; init; } = [];

    // The document is JSON, never HTML: quotes and ampersands of a scope stay readable.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The stage as it is written.</summary>
    public static string NameOf(Stage stage) => stage switch
    {
        Stage.Parse => "parse",
        Stage.Scope => "scope",
        Stage.Plan => "plan",
        Stage.Connect => "connect",
        Stage.Forward => "forward",
        Stage.Replicate => "replicate",
        Stage.Apply => "apply",
        _ => "respond",
    };

    /// <summary>The document.</summary>
    public ReadOnlyMemory<byte> ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            json.WriteString("type", "urn:cheops:problem:" + Kind);
            json.WriteString("title", Title);
            json.WriteNumber("status", Status);
            json.WriteString("detail", Detail);
            if (Site.Length > 0) json.WriteString("site", Site);
            if (Service.Length > 0) json.WriteString("service", Service);
            json.WriteString("stage", NameOf(Stage));
            json.WriteBoolean("retrySafe", RetrySafe);
            foreach (var (name, value) in Members)
            {
                json.WritePropertyName(name);
                WriteValue(json, value);
            }

            json.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }

    private static void WriteValue(Utf8JsonWriter json, object value)
    {
        switch (value)
        {
            case int number: json.WriteNumberValue(number); break;
            case bool flag: json.WriteBooleanValue(flag); break;
            case IEnumerable<string> list:
                json.WriteStartArray();
                foreach (var item in list) json.WriteStringValue(item);
                json.WriteEndArray();
                break;
            default: json.WriteStringValue(value.ToString()); break;
        }
    }
}
