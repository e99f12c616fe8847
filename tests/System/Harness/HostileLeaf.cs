using System.Globalization;
using System.Text;

namespace Cheops.Tests.System.Harness;

/// <summary>
/// Somebody who has a site's credentials for its link and uses them for no good: a connection to another site's mesh listener
/// that speaks the protocol of NATS leaf nodes by hand.
/// </summary>
internal sealed class HostileLeaf : IAsyncDisposable
{
    private readonly RawClient _client;

    private HostileLeaf(RawClient client) => _client = client;

    /// <summary>Joins the account of the link between a site and the one whose credentials are abused (those of a laboratory).</summary>
    public static async Task<HostileLeaf> JoinAsync(Site site, string abused)
    {
        var leaf = new HostileLeaf(await RawClient.ConnectAsync(new Uri($"tcp://{site.MeshAddress}")));
        await leaf._client.SendAsync($$"""CONNECT {"user":"link_{{abused}}","pass":"loopback","name":"intruder","cluster":"intruder","headers":true}""" + "\r\nPING\r\n");

        // Its subscriptions come first, then the answer to our ping: it has let us in.
        await Wait.ForAsync(leaf.SeesAsync("PONG"), "the mesh listener lets the intruder in");
        return leaf;
    }

    private async Task<bool> SeesAsync(string text)
    {
        var seen = new StringBuilder();
        while (!seen.ToString().Contains(text, StringComparison.Ordinal))
        {
            var part = await _client.Reader.ReadSomeAsync();
            if (part.IsEmpty) throw new IOException($"closed after: {seen}");
            seen.Append(Encoding.Latin1.GetString(part.Span));
        }

        return true;
    }

    /// <summary>Sends a message to what the agent of a site listens to.</summary>
    public async Task SendAsync(Site to, byte[] message)
    {
        var head = string.Create(CultureInfo.InvariantCulture, $"LMSG to.{to.Name} {message.Length}\r\n");
        await _client.Stream.WriteAsync((byte[])[.. Encoding.ASCII.GetBytes(head), .. message, .. "\r\n"u8]);
    }

    public ValueTask DisposeAsync() => _client.DisposeAsync();
}
