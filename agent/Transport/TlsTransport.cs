using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Cheops.Agent.Mesh;

namespace Cheops.Agent.Transport;

/// <summary>Bytes through a TLS session over another transport.</summary>
internal sealed class TlsTransport : ByteTransport
{
    private readonly ByteTransport _transport;
    private readonly SslStream _stream;

    private TlsTransport(ByteTransport transport, SslStream stream)
    {
        _transport = transport;
        _stream = stream;
        PeerUser = stream.RemoteCertificate is X509Certificate2 certificate ? CertificateUser.Of(certificate) : null;
    }

    public override EndPoint? RemoteEndPoint => _transport.RemoteEndPoint;

    public override EndPoint? LocalEndPoint => _transport.LocalEndPoint;

    public override UserIdentity? PeerUser { get; }

    /// <summary>Shakes hands with a client.</summary>
    /// <param name="transport">What carries the session; released when the handshake fails.</param>
    /// <param name="options">What the server shows and asks for.</param>
    /// <param name="cancellation">Ends the handshake.</param>
    /// <exception cref="IOException">The handshake failed.</exception>
    /// <exception cref="OperationCanceledException">The time was up.</exception>
    public static ValueTask<TlsTransport> ServeAsync(
        ByteTransport transport, SslServerAuthenticationOptions options, CancellationToken cancellation) =>
        ShakeHandsAsync(transport, stream => stream.AuthenticateAsServerAsync(options, CancellationToken.None), cancellation);

    /// <summary>Shakes hands with a server.</summary>
    /// <param name="transport">What carries the session; released when the handshake fails.</param>
    /// <param name="options">Whom to believe, and what to show.</param>
    /// <param name="cancellation">Ends the handshake.</param>
    /// <exception cref="IOException">The handshake failed.</exception>
    /// <exception cref="OperationCanceledException">The time was up.</exception>
    public static ValueTask<TlsTransport> DialAsync(
        ByteTransport transport, SslClientAuthenticationOptions options, CancellationToken cancellation) =>
        ShakeHandsAsync(transport, stream => stream.AuthenticateAsClientAsync(options, CancellationToken.None), cancellation);

    private static async ValueTask<TlsTransport> ShakeHandsAsync(
        ByteTransport transport, Func<SslStream, Task> shake, CancellationToken cancellation)
    {
        var bytes = new TlsBytes(transport);
        var stream = new SslStream(bytes, leaveInnerStreamOpen: true);
        try
        {
            using (cancellation.UnsafeRegister(static carrier => ((ByteTransport)carrier!).Abort(), transport))
            {
                // Signing takes a millisecond or more: the thread that polls the sockets must not do it.
                await Task.Run(() => shake(stream), CancellationToken.None);
            }

            bytes.EndHandshake();
            return new TlsTransport(transport, stream);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Not a reset: the alert that tells the peer why must still reach it.
            await stream.DisposeAsync();
            transport.Dispose();
            if (cancellation.IsCancellationRequested) throw new OperationCanceledException("the TLS handshake took too long", e, cancellation);
            throw Failed(e);
        }
    }

    private static IOException Failed(Exception e) =>
        e is AuthenticationException ? new IOException($"TLS: {e.Message} {e.InnerException?.Message}".TrimEnd(), e)
        : new IOException($"TLS: the handshake was broken off: {e.Message}", e);

    public override async ValueTask<int> ReceiveAsync(Memory<byte> buffer)
    {
        try
        {
            return await _stream.ReadAsync(buffer);
        }
        catch (Exception e) when (e is not (IOException or OutOfMemoryException))
        {
            throw Aborted(e);
        }
    }

    public override async ValueTask SendAsync(ReadOnlyMemory<byte> data)
    {
        try
        {
            await _stream.WriteAsync(data);
        }
        catch (Exception e) when (e is not (IOException or OutOfMemoryException))
        {
            throw Aborted(e);
        }
    }

    public override async ValueTask EndSendAsync()
    {
        try
        {
            // close_notify first: without it the end could be an attacker's.
            await _stream.ShutdownAsync();
            await _transport.EndSendAsync();
        }
        catch (Exception e) when (e is not (IOException or OutOfMemoryException))
        {
            throw Aborted(e);
        }
    }

    private static IOException Aborted(Exception e) => new("the connection was aborted", e);

    public override void Abort() => _transport.Abort();

    protected override void Dispose(bool disposing)
    {
        _stream.Dispose();
        _transport.Dispose();
    }
}
