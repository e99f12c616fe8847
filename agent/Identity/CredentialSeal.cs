using System.Security.Cryptography;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Identity;

/// <summary>
/// Seals credentials for sites, so that an operation's record never holds one in clear: an ephemeral P-256 key agreement
/// with the site's key (NIST SP 800-56A), HKDF-SHA256 (RFC 5869), AES-256-GCM. Only the site can open it, and only as that of
/// the operation that it came with: nobody acts with it who puts it into another record.
/// </summary>
/// <remarks>A sealed credential is the ephemeral public key (65 bytes), the tag (16 bytes) and the cipher text.</remarks>
public sealed class CredentialSeal : IDisposable
{
    private const int PointSize = 65;
    private const int TagSize = 16;

    private static readonly byte[] Info = "cheops credential 1"u8.ToArray();

    // Each key encrypts one message, so that a constant nonce is never used twice with it.
    private static readonly byte[] Nonce = new byte[12];

    private readonly ECDiffieHellman _key;

    private CredentialSeal(ECDiffieHellman key) => (_key, PublicKey) = (key, Convert.ToBase64String(Point(key.ExportParameters(false).Q)));

    /// <summary>This site's public key, as its heartbeats tell it: an uncompressed point in Base64.</summary>
    public string PublicKey { get; }

    /// <summary>Reads this site's private key from a file; makes both when there is none.</summary>
    /// <exception cref="IOException">The file cannot be read or written, or holds no key.</exception>
    public static CredentialSeal Open(string path)
    {
        var key = ECDiffieHellman.Create(ECCurve.NamedCurves.nistP256);
        try
        {
            if (File.Exists(path))
            {
                key.ImportPkcs8PrivateKey(File.ReadAllBytes(path), out _);
                return new CredentialSeal(key);
            }

            // Written beside and renamed: a crash leaves all of it or none. A key that is lost costs the credentials
            // of the operations under way, which are then asked for anew.
            var options = new FileStreamOptions
            {
                Mode = FileMode.Create,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            };
            using (var file = new FileStream(path + ".new", options))
            {
                file.Write(key.ExportPkcs8PrivateKey());
                file.Flush(flushToDisk: true);
            }

            File.Move(path + ".new", path, overwrite: true);
            return new CredentialSeal(key);
        }
        catch (Exception e) when (e is CryptographicException or UnauthorizedAccessException)
        {
            key.Dispose();
            throw new IOException($"{path} holds no key that can be used ({e.Message}); remove it, and a new one is made", e);
        }
    }

    /// <summary>Seals for a site.</summary>
    /// <param name="credential">The credential's field lines.</param>
    /// <param name="publicKey">The site's public key.</param>
    /// <param name="operation">The operation for which it is.</param>
    /// <returns>What only the site can open; null when the key is none.</returns>
    public static byte[]? Seal(ReadOnlySpan<byte> credential, string publicKey, OperationId operation)
    {
        try
        {
            using var site = Import(Convert.FromBase64String(publicKey));
            using var ephemeral = ECDiffieHellman.Create(ECCurve.NamedCurves.nistP256);
            var point = Point(ephemeral.ExportParameters(false).Q);
            var sealedBytes = new byte[PointSize + TagSize + credential.Length];
            point.CopyTo(sealedBytes, 0);
            using var cipher = new AesGcm(KeyOf(ephemeral, site, point), TagSize);
            cipher.Encrypt(Nonce, credential, sealedBytes.AsSpan(PointSize + TagSize), sealedBytes.AsSpan(PointSize, TagSize), ContextOf(operation));
            return sealedBytes;
        }
        catch (Exception e) when (e is CryptographicException or FormatException)
        {
            return null;
        }
    }

    /// <summary>Opens what was sealed for this site and an operation; empty when it cannot be opened, as after the key was lost.</summary>
    public ReadOnlyMemory<byte> Open(ReadOnlyMemory<byte> sealedCredential, OperationId operation)
    {
        if (sealedCredential.Length < PointSize + TagSize) return default;
        try
        {
            var bytes = sealedCredential.Span;
            using var ephemeral = Import(bytes[..PointSize].ToArray());
            using var cipher = new AesGcm(KeyOf(_key, ephemeral, bytes[..PointSize].ToArray()), TagSize);
            var opened = new byte[bytes.Length - PointSize - TagSize];
            cipher.Decrypt(Nonce, bytes[(PointSize + TagSize)..], bytes.Slice(PointSize, TagSize), opened, ContextOf(operation));
            return opened;
        }
        catch (CryptographicException)
        {
            return default;
        }
    }

    private static byte[] ContextOf(OperationId operation)
    {
        var context = new byte[OperationId.Size];
        operation.Write(context);
        return context;
    }

    private static byte[] KeyOf(ECDiffieHellman own, ECDiffieHellman other, byte[] ephemeralPoint)
    {
        var secret = own.DeriveRawSecretAgreement(other.PublicKey);
        return HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 32, ephemeralPoint, Info);
    }

    private static byte[] Point(ECPoint point) => [4, .. point.X!, .. point.Y!];

    private static ECDiffieHellman Import(byte[] point)
    {
        if (point.Length != PointSize || point[0] != 4) throw new CryptographicException("not an uncompressed point of P-256");
        return ECDiffieHellman.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint { X = point[1..33], Y = point[33..] },
        });
    }

    /// <inheritdoc/>
    public void Dispose() => _key.Dispose();
}
