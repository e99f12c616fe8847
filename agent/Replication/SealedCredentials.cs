using System.Buffers;
using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Identity;
using Cheops.Agent.Mesh;
using Cheops.Proto.Http;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>Seals the credentials that come with a request for each site that is to carry it out, so that its record holds none in clear.</summary>
/// <param name="site">This site.</param>
/// <param name="mesh">What sites tell of themselves.</param>
/// <param name="seal">This site's key.</param>
/// <param name="keys">The keys of sites that are not heard now.</param>
/// <param name="warn">Told of a site for which nothing can be sealed.</param>
internal sealed class SealedCredentials(string site, IMesh mesh, CredentialSeal seal, SiteKeys keys, Action<string> warn)
{
    private const ulong Known = (1UL << (int)KnownField.Authorization) | (1UL << (int)KnownField.Cookie) | (1UL << (int)KnownField.XAuthToken);

    // Parts of names that applications give to fields and parameters with credentials, such as X-Service-Token or api_key.
    private static readonly string[] Words = ["token", "secret", "passw", "credential", "api-key", "apikey", "auth-key", "cookie", "authorization"];

    // What a parameter of a query is called besides: it is a credential for one request.
    private static readonly string[] Parameters = ["signature", "sig", "auth", "jwt"];

    private readonly ConcurrentDictionary<string, bool> _warned = new();

    /// <summary>The fields with credentials that every parser of heads knows.</summary>
    public static ulong KnownFields => Known;

    /// <summary>Whether a field's name says that it holds a credential.</summary>
    public static bool IsCredential(string name) => Words.Any(word => name.Contains(word, StringComparison.OrdinalIgnoreCase));

    /// <summary>Whether the name of a query's parameter says that it holds a credential.</summary>
    public static bool IsCredentialParameter(string name)
    {
        var alike = name.Replace('_', '-');
        return IsCredential(alike) || Parameters.Any(word => alike.Equals(word, StringComparison.OrdinalIgnoreCase) || alike.EndsWith("-" + word, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>A request's credentials for each of the sites; none when it has none.</summary>
    /// <param name="sites">The sites.</param>
    /// <param name="head">The request.</param>
    /// <param name="target">Its target, with the credentials that its query carries.</param>
    /// <param name="operation">The operation that is made of it: only with it what is sealed can be opened.</param>
    public ImmutableArray<(string Site, ReadOnlyMemory<byte> Sealed)> For(ImmutableArray<string> sites, RequestHead head, string target, OperationId operation)
    {
        var credential = new ArrayBufferWriter<byte>();
        foreach (ref readonly var line in head.Fields)
        {
            if (line.Known == KnownField.Other ? !IsCredential(Encoding.ASCII.GetString(head.Name(line))) : (line.Known.Bit() & Known) == 0) continue;
            credential.Write(head.Name(line));
            credential.Write(": "u8);
            credential.Write(head.Value(line));
            credential.Write("\r\n"u8);
        }

        foreach (var parameter in QueryCredentials.Take(target).Taken) credential.Write(Encoding.ASCII.GetBytes($"?{parameter}\r\n"));
        if (credential.WrittenCount == 0) return [];
        var now = mesh.Sites;
        var sealedFor = ImmutableArray.CreateBuilder<(string, ReadOnlyMemory<byte>)>();
        foreach (var to in sites)
        {
            var key = to == site ? seal.PublicKey : now.FirstOrDefault(one => one.Name == to)?.SealingKey is { Length: > 0 } told ? told : keys.Of(to);
            if (key.Length > 0 && CredentialSeal.Seal(credential.WrittenSpan, key, operation) is { } bytes) sealedFor.Add((to, bytes));
            else if (_warned.TryAdd(to, true)) warn($"{to} has never told by which key credentials are sealed for it: it has to carry operations out with a credential of its own until it is heard");
        }

        return sealedFor.ToImmutable();
    }
}
