using System.Collections.Immutable;
using System.Security.Cryptography.X509Certificates;
using Cheops.Agent.Mesh;

namespace Cheops.Agent.Transport;

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
