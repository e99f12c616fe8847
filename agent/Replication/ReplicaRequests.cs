using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Identity;
using Cheops.Agent.Interception;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using Cheops.Proto.Operations;
using Cheops.Store.Contents;

namespace Cheops.Agent.Replication;

/// <summary>Turns a recorded operation into the request that this site's service gets, and its answer into ids.</summary>
/// <param name="site">This site.</param>
/// <param name="profiles">What is known of the services.</param>
/// <param name="contents">Large bodies.</param>
/// <param name="credentials">Opens what was sealed for this site.</param>
/// <param name="ids">Translates ids that differ here.</param>
/// <param name="chance">Where meta-ids come from.</param>
internal sealed class ReplicaRequests(string site, ProfileSet profiles, Contents contents, CredentialSeal credentials, IdTranslation ids, Chance chance)
{
    private static readonly string[] Conditions = ["if-match:", "if-none-match:", "if-modified-since:", "if-unmodified-since:", "if-range:"];
    private static readonly FieldPath[] IdConventions = [.. new[] { "id", "uuid", "metadata.name" }.Select(path => FieldPath.Parse(path)!)];

    /// <summary>What is known of the operation's kind of resource; null when the profile knows it no more.</summary>
    public ResourceProfile? ResourceOf(Operation operation) => profiles.For(operation.Replicant.Service).Resources.GetValueOrDefault(operation.Resource);

    // ---- the request ----------------------------------------------------------------------------------------------

    /// <summary>Builds the request; its body is to be disposed of.</summary>
    /// <exception cref="IOException">The body is not here and cannot be had now.</exception>
    public async Task<(ServiceSend Send, IAsyncDisposable? Body)> BuildAsync(ExecutionTask task, CancellationToken cancellation)
    {
        var operation = task.Operation;
        var (identity, asFrontProxy) = IdentityOf(task);
        var fields = new ArrayBufferWriter<byte>(operation.Fields.Length + identity.Length + 1);
        fields.Write(task.Decides ? operation.Fields.Span : WithoutConditions(operation.Fields.Span));
        fields.Write(identity.Span);
        var send = new ServiceSend(operation.Replicant.Service, operation.Method, TargetOf(task), fields.WrittenMemory) { AsFrontProxy = asFrontProxy };
        if (!operation.HasBody) return (send, null);
        if (operation.BodyHash.IsEmpty)
        {
            var body = BodyOf(task);
            return (send with { Body = new MemoryBody(body), BodySize = body.Length }, null);
        }

        var content = new ContentBody(await contents.OpenAsync(ContentHash.Read(operation.BodyHash.Span), operation.BodySize, task.State.Sites, cancellation));
        return (send with { Body = content, BodySize = operation.BodySize }, content);
    }

    // What a client made depend on the state at one site says nothing of another: the deciding site has judged it.
    private static ReadOnlySpan<byte> WithoutConditions(ReadOnlySpan<byte> fields)
    {
        var lines = Encoding.Latin1.GetString(fields).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        var kept = lines.Where(line => !Conditions.Any(condition => line.StartsWith(condition, StringComparison.OrdinalIgnoreCase)));
        return Encoding.Latin1.GetBytes(string.Concat(kept.Select(line => line + "\r\n")));
    }

    /// <summary>The operation's own Host line; empty when it has none.</summary>
    public static byte[] HostOf(Operation operation)
    {
        var text = Encoding.Latin1.GetString(operation.Fields.Span);
        var end = text.IndexOf("\r\n", StringComparison.Ordinal);
        return end > 0 && text.StartsWith("Host:", StringComparison.OrdinalIgnoreCase) ? Encoding.Latin1.GetBytes(text[..(end + 2)]) : [];
    }

    /// <summary>The field lines by which the service knows the user.</summary>
    public (ReadOnlyMemory<byte> Fields, bool AsFrontProxy) IdentityOf(ExecutionTask task)
    {
        var operation = task.Operation;
        if (operation.User.Length > 0)
        {
            var user = new Proto.Http.FieldLines().Add("X-Remote-User"u8, operation.User);
            foreach (var group in operation.UserGroups) user.Add("X-Remote-Group"u8, group);
            return (user.Written.ToArray(), true);
        }

        foreach (var (of, @sealed) in operation.Credentials)
        {
            if (of == site) return (credentials.Open(@sealed), false);
        }

        return (default, false);
    }

    /// <summary>The path of the operation's item at this site.</summary>
    public ReadOnlyMemory<byte> ItemTarget(ExecutionTask task) => Replicants.ItemPath(task.State.Key, LocalIdOf(task));

    private string LocalIdOf(ExecutionTask task) =>
        task.Replicant?.LocalIds.GetValueOrDefault(site) ?? task.State.Key.MetaId;

    private byte[] TargetOf(ExecutionTask task)
    {
        var operation = task.Operation;
        return Encoding.ASCII.GetBytes(ids.Translate(operation.Target, profiles.For(operation.Replicant.Service), operation.Replicant.Service, Direction.ToLocal));
    }

    // ---- the body ---------------------------------------------------------------------------------------------------

    private ReadOnlyMemory<byte> BodyOf(ExecutionTask task)
    {
        var operation = task.Operation;
        var service = operation.Replicant.Service;
        return ids.Translate(Adapted(task), operation.Target, profiles.For(service), service, Direction.ToLocal);
    }

    // For another site than the one that decided: without what belongs to a site, with the id that was chosen there.
    private ReadOnlyMemory<byte> Adapted(ExecutionTask task)
    {
        var body = task.Operation.Body;
        if (task.Decides || ResourceOf(task.Operation) is not { } resource) return body;
        var needsId = task.Operation is { Kind: OperationKind.Create, Replicant.MetaId: "" } && resource is { IdChosenBy: IdChooser.Client, Id: not null };
        if (!needsId && resource.SiteSpecific.IsEmpty) return body;
        var root = ParseNode(body);
        if (root is null) return body;
        var changed = false;
        foreach (var field in resource.SiteSpecific) changed |= Remove(root, field.Segments.AsSpan());
        if (needsId) changed |= Insert(root, resource.Id!, task.State.Key.MetaId);
        return changed ? Write(root) : body;
    }

    private static JsonNode? ParseNode(ReadOnlyMemory<byte> body)
    {
        try
        {
            return body.IsEmpty ? null : JsonNode.Parse(body.Span);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static bool Remove(JsonNode? node, ReadOnlySpan<string> path)
    {
        if (path.Length == 0) return false;
        if (path[0] == FieldPath.Each)
        {
            var removed = false;
            if (node is JsonArray array)
            {
                foreach (var element in array) removed |= Remove(element, path[1..]);
            }

            return removed;
        }

        if (node is not JsonObject members) return false;
        return path.Length == 1 ? members.Remove(path[0]) : members.TryGetPropertyValue(path[0], out var next) && Remove(next, path[1..]);
    }

    private static bool Insert(JsonNode root, FieldPath path, string id)
    {
        var node = root as JsonObject;
        foreach (var segment in path.Segments[..^1])
        {
            if (node is null) return false;
            if (node[segment] is not JsonObject next) node[segment] = next = [];
            node = next;
        }

        if (node is null) return false;
        node[path.Segments[^1]] = id;
        return true;
    }

    private static byte[] Write(JsonNode node)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer)) node.WriteTo(writer);
        return buffer.WrittenSpan.ToArray();
    }

    // ---- ids ----------------------------------------------------------------------------------------------------------

    /// <summary>The local id that a create's answer tells, and the meta-id for a replicant that has none yet.</summary>
    public (string LocalId, string MetaId) IdsOf(ExecutionTask task, KeptAnswer answer)
    {
        if (task.Operation.Kind != OperationKind.Create) return ("", "");
        var resource = ResourceOf(task.Operation);
        var local = FindId(task.Operation, resource, answer);
        if (task.State.Key.MetaId.Length > 0) return (local ?? task.State.Key.MetaId, "");
        return local is null ? ("", task.State.Id.ToString()) : (local, MetaIdFor(local, resource));
    }

    private static string? FindId(Operation operation, ResourceProfile? resource, KeptAnswer answer)
    {
        using var body = JsonFields.Parse(answer.Body);
        if (body is not null && resource?.Id is { } path && JsonFields.Text(body.RootElement, path) is { } told) return told;
        var location = answer.Field("Location");
        var at = location.IndexOf(operation.Replicant.Collection + "/", StringComparison.Ordinal);
        if (at >= 0)
        {
            var last = location[(at + operation.Replicant.Collection.Length + 1)..].Split('?', '/')[0];
            if (last.Length > 0) return Uri.UnescapeDataString(last);
        }

        return body is null ? null : IdConventions.Select(convention => JsonFields.Text(body.RootElement, convention)).FirstOrDefault(id => id is not null);
    }

    // Unique by themselves, UUIDs and names stand for the replicant as they are; a number would be some other resource's elsewhere.
    private string MetaIdFor(string local, ResourceProfile? resource)
    {
        if (resource?.IdChosenBy == IdChooser.Client || !local.All(char.IsAsciiDigit)) return local;
        Span<byte> random = stackalloc byte[16];
        chance(random);
        return IdShape.Make(IdKind.Number, random);
    }

    /// <summary>A create's body with an id in it; null when the body takes none.</summary>
    public static byte[]? WithId(ReadOnlyMemory<byte> body, FieldPath path, string id) =>
        ParseNode(body) is { } root && Insert(root, path, id) ? Write(root) : null;

    /// <summary>The id that a client chose in the body of its create; empty when it chose none.</summary>
    public static string ChosenId(ResourceProfile resource, ReadOnlyMemory<byte> body)
    {
        if (resource.IdChosenBy != IdChooser.Client || resource.Id is null) return "";
        using var document = JsonFields.Parse(body);
        return document is null ? "" : JsonFields.Text(document.RootElement, resource.Id) ?? "";
    }
}
