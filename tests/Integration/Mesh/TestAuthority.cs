using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Cheops.Agent.Mesh;

namespace Cheops.Tests.Integration.Mesh;

/// <summary>An authority that signs mesh certificates into a folder.</summary>
internal sealed class TestAuthority
{
    private readonly string _directory;
    private readonly string _keyPem;
    private readonly string _certificatePem;

    public TestAuthority(string directory, string name)
    {
        _directory = Directory.CreateDirectory(Path.Combine(directory, name)).FullName;
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(2));
        _keyPem = key.ExportPkcs8PrivateKeyPem();
        _certificatePem = certificate.ExportCertificatePem();
        Ca = Path.Combine(_directory, "ca.crt");
        File.WriteAllText(Ca, _certificatePem);
    }

    public string Ca { get; }

    /// <summary>Issues a site's certificates: one, or a second for bulk beside it.</summary>
    public MeshTls Issue(string site, bool bulk)
    {
        var tls = Issue(site, site.ToLowerInvariant());
        if (bulk) Issue(site + "-bulk", site.ToLowerInvariant() + "-bulk");
        return tls;
    }

    private MeshTls Issue(string file, string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name + ".cheops.internal");
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var issuer = X509Certificate2.CreateFromPem(_certificatePem, _keyPem);
        using var signed = request.Create(issuer, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1), RandomNumberGenerator.GetBytes(8));
        var tls = new MeshTls(Path.Combine(_directory, file + ".crt"), Path.Combine(_directory, file + ".key"), Ca);
        File.WriteAllText(tls.Certificate, signed.ExportCertificatePem());
        File.WriteAllText(tls.Key, key.ExportPkcs8PrivateKeyPem());
        return tls;
    }
}
