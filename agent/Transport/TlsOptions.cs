using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Cheops.Agent.Transport;

/// <summary>TLS options from certificates, for both sides.</summary>
internal static class TlsOptions
{
    // id-kp-serverAuth and id-kp-clientAuth (RFC 5280 section 4.2.1.12).
    private const string ServerUsage = "1.3.6.1.5.5.7.3.1";
    private const string ClientUsage = "1.3.6.1.5.5.7.3.2";

    /// <summary>For a listener: <paramref name="certificate"/>, and clients believed if <paramref name="clientCa"/> signed them.</summary>
    public static SslServerAuthenticationOptions ForServer(SslStreamCertificateContext certificate, X509Certificate2Collection? clientCa) => new()
    {
        ServerCertificateContext = certificate,
        ApplicationProtocols = [SslApplicationProtocol.Http11],
        ClientCertificateRequired = clientCa is not null,

        // A client may come without a certificate, with a token perhaps; with one that is not believed, it may not come.
        RemoteCertificateValidationCallback = (_, presented, sent, _) =>
            presented is null || (clientCa is not null && presented is X509Certificate2 its && IsClientOf(its, sent?.ChainPolicy.ExtraStore, clientCa)),
        AllowRenegotiation = false,
    };

    /// <summary>For a connection to a service instance at <paramref name="host"/>.</summary>
    /// <param name="host">The host that the instance's certificate must name.</param>
    /// <param name="ca">Who must have signed it; null for the system's authorities.</param>
    /// <param name="own">What the agent shows of itself; null for nothing.</param>
    public static SslClientAuthenticationOptions ForClient(string host, X509Certificate2Collection? ca, SslStreamCertificateContext? own) => new()
    {
        TargetHost = host,
        ClientCertificateContext = own,
        ApplicationProtocols = [SslApplicationProtocol.Http11],
        AllowRenegotiation = false,
        CertificateChainPolicy = Policy(ca, ServerUsage),
    };

    // The authorities between the client and ours are what the client sent along.
    private static bool IsClientOf(X509Certificate2 certificate, X509Certificate2Collection? sent, X509Certificate2Collection ca)
    {
        using var chain = new X509Chain { ChainPolicy = Policy(ca, ClientUsage) };
        if (sent is not null) chain.ChainPolicy.ExtraStore.AddRange(sent);
        return chain.Build(certificate);
    }

    // Nothing that a certificate names is downloaded: the published executable cannot (Substitutions.xml).
    private static X509ChainPolicy Policy(X509Certificate2Collection? ca, string usage)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = ca is null ? X509ChainTrustMode.System : X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        if (ca is not null) policy.CustomTrustStore.AddRange(ca);
        policy.ApplicationPolicy.Add(new System.Security.Cryptography.Oid(usage));
        return policy;
    }
}
