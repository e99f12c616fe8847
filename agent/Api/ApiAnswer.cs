using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Cheops.Proto.Http;
using Cheops.Proto.Problems;

namespace Cheops.Agent.Api;

/// <summary>An answer of the API.</summary>
/// <param name="Status">The status code.</param>
/// <param name="MediaType">The media type.</param>
/// <param name="Body">The body.</param>
/// <param name="Fields">Further fields, each line encoded; null for none.</param>
public sealed record ApiAnswer(int Status, string MediaType, ReadOnlyMemory<byte> Body, FieldLines? Fields = null)
{
    private static readonly JsonWriterOptions JsonOptions = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Text.</summary>
    public static ApiAnswer Text(int status, string text) => new(status, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text));

    /// <summary>A JSON object.</summary>
    public static ApiAnswer Json(int status, Action<Utf8JsonWriter> members)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, JsonOptions))
        {
            writer.WriteStartObject();
            members(writer);
            writer.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return new ApiAnswer(status, "application/json", buffer.WrittenMemory);
    }

    /// <summary>What stands for the API where a service is named.</summary>
    public const string Service = "api";

    /// <summary>A failure.</summary>
    public static ApiAnswer Failure(string site, int status, string kind, string title, string detail, FieldLines? fields = null)
    {
        var problem = new Problem { Kind = kind, Title = title, Status = status, Detail = detail, Stage = Stage.Parse, RetrySafe = true, Site = site, Service = Service };
        return new ApiAnswer(status, Problem.MediaType, problem.ToJson(), fields);
    }
}
