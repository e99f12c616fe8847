using System.Text;
using Cheops.Agent.Identity;
using Cheops.Proto.Operations;

namespace Cheops.Tests.Unit.Identity;

public sealed class CredentialSealTests : IDisposable
{
    private static readonly byte[] Credential = "Authorization: Bearer of-a-user\r\n"u8.ToArray();
    private static readonly OperationId Operation = new(7);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-unit-");
    private readonly CredentialSeal _first;
    private readonly CredentialSeal _second;

    public CredentialSealTests() => (_first, _second) = (CredentialSeal.Open(FileOf("first")), CredentialSeal.Open(FileOf("second")));

    public void Dispose()
    {
        _first.Dispose();
        _second.Dispose();
        _directory.Delete(recursive: true);
    }

    private string FileOf(string name) => Path.Combine(_directory.FullName, name);

    [Fact]
    public void What_is_sealed_for_a_site_is_opened_by_it_alone()
    {
        var sealedBytes = CredentialSeal.Seal(Credential, _first.PublicKey, Operation)!;
        Assert.Equal(Credential, _first.Open(sealedBytes, Operation).ToArray());
        Assert.Empty(_second.Open(sealedBytes, Operation).ToArray());
        Assert.DoesNotContain("of-a-user", Encoding.Latin1.GetString(sealedBytes), StringComparison.Ordinal);
    }

    [Fact]
    public void It_is_opened_with_its_operation_alone()
    {
        var sealedBytes = CredentialSeal.Seal(Credential, _first.PublicKey, Operation)!;
        Assert.Empty(_first.Open(sealedBytes, new OperationId(8)).ToArray());
        Assert.Empty(_first.Open(sealedBytes, default).ToArray());
    }

    [Fact]
    public void Any_changed_or_missing_bit_is_noticed()
    {
        var sealedBytes = CredentialSeal.Seal(Credential, _first.PublicKey, Operation)!;
        for (var bit = 0; bit < 8 * sealedBytes.Length; bit++)
        {
            var changed = sealedBytes.ToArray();
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Empty(_first.Open(changed, Operation).ToArray());
        }

        for (var length = 0; length < sealedBytes.Length; length++) Assert.Empty(_first.Open(sealedBytes.AsMemory(0, length), Operation).ToArray());
        Assert.Empty(_first.Open((byte[])[.. sealedBytes, 0], Operation).ToArray());
    }

    [Fact]
    public void The_same_credential_is_never_sealed_alike()
    {
        var (one, two) = (CredentialSeal.Seal(Credential, _first.PublicKey, Operation)!, CredentialSeal.Seal(Credential, _first.PublicKey, Operation)!);
        Assert.NotEqual(one, two);

        // What belongs to one message opens no other.
        byte[] mixed = [.. one[..65], .. two[65..]];
        Assert.Empty(_first.Open(mixed, Operation).ToArray());
    }

    [Theory]
    [InlineData("")]
    [InlineData("no Base64")]
    [InlineData("AAAA")]
    public void Nothing_is_sealed_for_what_is_no_key(string key) => Assert.Null(CredentialSeal.Seal(Credential, key, Operation));

    [Fact]
    public void Nothing_is_sealed_for_a_point_beside_the_curve()
    {
        var point = Convert.FromBase64String(_first.PublicKey);
        point[^1] ^= 1;
        Assert.Null(CredentialSeal.Seal(Credential, Convert.ToBase64String(point), Operation));
    }

    [Fact]
    public void The_key_is_kept_for_its_owner_alone()
    {
        using var again = CredentialSeal.Open(FileOf("first"));
        Assert.Equal(_first.PublicKey, again.PublicKey);
        Assert.Equal(Credential, again.Open(CredentialSeal.Seal(Credential, _first.PublicKey, Operation), Operation).ToArray());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(FileOf("first")));
    }

    [Fact]
    public void A_file_that_holds_no_key_is_told_and_left_alone()
    {
        File.WriteAllText(FileOf("damaged"), "none");
        Assert.Contains("holds no key", Assert.Throws<IOException>(() => CredentialSeal.Open(FileOf("damaged"))).Message, StringComparison.Ordinal);
        Assert.Equal("none", File.ReadAllText(FileOf("damaged")));
    }
}
