using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Settings;
using Cheops.Proto;

namespace Cheops.Agent.Identity;

/// <summary>
/// This site's own credentials, each from a file that is read anew whenever a token is obtained. A token is kept in memory until
/// shortly before it expires, or until its service refuses it.
/// </summary>
internal sealed class ServiceCredentials(KeystoneTokens keystone, TimeProvider time) : IServiceCredentials
{
    private readonly ConcurrentDictionary<string, Known> _known = new();

    /// <summary>The files, by service.</summary>
    public ImmutableDictionary<string, string> Files { get; set; } = ImmutableDictionary<string, string>.Empty;

    /// <inheritdoc/>
    public bool Has(string service) => Files.ContainsKey(service);

    /// <inheritdoc/>
    public string WhyNone(string service) => NoServiceCredentials.Instance.WhyNone(service);

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>> GetAsync(string service, ReadOnlyMemory<byte> refused, CancellationToken cancellation)
    {
        var known = _known.GetOrAdd(service, static _ => new Known());

        // Whoever waits here finds what the one before has obtained.
        await known.Turn.WaitAsync(cancellation);
        try
        {
            var now = time.GetUtcNow();
            if (now < known.Until && !known.Fields.Span.SequenceEqual(refused.Span)) return known.Fields;

            // Passwords that are refused again and again lock users out.
            if (known.FailedAt is { } at && time.GetElapsedTime(at) < TimeSpan.FromMilliseconds(Bounds.CredentialPauseMs)) throw new IOException(known.Failure);
            try
            {
                (known.Fields, known.Until) = await ObtainAsync(service, cancellation);
            }
            catch (IOException e)
            {
                (known.Failure, known.FailedAt) = (e.Message, time.GetTimestamp());
                throw;
            }

            return known.Fields;
        }
        finally
        {
            known.Turn.Release();
        }
    }

    private async Task<(ReadOnlyMemory<byte> Fields, DateTimeOffset Until)> ObtainAsync(string service, CancellationToken cancellation)
    {
        var file = Files.GetValueOrDefault(service) ?? throw new IOException(WhyNone(service));
        if (CredentialFile.Read(file, out var credential) is { Length: > 0 } mistake) throw new IOException(mistake);
        if (credential is FixedCredential { Value: var value }) return (Encoding.ASCII.GetBytes($"Authorization: {value}\r\n"), DateTimeOffset.MaxValue);
        var token = await keystone.ObtainAsync(service, (KeystoneCredential)credential!, cancellation);
        return (Encoding.ASCII.GetBytes($"X-Auth-Token: {token.Token}\r\n"), token.ExpiresAt - TimeSpan.FromMilliseconds(Bounds.TokenRenewBeforeMs));
    }

    private sealed class Known
    {
        public SemaphoreSlim Turn { get; } = new(1);

        public ReadOnlyMemory<byte> Fields { get; set; }

        public DateTimeOffset Until { get; set; }

        public string Failure { get; set; } = "";

        /// <summary>The timestamp of the last failure; clocks may jump, timestamps do not.</summary>
        public long? FailedAt { get; set; }
    }
}

/// <summary>Reads the file of a service credential.</summary>
internal static class CredentialFile
{
    private const UnixFileMode Others =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    /// <summary>Reads a file.</summary>
    /// <param name="file">Its path; whoever else may do something with it makes it unusable.</param>
    /// <param name="credential">The credential; null when there is a mistake.</param>
    /// <returns>What is wrong, without showing the text; empty for nothing.</returns>
    public static string Read(string file, out ServiceCredential? credential)
    {
        credential = null;
        try
        {
            if (!File.Exists(file)) return $"{Shown.Of(file)} does not exist";
            if ((File.GetUnixFileMode(file) & Others) != 0) return $"{file} holds a secret, and others than its owner may use it: chmod 600 {file}";
            if (new FileInfo(file).Length > Bounds.CredentialSizeMax) return $"{file} is larger than {Bounds.CredentialSizeMax} bytes";
            return ServiceCredential.TryParse(File.ReadAllText(file), out credential, out var mistake) ? "" : $"{file}: {mistake}";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"{file} cannot be read: {e.Message}";
        }
    }
}
