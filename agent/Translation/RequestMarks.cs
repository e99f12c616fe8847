using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>Finds the marks by which a request says that it changes nothing (<see cref="ResourceProfile.Never"/>) in its body.</summary>
public static class RequestMarks
{
    /// <summary>Whether a body has one of the marks; of a list, its first element counts.</summary>
    /// <param name="resource">The kind of resource.</param>
    /// <param name="body">The body, in JSON.</param>
    public static bool AnyIn(ResourceProfile resource, ReadOnlySpan<byte> body)
    {
        if (body.IsEmpty || !resource.Never.Any(mark => mark.Field is not null)) return false;
        var root = new FieldNode<KeyPlace>();
        for (var i = 0; i < resource.Never.Length; i++)
        {
            if (resource.Never[i].Field is { } field) root.Reach(field.Segments).Known.Slot = i;
        }

        var reader = new ElementReader(resource.Never.Length, root);
        reader.Feed(body);
        var values = reader.Values;
        return resource.Never.Where((mark, at) => mark.Field is not null && values[at] == mark.Value).Any();
    }

    /// <summary>Whether a query has one of the marks.</summary>
    /// <param name="resource">The kind of resource.</param>
    /// <param name="query">The query without its question mark; empty for none.</param>
    public static bool AnyIn(ResourceProfile resource, string query) => query.Length > 0 && !resource.Never.IsEmpty && query.Split('&').Any(parameter =>
    {
        var (name, value) = parameter.IndexOf('=', StringComparison.Ordinal) is >= 0 and var at ? (parameter[..at], parameter[(at + 1)..]) : (parameter, "");
        return resource.Never.Any(mark => mark.Field is null && mark.Name == Decoded(name) && mark.Value == Decoded(value));
    });

    private static string Decoded(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return Encoding.UTF8.GetString(PercentEncoding.Decode(bytes, new byte[bytes.Length]));
    }
}
