using System.Text;
using Cheops.Agent.Translation;

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

    /// <summary>What a request does to a resource that is replicated, or is to be.</summary>
    /// <param name="match">What its path names.</param>
    /// <param name="method">Its method.</param>
    /// <param name="contentType">Its <c>Content-Type</c>, with parameters or without; empty for none.</param>
    /// <param name="refusal">Why it can neither be an operation nor be carried out at one site alone; null when it can.</param>
    /// <returns>
    /// Null when it is refused, and when it is no operation but runs where it is: it reads (GET, HEAD, OPTIONS, also of an action), its
    /// action is never replicated, or nothing is made by it.
    /// </returns>
    public static RequestOperation? Of(in PathMatch match, ReadOnlySpan<byte> method, ReadOnlySpan<byte> contentType, out string? refusal)
    {
        refusal = null;
        if (method is [] || IsSafe(method)) return null;
        if (match.Resource is not { } resource)
        {
            refusal = "the profile names no resource there";
            return null;
        }

        var action = Encoding.UTF8.GetString(match.Action).TrimEnd('/');
        var rule = RuleOf(resource, action);
        if (resource.Visibility == Visibility.None || rule == ActionRule.Never) return null;
        var isPost = method.SequenceEqual("POST"u8);
        if (resource.Visibility == Visibility.Local)
            refusal = $"{resource.Name} belong to their site (the profile says visibility: local)";
        else if (rule == ActionRule.Local)
            refusal = $"{action} changes one of the {resource.Name} at one site alone (the profile says local); what is done to the resource itself is replicated";
        else if (match.Kind == PathKind.Collection && !isPost)
            refusal = $"{Encoding.ASCII.GetString(method)} of a whole collection is no operation on one resource; send one for each";
        if (refusal is not null) return null;
        if (match.Kind == PathKind.Collection || (match.Kind == PathKind.Convention && isPost)) return Creates;
        var idempotent = method.SequenceEqual("PUT"u8) || method.SequenceEqual("DELETE"u8);
        return Marked(resource, method, action, contentType)
            ?? (action.Length == 0 && method.SequenceEqual("DELETE"u8) ? Deletes : idempotent ? Replaces : Updates);
    }

    /// <summary>
    /// Whether a request may be about one resource that is replicated: its path is that of the resource, or of an action that is
    /// not kept at its site.
    /// </summary>
    public static bool IsOfOneResource(in PathMatch match, ReadOnlySpan<byte> method) =>
        match.Resource is { Visibility: Visibility.Global } resource && (!resource.HasUuids || IsUuid(match.Variable("id"))) && match.Kind switch
        {
            PathKind.Item => true,
            PathKind.Convention => !method.SequenceEqual("POST"u8),
            PathKind.Action => RuleOf(resource, Encoding.UTF8.GetString(match.Action).TrimEnd('/')) != ActionRule.Never,
            _ => false,
        };

    private static bool IsUuid(ReadOnlySpan<byte> id) => IdShape.Of(Encoding.ASCII.GetString(id)) is IdKind.Uuid or IdKind.CompactUuid;

    // '/members/x' is of '/members'; the longest that the profile names counts, and one that it does not name is an operation.
    private static ActionRule RuleOf(ResourceProfile resource, string action)
    {
        for (; action.Length > 0; action = action[..Math.Max(0, action.LastIndexOf('/'))])
        {
            if (resource.Actions.TryGetValue(action, out var rule)) return rule;
        }

        return ActionRule.Operation;
    }

    private static bool IsSafe(ReadOnlySpan<byte> method) =>
        method.SequenceEqual("GET"u8) || method.SequenceEqual("HEAD"u8) || method.SequenceEqual("OPTIONS"u8) || method.SequenceEqual("TRACE"u8) || method.SequenceEqual("CONNECT"u8);

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
