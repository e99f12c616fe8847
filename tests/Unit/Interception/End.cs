using System.Text;
using Cheops.Agent.Transport;

namespace Cheops.Tests.Unit.Interception;

/// <summary>A client's or a service's end of a connection with the agent, spoken by hand.</summary>
internal sealed class End(Channel channel)
{
    public Channel Channel => channel;

    public async Task SendAsync(string text) => await channel.Output.WriteAsync(Encoding.Latin1.GetBytes(text)).AsTask().WaitAsync(Rig.Patience);

    public Task EndAsync() => channel.CompleteOutputAsync().AsTask().WaitAsync(Rig.Patience);

    public void Abort() => channel.Abort();

    /// <summary>Reads exactly so many characters.</summary>
    public async Task<string> ReadAsync(int count)
    {
        var text = new StringBuilder();
        while (text.Length < count)
        {
            var read = await channel.Input.ReadAsync().AsTask().WaitAsync(Rig.Patience);
            if (read.Buffer.IsEmpty) Assert.Fail($"the connection ended after: {text}");
            var taken = read.Buffer.Slice(0, Math.Min(count - text.Length, read.Buffer.Length));
            text.Append(Encoding.Latin1.GetString(taken));
            channel.Input.AdvanceTo(taken.End);
        }

        return text.ToString();
    }

    /// <summary>Reads what must come next.</summary>
    public async Task ExpectAsync(string text) => Assert.Equal(text, await ReadAsync(text.Length));

    /// <summary>Reads a head with the empty line after it.</summary>
    public async Task<string> ReadHeadAsync()
    {
        while (true)
        {
            var read = await channel.Input.ReadAsync().AsTask().WaitAsync(Rig.Patience);
            var text = Encoding.Latin1.GetString(read.Buffer);
            var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if (end >= 0)
            {
                channel.Input.AdvanceTo(read.Buffer.GetPosition(end + 4));
                return text[..(end + 4)];
            }

            if (read.IsCompleted) Assert.Fail($"the connection ended within a head: {text}");
            channel.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    /// <summary>Reads up to the orderly end.</summary>
    public async Task<string> ReadToEndAsync()
    {
        var text = new StringBuilder();
        while (true)
        {
            var read = await channel.Input.ReadAsync().AsTask().WaitAsync(Rig.Patience);
            text.Append(Encoding.Latin1.GetString(read.Buffer));
            channel.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return text.ToString();
        }
    }

    /// <summary>Reads until the connection is reset; fails when it ends in order.</summary>
    public async Task<string> ReadUntilLostAsync()
    {
        var text = new StringBuilder();
        try
        {
            while (true)
            {
                var read = await channel.Input.ReadAsync();
                text.Append(Encoding.Latin1.GetString(read.Buffer));
                channel.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) Assert.Fail($"an orderly end came after: {text}");
            }
        }
        catch (IOException)
        {
            return text.ToString();
        }
    }

    /// <summary>Asks for something without a body, as the service gets it.</summary>
    public Task GetAsync(string target = "/", string fields = "") => SendAsync($"GET {target} HTTP/1.1\r\nHost: shop\r\n{fields}\r\n");

    /// <summary>Answers with a length.</summary>
    public Task AnswerAsync(string body, int status = 200, string fields = "") =>
        SendAsync($"HTTP/1.1 {status} Fine\r\nContent-Length: {body.Length}\r\n{fields}\r\n{body}");

    /// <summary>Reads an answer with a length, and gives its body.</summary>
    public async Task<string> ReadAnswerAsync(int status = 200)
    {
        var head = await ReadHeadAsync();
        Assert.StartsWith($"HTTP/1.1 {status} ", head, StringComparison.Ordinal);
        var at = head.IndexOf("Content-Length: ", StringComparison.OrdinalIgnoreCase);
        Assert.True(at >= 0, head);
        var length = head[(at + 16)..head.IndexOf("\r\n", at, StringComparison.Ordinal)];
        return await ReadAsync(int.Parse(length, System.Globalization.CultureInfo.InvariantCulture));
    }
}
