using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Cheops.Agent.Transport;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>An HTTP message, read in the plainest way: what services and clients of a world speak.</summary>
internal sealed record Message(string First, ImmutableArray<(string Name, string Value)> Fields, string Body)
{
    private const string End = "\r\n\r\n";

    public int Status => int.Parse(First.Split(' ')[1], CultureInfo.InvariantCulture);

    public string? Field(string name) =>
        Fields.Where(field => string.Equals(field.Name, name, StringComparison.OrdinalIgnoreCase)).Select(field => field.Value).FirstOrDefault();

    /// <summary>Encodes a request or an answer.</summary>
    public static byte[] Encode(string first, string body, params ReadOnlySpan<(string Name, string Value)> fields)
    {
        var text = new StringBuilder(first).Append("\r\n");
        foreach (var (name, value) in fields) text.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        if (body.Length > 0 || !first.Contains("GET", StringComparison.Ordinal)) text.Append(CultureInfo.InvariantCulture, $"Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n");
        return Encoding.UTF8.GetBytes(text.Append("\r\n").Append(body).ToString());
    }

    /// <summary>The next message on a channel; null when it ends before there is a whole one.</summary>
    public static async Task<Message?> ReadAsync(Channel channel)
    {
        try
        {
            while (true)
            {
                var read = await channel.Input.ReadAsync();
                var text = Encoding.Latin1.GetString(read.Buffer);
                if (TryTake(text, read.IsCompleted, out var taken) is { } message)
                {
                    channel.Input.AdvanceTo(read.Buffer.GetPosition(taken));
                    if (message.First.StartsWith("HTTP/1.1 1", StringComparison.Ordinal)) continue;
                    return message;
                }

                channel.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                if (read.IsCompleted) return null;
            }
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static Message? TryTake(string text, bool isWhole, out int taken)
    {
        taken = 0;
        var end = text.IndexOf(End, StringComparison.Ordinal);
        if (end < 0) return null;
        var lines = text[..end].Split("\r\n");
        var message = new Message(lines[0], [.. lines.Skip(1).Select(FieldOf)], "");
        var start = end + End.Length;
        if (message.Field("Transfer-Encoding") is not null) return TryTakeChunks(message, text, start, out taken);
        var isAnswer = lines[0].StartsWith("HTTP/", StringComparison.Ordinal);
        var hasNone = isAnswer && message.Status is 204 or 304 or (>= 100 and < 200);
        if (isAnswer && !hasNone && message.Field("Content-Length") is null)
        {
            taken = text.Length;
            return isWhole ? message with { Body = text[start..] } : null;
        }

        var length = hasNone ? 0 : int.Parse(message.Field("Content-Length") ?? "0", CultureInfo.InvariantCulture);
        if (text.Length < start + length) return null;
        taken = start + length;
        return message with { Body = text.Substring(start, length) };
    }

    private static Message? TryTakeChunks(Message message, string text, int at, out int taken)
    {
        taken = 0;
        var body = new StringBuilder();
        while (true)
        {
            var line = text.IndexOf("\r\n", at, StringComparison.Ordinal);
            if (line < 0) return null;
            var size = int.Parse(text[at..line].Split(';')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            at = line + 2;
            if (text.Length < at + size + 2) return null;
            body.Append(text, at, size);
            at += size + 2;
            if (size > 0) continue;
            taken = at;
            return message with { Body = body.ToString() };
        }
    }

    private static (string Name, string Value) FieldOf(string line)
    {
        var colon = line.IndexOf(':', StringComparison.Ordinal);
        return (line[..colon], line[(colon + 1)..].Trim());
    }
}
