using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Cheops.Agent.Settings;
using Cheops.Agent.Transport;

namespace Cheops.Agent.Hosting;

/// <summary>Reads PEM files into what TLS needs.</summary>
internal static class Certificates
{
    /// <summary>A certificate with its chain and key.</summary>
    /// <exception cref="IOException">A file cannot be read, or is no PEM.</exception>
    public static SslStreamCertificateContext Identity(string certificateFile, string keyFile)
    {
        try
        {
            using var fromPem = X509Certificate2.CreateFromPemFile(certificateFile, keyFile);
            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(certificateFile);
            return SslStreamCertificateContext.Create(
                X509CertificateLoader.LoadPkcs12(fromPem.Export(X509ContentType.Pkcs12), null), chain, offline: true);
        }
        catch (Exception e) when (e is CryptographicException or UnauthorizedAccessException)
        {
            throw new IOException($"the certificate {certificateFile} with the key {keyFile} cannot be used: {e.Message}", e);
        }
    }

    /// <summary>Authorities.</summary>
    /// <exception cref="IOException">The file cannot be read, or is no PEM.</exception>
    public static X509Certificate2Collection? Authorities(string? file)
    {
        if (file is null) return null;
        try
        {
            var authorities = new X509Certificate2Collection();
            authorities.ImportFromPemFile(file);
            return authorities;
        }
        catch (Exception e) when (e is CryptographicException or UnauthorizedAccessException)
        {
            throw new IOException($"the authorities in {file} cannot be used: {e.Message}", e);
        }
    }

    /// <summary>TLS options for the listeners of one service.</summary>
    public static SslServerAuthenticationOptions ForListener(ListenerTlsSettings settings) =>
        TlsOptions.ForServer(Identity(settings.CertificateFile, settings.KeyFile), Authorities(settings.ClientCaFile));
}

/// <summary>Connects to one service's instance, as its settings say.</summary>
internal sealed class ServiceConnector
{
    private readonly UpstreamAddress _address;
    private volatile SslClientAuthenticationOptions? _plain;
    private volatile SslClientAuthenticationOptions? _asFrontProxy;

    public ServiceConnector(ServiceSettings settings)
    {
        _address = settings.Upstream;
        Reload(settings);
    }

    /// <summary>Reads certificates anew; connections made from now on use them.</summary>
    public void Reload(ServiceSettings settings)
    {
        if (!_address.Tls) return;
        var tls = settings.UpstreamTls;
        var ca = Certificates.Authorities(tls.CaFile);
        _plain = TlsOptions.ForClient(_address.Host, ca, own: null);
        _asFrontProxy = tls is { CertificateFile: { } certificate, KeyFile: { } key }
            ? TlsOptions.ForClient(_address.Host, ca, Certificates.Identity(certificate, key))
            : null;
    }

    /// <summary>Makes a connection.</summary>
    /// <exception cref="IOException">The instance was not reached.</exception>
    public async ValueTask<Channel> ConnectAsync(bool asFrontProxy, CancellationToken cancellation)
    {
        if (asFrontProxy && _asFrontProxy is null)
            throw new IOException("the user can only be asserted with a front proxy's certificate: set CHEOPS_UPSTREAM_CERT and _KEY for this service, with https");
        var transport = await TcpDialer.ConnectAsync(_address.Host, _address.Port, cancellation);
        if (_plain is null) return new BufferedChannel(transport);
        return new BufferedChannel(await TlsTransport.DialAsync(transport, (asFrontProxy ? _asFrontProxy : _plain)!, cancellation));
    }
}
