using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Cheops.Agent.Interception;
using Cheops.Agent.Settings;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Http;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Identity;

/// <summary>Connects to an address as to the instance of a service, checked by the same authorities.</summary>
internal delegate ValueTask<Channel> Dial(string service, UpstreamAddress address, CancellationToken cancellation);

/// <summary>A token of OpenStack's identity service.</summary>
/// <param name="Token">The token; a secret.</param>
/// <param name="ExpiresAt">Until when it is good.</param>
internal readonly record struct KeystoneToken(string Token, DateTimeOffset ExpiresAt);

/// <summary>Obtains tokens from OpenStack's identity service by name and password (Identity API v3).</summary>
internal sealed class KeystoneTokens(Dial dial, Deadlines deadlines)
{
    private static readonly CallLimits Limits = new(Bounds.OwnCallAnswerSizeMax, Bounds.OwnCallTimeMaxMs);

    /// <summary>Obtains a token.</summary>
    /// <exception cref="IOException">There is none; the message says why, and holds no secret.</exception>
    public async Task<KeystoneToken> ObtainAsync(string service, KeystoneCredential credential, CancellationToken cancellation)
    {
        UpstreamConnection connection;
        try
        {
            connection = new UpstreamConnection(await dial(service, credential.Address, cancellation));
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new IOException($"no token: {credential.Address} did not answer", e);
        }

        KeptAnswer answer;
        await using (connection)
        {
            using var abort = cancellation.UnsafeRegister(static connection => ((UpstreamConnection)connection!).Abort(), connection);
            answer = await connection.CallAsync(Encode(credential), null, HttpMethod.Post, Limits, deadlines);
        }

        if (answer.Status != 201) throw new IOException($"no token: the identity service at {credential.Address} answered {answer.Status}");
        var token = answer.Field("X-Subject-Token");
        if (token.Length is 0 or > Bounds.CredentialSizeMax || token.Any(c => c is <= ' ' or > '~') || ExpiryOf(answer.Body) is not { } until)
            throw new IOException($"no token: what {credential.Address} answered holds none");
        return new KeystoneToken(token, until);
    }

    private static ReadOnlyMemory<byte> Encode(KeystoneCredential credential)
    {
        var body = credential.Ask();
        var lines = new FieldLines().Add("Host"u8, HostPort.Print(credential.Address.Host, credential.Address.Port))
            .Add("Accept"u8, "application/json"u8).Add("User-Agent"u8, "cheops"u8).Add("Content-Type"u8, "application/json"u8)
            .Add("Content-Length"u8, body.Length.ToString(CultureInfo.InvariantCulture));
        var buffer = new ArrayBufferWriter<byte>(512 + body.Length);
        buffer.Write(Encoding.ASCII.GetBytes($"POST {credential.Target} HTTP/1.1\r\n"));
        buffer.Write(lines.Written);
        buffer.Write("\r\n"u8);
        buffer.Write(body.Span);
        return buffer.WrittenMemory;
    }

    private static DateTimeOffset? ExpiryOf(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.GetProperty("token").GetProperty("expires_at").GetDateTimeOffset();
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}
