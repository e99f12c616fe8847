namespace Cheops.Tests.System.Harness;

/// <summary>The sites' mesh identities, of one authority: a certificate for control links and one for bulk links each.</summary>
internal sealed class MeshCertificates
{
    private readonly string _directory;

    private MeshCertificates(string directory) => _directory = directory;

    /// <summary>Issues them: they name the sites, and the addresses at which they are dialed.</summary>
    public static async Task<MeshCertificates> IssueAsync(string directory, params (string Site, string Address)[] sites)
    {
        var names = string.Join(' ', sites.Select(site => $"{site.Site.ToLowerInvariant()}={site.Address}"));
        var script = $$"""
            set -e
            cd {{directory}}
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=mesh
            for site in {{names}}; do
              for name in ${site%=*} ${site%=*}-bulk; do
                openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.csr -subj /CN=$name
                printf "subjectAltName=DNS:$name.cheops.internal,IP:${site#*=}" > $name.ext
                openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.crt
              done
            done
            """;
        (await Commands.ShellAsync(script)).Succeeded();
        return new MeshCertificates(directory);
    }

    /// <summary>Tells an agent of its identity.</summary>
    public void SetUp(string site, IDictionary<string, string> settings)
    {
        settings["CHEOPS_MESH_CERT"] = Path.Combine(_directory, $"{site.ToLowerInvariant()}.crt");
        settings["CHEOPS_MESH_KEY"] = Path.Combine(_directory, $"{site.ToLowerInvariant()}.key");
        settings["CHEOPS_MESH_CA"] = Path.Combine(_directory, "ca.crt");
    }
}
