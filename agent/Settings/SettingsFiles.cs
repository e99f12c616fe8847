using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Cheops.Agent.Identity;
using Cheops.Agent.Mesh;

namespace Cheops.Agent.Settings;

/// <summary>Checks what settings name on this machine: certificates, keys, directories, programs. Changes nothing.</summary>
public static class SettingsFiles
{
    /// <summary>Every mistake in files and programs; empty when there is none.</summary>
    /// <param name="settings">The settings, as far as they could be read.</param>
    /// <param name="before">The mistakes in the text: nothing is said of what only follows from one of them.</param>
    /// <param name="time">Tells which certificates are past their time.</param>
    /// <param name="searchPath">The directories in which programs are looked for, as in <c>PATH</c>.</param>
    public static ImmutableArray<SettingMistake> Check(AgentSettings settings, ImmutableArray<SettingMistake> before, TimeProvider time, string searchPath)
    {
        var mistakes = new List<SettingMistake>();
        foreach (var service in settings.Services)
        {
            var suffix = $" (of {service.Name})";
            if (service.Tls is { } tls)
            {
                CheckPair(mistakes, Variables.TlsCert, Variables.TlsKey, suffix, tls.CertificateFile, tls.KeyFile, time);
                if (tls.ClientCaFile is not null) CheckAuthorities(mistakes, Variables.TlsClientCa, suffix, tls.ClientCaFile);
            }

            var upstream = service.UpstreamTls;
            if (upstream.CaFile is not null) CheckAuthorities(mistakes, Variables.UpstreamCa, suffix, upstream.CaFile);
            if (upstream.CertificateFile is not null && upstream.KeyFile is not null)
                CheckPair(mistakes, Variables.UpstreamCert, Variables.UpstreamKey, suffix, upstream.CertificateFile, upstream.KeyFile, time);
            if (service.CredentialFile is { } file && CredentialFile.Read(file, out _) is { Length: > 0 } mistake)
                mistakes.Add(new SettingMistake(Variables.ServiceCredential, mistake + suffix));
        }

        if (settings.Mesh.Tls is { } mesh) CheckMesh(mistakes, mesh, IsRight(Variables.Site) ? settings.Site : null, time);
        if (IsRight(Variables.NatsUrl)) CheckProgram(mistakes, settings.Mesh, searchPath);
        if (IsRight(Variables.Data)) CheckData(mistakes, settings.DataDirectory);
        return [.. mistakes.DistinctBy(mistake => (mistake.Variable, mistake.Message.Split(" (of ")[0]))];

        bool IsRight(string variable) => before.All(mistake => mistake.Variable != variable);
    }

    // The site is null when its name cannot be told.
    private static void CheckMesh(List<SettingMistake> mistakes, MeshTlsSettings mesh, string? site, TimeProvider time)
    {
        CheckPair(mistakes, Variables.MeshCert, Variables.MeshKey, "", mesh.CertificateFile, mesh.KeyFile, time, site is null ? null : MeshTls.NameOf(site, bulk: false));
        CheckAuthorities(mistakes, Variables.MeshCa, "", mesh.CaFile);

        // As the mesh does: the second certificate counts when it is there, and needs all else then.
        var bulk = MeshTls.BulkPath(mesh.CertificateFile);
        if (File.Exists(bulk))
            CheckPair(mistakes, Variables.MeshCert, Variables.MeshKey, "", bulk, MeshTls.BulkPath(mesh.KeyFile), time, site is null ? null : MeshTls.NameOf(site, bulk: true));
    }

    private static void CheckPair(
        List<SettingMistake> mistakes, string certName, string keyName, string of, string certFile, string keyFile, TimeProvider time, string? dnsName = null)
    {
        var cert = Read(mistakes, certName, of, certFile);
        var key = Read(mistakes, keyName, of, keyFile);
        if (cert is null || key is null) return;
        using var certificate = Certificate(mistakes, certName, of, certFile, cert);
        if (certificate is null) return;
        var now = time.GetUtcNow();
        if (now > certificate.NotAfter.ToUniversalTime())
            mistakes.Add(new SettingMistake(certName, $"the certificate in {certFile} expired at {certificate.NotAfter.ToUniversalTime():u}; put a new one there{of}"));
        if (dnsName is not null && !DnsNamesOf(certificate).Contains(dnsName, StringComparer.OrdinalIgnoreCase))
            mistakes.Add(new SettingMistake(certName, $"the certificate in {certFile} is not for {dnsName}, by which other sites know this one; issue one with that DNS name"));
        if (!key.Contains("PRIVATE KEY-----", StringComparison.Ordinal))
        {
            mistakes.Add(new SettingMistake(keyName, $"{keyFile} holds no private key in PEM{of}"));
            return;
        }

        if (key.Contains("ENCRYPTED", StringComparison.Ordinal))
        {
            mistakes.Add(new SettingMistake(keyName, $"the key in {keyFile} is encrypted; the agent needs one without a passphrase, readable by it alone{of}"));
            return;
        }

        try
        {
            using var pair = X509Certificate2.CreateFromPem(cert, key);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            mistakes.Add(new SettingMistake(keyName, $"the key in {keyFile} is not that of the certificate in {certFile}, or is damaged{of}"));
        }
    }

    private static IEnumerable<string> DnsNamesOf(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().SelectMany(names => names.EnumerateDnsNames());

    private static X509Certificate2? Certificate(List<SettingMistake> mistakes, string name, string of, string file, string pem)
    {
        try
        {
            return X509Certificate2.CreateFromPem(pem);
        }
        catch (CryptographicException)
        {
            mistakes.Add(new SettingMistake(name, $"{file} holds no certificate in PEM{of}"));
            return null;
        }
    }

    private static void CheckAuthorities(List<SettingMistake> mistakes, string name, string of, string file)
    {
        if (Read(mistakes, name, of, file) is not { } pem) return;
        var authorities = new X509Certificate2Collection();
        try
        {
            authorities.ImportFromPem(pem);
        }
        catch (CryptographicException)
        {
            // Told as none below.
        }

        if (authorities.Count == 0) mistakes.Add(new SettingMistake(name, $"{file} holds no certificate in PEM{of}"));
        foreach (var authority in authorities) authority.Dispose();
    }

    private static string? Read(List<SettingMistake> mistakes, string name, string of, string file)
    {
        try
        {
            using var reader = File.OpenText(file);
            var buffer = new char[Proto.Bounds.CertificateFileSizeMax + 1];
            var length = reader.ReadBlock(buffer);
            if (length <= Proto.Bounds.CertificateFileSizeMax) return new string(buffer, 0, length);
            mistakes.Add(new SettingMistake(name, $"{file} is larger than {Proto.Bounds.CertificateFileSizeMax} bytes{of}"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var why = e is UnauthorizedAccessException ? "may not be read by this user"
                : e is FileNotFoundException or DirectoryNotFoundException ? "does not exist"
                : "cannot be read";
            mistakes.Add(new SettingMistake(name, $"{Shown.Of(file)} {why}{of}"));
        }

        return null;
    }

    private static void CheckProgram(List<SettingMistake> mistakes, MeshSettings mesh, string searchPath)
    {
        if (mesh.Peers.IsEmpty || mesh.NatsUrl is not null || FindProgram(mesh.NatsServer, searchPath) is not null) return;
        mistakes.Add(new SettingMistake(
            Variables.NatsServer, $"'{Shown.Of(mesh.NatsServer)}' is no program that can be started; install nats-server (2.9 or newer), or say where it is"));
    }

    /// <summary>The path of a program; null when there is none that can be executed.</summary>
    internal static string? FindProgram(string name, string searchPath)
    {
        var candidates = name.Contains('/', StringComparison.Ordinal)
            ? [name]
            : searchPath.Split(':', StringSplitOptions.RemoveEmptyEntries).Select(directory => Path.Combine(directory, name));
        const UnixFileMode executable = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        return candidates.FirstOrDefault(path => File.Exists(path) && (File.GetUnixFileMode(path) & executable) != 0);
    }

    private static void CheckData(List<SettingMistake> mistakes, string path)
    {
        for (var at = path; at is not null; at = Path.GetDirectoryName(at))
        {
            if (Directory.Exists(at)) return;
            if (!File.Exists(at)) continue;
            mistakes.Add(new SettingMistake(Variables.Data, $"{Shown.Of(at)} is a file, not a directory"));
            return;
        }
    }
}
