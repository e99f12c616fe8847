using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Cheops.Agent.Settings;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Settings;

public sealed class SettingsFilesTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-test-");
    private readonly FakeTimeProvider _time = new(Now);

    public void Dispose() => _directory.Delete(recursive: true);

    private string Write(string name, string text)
    {
        var path = Path.Combine(_directory.FullName, name);
        File.WriteAllText(path, text);
        return path;
    }

    private (string Cert, string Key) MakePair(string name, DateTimeOffset until, string? dnsName = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        if (dnsName is not null)
        {
            var names = new SubjectAlternativeNameBuilder();
            names.AddDnsName(dnsName);
            request.CertificateExtensions.Add(names.Build());
        }

        using var certificate = request.CreateSelfSigned(Now.AddDays(-10), until);
        return (Write(name + ".crt", certificate.ExportCertificatePem()), Write(name + ".key", key.ExportPkcs8PrivateKeyPem()));
    }

    private AgentSettings With(string cert, string key, string? ca) => new()
    {
        Site = "Site1",
        DataDirectory = Path.Combine(_directory.FullName, "data"),
        Services =
        [
            new ServiceSettings
            {
                Name = "shop", Listen = [IPEndPoint.Parse("127.0.0.1:1")], Upstream = new UpstreamAddress(false, "127.0.0.1", 2),
                Tls = new ListenerTlsSettings(cert, key, ca),
            },
        ],
    };

    private string Check(AgentSettings settings, string path = "/usr/bin:/bin") => string.Join('\n', SettingsFiles.Check(settings, [], _time, path));

    [Fact]
    public void A_service_credential_must_be_one_and_a_secret()
    {
        var (cert, key) = MakePair("a", Now.AddDays(1));
        var settings = With(cert, key, cert);
        var path = Write("shop.rc", "Authorization: Basic abc=\n");
        settings = settings with { Services = [settings.Services[0] with { CredentialFile = path }] };
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        Assert.Equal($"CHEOPS_SERVICE_CREDENTIAL: {path} holds a secret, and others than its owner may use it: chmod 600 {path} (of shop)", Check(settings));
        File.SetUnixFileMode(path, UnixFileMode.UserRead);
        Assert.Equal("", Check(settings));
    }

    [Fact]
    public void A_good_pair_and_authority_pass()
    {
        var (cert, key) = MakePair("a", Now.AddDays(1));
        Assert.Equal("", Check(With(cert, key, cert)));
    }

    [Fact]
    public void What_is_missing_damaged_expired_or_mixed_up_is_told()
    {
        var (cert, key) = MakePair("a", Now.AddDays(1));
        var (_, otherKey) = MakePair("b", Now.AddDays(1));
        var (expired, expiredKey) = MakePair("c", Now.AddDays(-1));
        var nonsense = Write("nonsense", "nothing\n");
        Assert.Contains("CHEOPS_TLS_CERT: /none/x.crt does not exist (of shop)", Check(With("/none/x.crt", key, null)), StringComparison.Ordinal);
        Assert.Contains("is not that of the certificate", Check(With(cert, otherKey, null)), StringComparison.Ordinal);
        Assert.Contains("expired at 2025-12-31", Check(With(expired, expiredKey, null)), StringComparison.Ordinal);
        Assert.Contains("holds no certificate", Check(With(nonsense, key, null)), StringComparison.Ordinal);
        Assert.Contains("holds no private key", Check(With(cert, nonsense, null)), StringComparison.Ordinal);
        Assert.Contains("CHEOPS_TLS_CLIENT_CA:", Check(With(cert, key, nonsense)), StringComparison.Ordinal);
    }

    [Fact]
    public void An_encrypted_key_is_told_as_such()
    {
        var (cert, _) = MakePair("a", Now.AddDays(1));
        using var key = ECDsa.Create();
        var encrypted = Write("e.key", key.ExportEncryptedPkcs8PrivateKeyPem("x", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000)));
        Assert.Contains("without a passphrase", Check(With(cert, encrypted, null)), StringComparison.Ordinal);
    }

    [Fact]
    public void The_program_of_the_mesh_is_looked_for_only_when_there_are_peers()
    {
        var (cert, key) = MakePair("a", Now.AddDays(1));
        var alone = With(cert, key, null) with { Mesh = new MeshSettings { NatsServer = "no-such-nats" } };
        Assert.Equal("", Check(alone));
        var linked = alone with { Mesh = alone.Mesh with { Peers = [new PeerSettings("Site2", null)] } };
        Assert.Contains("CHEOPS_NATS_SERVER: 'no-such-nats'", Check(linked), StringComparison.Ordinal);
        Assert.Equal("", Check(linked with { Mesh = linked.Mesh with { NatsServer = "sh" } }));
        Assert.Contains("CHEOPS_NATS_SERVER", Check(linked with { Mesh = linked.Mesh with { NatsServer = cert } }), StringComparison.Ordinal);
    }

    [Fact]
    public void The_certificates_of_the_mesh_are_pairs_that_name_the_site_and_so_are_those_of_its_bulk_link()
    {
        var (cert, key) = MakePair("mesh", Now.AddDays(1), "site1.cheops.internal");
        var alone = With(cert, key, null) with { Mesh = new MeshSettings { Tls = new MeshTlsSettings(cert, key, cert) } };
        Assert.Equal("", Check(alone));
        Assert.Contains($"CHEOPS_MESH_CERT: the certificate in {cert} is not for site2.cheops.internal", Check(alone with { Site = "Site2" }), StringComparison.Ordinal);

        // Nothing is said of names that follow from another mistake.
        Assert.Empty(SettingsFiles.Check(alone with { Site = "" }, [new SettingMistake("CHEOPS_SITE", "required")], _time, ""));

        var (bulk, bulkKey) = MakePair("mesh-bulk", Now.AddDays(1), "site1-bulk.cheops.internal");
        Assert.Equal("", Check(alone));
        File.Delete(bulkKey);
        Assert.Equal($"CHEOPS_MESH_KEY: {bulkKey} does not exist", Check(alone));
        File.Copy(key, bulkKey);
        Assert.Contains($"CHEOPS_MESH_KEY: the key in {bulkKey} is not that of the certificate in {bulk}", Check(alone), StringComparison.Ordinal);
        MakePair("mesh-bulk", Now.AddDays(-1), "site1.cheops.internal");
        Assert.Contains("is not for site1-bulk.cheops.internal", Check(alone), StringComparison.Ordinal);
        Assert.Contains($"the certificate in {bulk} expired", Check(alone), StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_where_the_data_directory_should_be_is_told()
    {
        var (cert, key) = MakePair("a", Now.AddDays(1));
        Assert.Contains("CHEOPS_DATA:", Check(With(cert, key, null) with { DataDirectory = cert + "/below" }), StringComparison.Ordinal);
    }
}
