using System.Collections.Immutable;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Cheops.Agent.Mesh;

namespace Cheops.Agent.Transport;

/// <summary>Bytes through a TLS session over a socket.</summary>
internal sealed class TlsTransport : ByteTransport
{
    private readonly SocketTransport _socket;
    private readonly SslStream _stream;

    private TlsTransport(SocketTransport socket, SslStream stream)
    {
        _socket = socket;
        _stream = stream;
        PeerUser = stream.RemoteCertificate is X509Certificate2 certificate ? CertificateUser.Of(certificate) : null;
    }

    public override EndPoint? RemoteEndPoint => _socket.RemoteEndPoint;

    public override EndPoint? LocalEndPoint => _socket.LocalEndPoint;

    public override UserIdentity? PeerUser { get; }

    /// <summary>Shakes hands with a client.</summary>
    /// <exception cref="IOException">The handshake failed.</exception>
    public static ValueTask<TlsTransport> ServeAsync(
        SocketTransport socket, SslServerAuthenticationOptions options, CancellationToken cancellation) =>
        ShakeHandsAsync(socket, stream => stream.AuthenticateAsServerAsync(options, cancellation));

    /// <summary>Shakes hands with a server.</summary>
    /// <exception cref="IOException">The handshake failed.</exception>
    public static ValueTask<TlsTransport> DialAsync(
        SocketTransport socket, SslClientAuthenticationOptions options, CancellationToken cancellation) =>
        ShakeHandsAsync(socket, stream => stream.AuthenticateAsClientAsync(options, cancellation));

    private static async ValueTask<TlsTransport> ShakeHandsAsync(SocketTransport socket, Func<SslStream, Task> shake)
    {
        var stream = new SslStream(new NetworkStream(socket.Socket, ownsSocket: false), leaveInnerStreamOpen: false);
        try
        {
            // Signing takes a millisecond or more: the thread that polls the sockets must not do it.
            await Task.Run(() => shake(stream));
            return new TlsTransport(socket, stream);
        }
        catch (Exception e)
        {
            socket.Abort();
            await stream.DisposeAsync();
            if (e is System.Security.Authentication.AuthenticationException)
                throw new IOException($"TLS: {e.Message} {e.InnerException?.Message}".TrimEnd(), e);
            throw;
        }
    }

    public override async ValueTask<int> ReceiveAsync(Memory<byte> buffer)
    {
        try
        {
            return await _stream.ReadAsync(buffer);
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException)
        {
            throw new IOException("the connection was aborted", e);
        }
    }

    public override async ValueTask SendAsync(ReadOnlyMemory<byte> data)
    {
        try
        {
            await _stream.WriteAsync(data);
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException)
        {
            throw new IOException("the connection was aborted", e);
        }
    }

    public override async ValueTask EndSendAsync()
    {
        try
        {
            // close_notify first: without it the end could be an attacker's.
            await _stream.ShutdownAsync();
            await _socket.EndSendAsync();
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException)
        {
            throw new IOException("the connection was aborted", e);
        }
    }

    public override void Abort() => _socket.Abort();

    protected override void Dispose(bool disposing)
    {
        _stream.Dispose();
        _socket.Dispose();
    }
}

/// <summary>The user whom a client certificate names, as Kubernetes reads it: the common name, in the groups of the organizations.</summary>
internal static class CertificateUser
{
    public static UserIdentity? Of(X509Certificate2 certificate)
    {
        string? name = null;
        var groups = ImmutableArray.CreateBuilder<string>();
        foreach (var part in certificate.SubjectName.EnumerateRelativeDistinguishedNames(reversed: false))
        {
            if (part.HasMultipleElements) continue;
            var value = part.GetSingleElementValue();
            if (string.IsNullOrEmpty(value) || value.Any(c => c is < ' ' or > '~')) continue;
            if (part.GetSingleElementType().Value == "2.5.4.3") name ??= value;
            else if (part.GetSingleElementType().Value == "2.5.4.10") groups.Add(value);
        }

        return name is null ? null : new UserIdentity(name, groups.ToImmutable());
    }
}

/// <summary>TLS options from certificates, for both sides.</summary>
internal static class TlsOptions
{
    /// <summary>For a listener: <paramref name="certificate"/>, and clients believed if <paramref name="clientCa"/> signed them.</summary>
    public static SslServerAuthenticationOptions ForServer(SslStreamCertificateContext certificate, X509Certificate2Collection? clientCa) => new()
    {
        ServerCertificateContext = certificate,
        ApplicationProtocols = [SslApplicationProtocol.Http11],
        ClientCertificateRequired = clientCa is not null,

        // A client may come without a certificate, with a token perhaps; with one that is not believed, it may not come.
        RemoteCertificateValidationCallback = (_, presented, _, _) =>
            presented is null || (clientCa is not null && presented is X509Certificate2 its && IsSignedBy(its, clientCa, "1.3.6.1.5.5.7.3.2")),
        AllowRenegotiation = false,
    };

    /// <summary>For a connection to a service instance at <paramref name="host"/>.</summary>
    /// <param name="host">The host that the instance's certificate must name.</param>
    /// <param name="ca">Who must have signed it; null for the system's authorities.</param>
    /// <param name="own">What the agent shows of itself; null for nothing.</param>
    public static SslClientAuthenticationOptions ForClient(string host, X509Certificate2Collection? ca, SslStreamCertificateContext? own)
    {
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = host,
            ClientCertificateContext = own,
            ApplicationProtocols = [SslApplicationProtocol.Http11],
            AllowRenegotiation = false,
        };
        if (ca is not null)
        {
            options.CertificateChainPolicy = Policy(ca, "1.3.6.1.5.5.7.3.1");
        }

        return options;
    }

    private static bool IsSignedBy(X509Certificate2 certificate, X509Certificate2Collection ca, string usage)
    {
        using var chain = new X509Chain { ChainPolicy = Policy(ca, usage) };
        return chain.Build(certificate);
    }

    private static X509ChainPolicy Policy(X509Certificate2Collection ca, string usage)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.AddRange(ca);
        policy.ApplicationPolicy.Add(new System.Security.Cryptography.Oid(usage));
        return policy;
    }
}
