using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;

namespace Cheops.Tests.Fuzz.Translation;

/// <summary>A service whose every id of some length is that of a replicant: the local one is the meta-id backwards.</summary>
internal sealed class FuzzIds : IIdMap
{
    /// <summary>What the service's API looks like.</summary>
    public static ServiceProfile Service { get; } = Read();

    public bool TryToLocal(string service, string resource, ReadOnlySpan<byte> metaId, out string localId) => TryReverse(metaId, out localId);

    public bool TryToMeta(string service, string resource, ReadOnlySpan<byte> localId, out string metaId) => TryReverse(localId, out metaId);

    public bool HasAny(string service) => true;

    private static bool TryReverse(ReadOnlySpan<byte> id, out string reversed)
    {
        reversed = "";
        if (id.Length is < 3 or > 40 || id.ContainsAnyExceptInRange((byte)'0', (byte)'z')) return false;
        var letters = Encoding.ASCII.GetString(id).ToCharArray();
        Array.Reverse(letters);
        reversed = new string(letters);
        return true;
    }

    private static ServiceProfile Read() => ProfileReader.TryRead(
        """
        {"profile": "fuzz", "services": {"s": {"resources": {
          "images": {"collection": "/v2/images", "id": "image.id", "references": {"image.tags[]": {"resource": "tags", "dependency": "reliance"}}},
          "tags": {"collection": "/v2/tags"} }}}}
        """u8.ToArray(),
        out var profile, out _) ? profile.Services["s"] : throw new InvalidOperationException("the profile is wrong");
}
