using System.Text;

namespace Cheops.Agent.Profiles;

/// <summary>What a request does to a resource.</summary>
/// <param name="Kind">The kind of operation: <c>create</c>, <c>update</c>, <c>delete</c>, or one of the profile's own.</param>
/// <param name="Idempotent">Whether carrying it out twice is as once.</param>
public sealed record RequestOperation(string Kind, bool Idempotent)
{
    /// <summary>Makes a resource.</summary>
    public const string Create = "create";

    /// <summary>Changes a resource.</summary>
    public const string Update = "update";

    /// <summary>Ends a resource.</summary>
    public const string Delete = "delete";
}

/// <summary>Tells which requests are operations on one resource, by its profile.</summary>
public static class OperationRules
{
    private static readonly RequestOperation Creates = new(RequestOperation.Create, false);
    private static readonly RequestOperation Updates = new(RequestOperation.Update, false);
    private static readonly RequestOperation Replaces = new(RequestOperation.Update, true);
    private static readonly RequestOperation Deletes = new(RequestOperation.Delete, true);

    /// <summary>What a request does.</summary>
    /// <param name="match">What its path names.</param>
    /// <param name="method">Its method.</param>
    /// <param name="contentType">Its <c>Content-Type</c>, with parameters or without; empty for none.</param>
    /// <returns>
    /// Null when it is no operation on one resource: it reads (GET, HEAD, OPTIONS, also of an action), its action is never
    /// replicated, or it is about a collection as a whole.
    /// </returns>
    public static RequestOperation? Of(in PathMatch match, ReadOnlySpan<byte> method, ReadOnlySpan<byte> contentType)
    {
        if (match.Resource is not { } resource || method is [] || IsSafe(method)) return null;
        var isPost = method.SequenceEqual("POST"u8);
        switch (match.Kind)
        {
            case PathKind.Collection or PathKind.Convention when isPost:
                return Creates;
            case PathKind.Item or PathKind.Convention:
                return Marked(resource, method, "", contentType) ?? (method.SequenceEqual("PUT"u8) ? Replaces : method.SequenceEqual("DELETE"u8) ? Deletes : Updates);
            case PathKind.Action:
                return OfAction(resource, Encoding.UTF8.GetString(match.Action), method, contentType);
            default:
                return null;
        }
    }

    private static bool IsSafe(ReadOnlySpan<byte> method) =>
        method.SequenceEqual("GET"u8) || method.SequenceEqual("HEAD"u8) || method.SequenceEqual("OPTIONS"u8) || method.SequenceEqual("TRACE"u8) || method.SequenceEqual("CONNECT"u8);

    // '/members/x' is of '/members'; the longest that the profile names counts, and one that it does not name is an operation.
    private static RequestOperation? OfAction(ResourceProfile resource, string path, ReadOnlySpan<byte> method, ReadOnlySpan<byte> contentType)
    {
        var action = path;
        while (action.Length > 0 && !resource.Actions.ContainsKey(action)) action = action[..Math.Max(0, action.LastIndexOf('/'))];
        if (action.Length > 0 && resource.Actions[action] == ActionRule.Never) return null;
        var idempotent = method.SequenceEqual("PUT"u8) || method.SequenceEqual("DELETE"u8);
        return Marked(resource, method, path, contentType) ?? (idempotent ? Replaces : Updates);
    }

    private static RequestOperation? Marked(ResourceProfile resource, ReadOnlySpan<byte> method, string action, ReadOnlySpan<byte> contentType)
    {
        foreach (var operation in resource.Operations)
        {
            if (operation.Action != action || !Ascii.Equals(method, operation.Method) || !IsOf(operation, contentType)) continue;
            var idempotent = operation.Idempotent || method.SequenceEqual("PUT"u8) || method.SequenceEqual("DELETE"u8);
            return new RequestOperation(operation.Kind, idempotent);
        }

        return null;
    }

    private static bool IsOf(OperationProfile operation, ReadOnlySpan<byte> contentType)
    {
        if (operation.ContentTypes.IsEmpty) return true;
        var type = contentType.IndexOf((byte)';') is >= 0 and var end ? contentType[..end] : contentType;
        type = type.Trim(" \t"u8);
        foreach (var known in operation.ContentTypes)
        {
            if (Ascii.EqualsIgnoreCase(type, known)) return true;
        }

        return false;
    }
}
