using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Cheops.Tests.Integration.Support;

/// <summary>What a certificate is for.</summary>
public enum CertificateUse
{
    Server,
    Client,
}

/// <summary>An authority made for a test, which issues certificates as PEM files, the way an operator has them.</summary>
public sealed class TestAuthority : IDisposable
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;
    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-tls-").FullName;
    private readonly X509Certificate2 _root = MakeAuthority("Test Authority", issuer: null);
    private int _issued;

    public TestAuthority()
    {
        File.WriteAllText(AuthorityFile, _root.ExportCertificatePem());
        ServerIdentity = Identity(Issue(CertificateUse.Server, "CN=localhost"));
    }

    /// <summary>The authority's own certificate.</summary>
    public string AuthorityFile => Path.Combine(_directory, "ca.pem");

    public X509Certificate2Collection Certificates => Agent.Hosting.Certificates.Authorities(AuthorityFile)!;

    /// <summary>A server at <c>localhost</c> and 127.0.0.1.</summary>
    public SslStreamCertificateContext ServerIdentity { get; }

    public static SslStreamCertificateContext Identity((string Certificate, string Key) files) =>
        Agent.Hosting.Certificates.Identity(files.Certificate, files.Key);

    /// <summary>Issues a certificate for <paramref name="subject"/>; a server's is for localhost and 127.0.0.1.</summary>
    /// <param name="use">What it is for.</param>
    /// <param name="subject">Its distinguished name.</param>
    /// <param name="throughIntermediate">Whether an authority between signs it, which is written into the same file.</param>
    /// <param name="expired">Whether its time is over.</param>
    /// <param name="host">The name a server's certificate is for.</param>
    public (string Certificate, string Key) Issue(
        CertificateUse use, string subject, bool throughIntermediate = false, bool expired = false, string host = "localhost")
    {
        using var between = throughIntermediate ? MakeAuthority("Test Intermediate", _root) : null;
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(new X500DistinguishedName(subject), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(
            [new Oid(use == CertificateUse.Server ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2")], critical: false));
        if (use == CertificateUse.Server)
        {
            var names = new SubjectAlternativeNameBuilder();
            names.AddDnsName(host);
            names.AddIpAddress(IPAddress.Loopback);
            request.CertificateExtensions.Add(names.Build());
        }

        using var certificate = request.Create(
            between ?? _root, Now.AddDays(-2), expired ? Now.AddDays(-1) : Now.AddDays(2), RandomNumberGenerator.GetBytes(8));
        var name = Path.Combine(_directory, $"{Interlocked.Increment(ref _issued)}");
        File.WriteAllText($"{name}.crt", $"{certificate.ExportCertificatePem()}\n{between?.ExportCertificatePem()}\n");
        File.WriteAllText($"{name}.key", key.ExportPkcs8PrivateKeyPem());
        return ($"{name}.crt", $"{name}.key");
    }

    private static X509Certificate2 MakeAuthority(string name, X509Certificate2? issuer)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        if (issuer is null) return request.CreateSelfSigned(Now.AddDays(-3), Now.AddDays(3));
        using var signed = request.Create(issuer, Now.AddDays(-3), Now.AddDays(3), RandomNumberGenerator.GetBytes(8));
        return signed.CopyWithPrivateKey(key);
    }

    public void Dispose()
    {
        _root.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
