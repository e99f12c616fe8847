using System.Buffers;
using System.Text;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Interception;
using Cheops.Agent.Profiles;
using Cheops.Agent.Replication.State;
using Cheops.Agent.Translation;
using Cheops.Proto.Operations;
using Cheops.Store.Contents;

namespace Cheops.Agent.Replication;

/// <summary>Turns a recorded operation into the request that this site's service gets, and its answer into ids.</summary>
/// <param name="site">This site.</param>
/// <param name="profiles">What is known of the services.</param>
/// <param name="contents">Large bodies.</param>
/// <param name="ids">Translates ids that differ here.</param>
/// <param name="chance">Where meta-ids come from.</param>
internal sealed class ReplicaRequests(string site, ProfileSet profiles, Contents contents, IdTranslation ids, Chance chance)
{
    private static readonly string[] Conditions = ["if-match:", "if-none-match:", "if-modified-since:", "if-unmodified-since:", "if-range:"];
    private static readonly byte[] AcceptJson = "Accept: application/json\r\n"u8.ToArray();

    /// <summary>What is known of the operation's kind of resource; null when the profile knows it no more.</summary>
    public ResourceProfile? ResourceOf(Operation operation) => profiles.For(operation.Replicant.Service).Resources.GetValueOrDefault(operation.Resource);

    // ---- the request ----------------------------------------------------------------------------------------------

    /// <summary>Builds the request; its body is to be disposed of.</summary>
    /// <param name="task">The operation.</param>
    /// <param name="caller">As whom.</param>
    /// <param name="replica">The replica here, where <see cref="Replaces"/> is true; else empty.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="ContentLostException">No site that is left has the body.</exception>
    /// <exception cref="IOException">The body is not here and cannot be had now.</exception>
    public async Task<(ServiceSend Send, IAsyncDisposable? Body)> BuildAsync(ExecutionTask task, Caller caller, ReadOnlyMemory<byte> replica, CancellationToken cancellation)
    {
        var operation = task.Operation;
        var fields = new ArrayBufferWriter<byte>(operation.Fields.Length + caller.Fields.Length + 1);
        fields.Write(task.Decides ? operation.Fields.Span : WithoutConditions(operation.Fields.Span));
        fields.Write(caller.Fields.Span);
        var send = new ServiceSend(operation.Replicant.Service, operation.Method, Encoding.ASCII.GetBytes(QueryCredentials.Put(LocalTarget(operation), caller.Query)), fields.WrittenMemory)
        {
            AsFrontProxy = caller.AsFrontProxy,
        };
        if (!operation.HasBody) return (send, null);
        if (!operation.BodyHash.IsEmpty) return await WithContentAsync(send, task, cancellation);
        var body = task.Decides ? ToLocal(operation, operation.Body) : Fitted(operation, replica) is { } fitted ? ToLocal(operation, fitted) : ForFollower(operation);
        return (send with { Body = new MemoryBody(body), BodySize = body.Length }, null);
    }

    /// <summary>Whether the request replaces at another site what it must fit to the replica there.</summary>
    public bool Replaces(Operation operation) =>
        operation is { Method: "PUT", Body.IsEmpty: false } && IsJson(operation) && ResourceOf(operation) is { SiteSpecific.IsEmpty: false };

    private ReadOnlyMemory<byte>? Fitted(Operation operation, ReadOnlyMemory<byte> replica) =>
        replica.IsEmpty ? null : SiteFields.Fit(ResourceOf(operation)!, operation.Body, replica);

    // What is taken out of a body that is kept is known only when it was read once. How long ids make it is not known before it is
    // sent: another replicant may become known meanwhile.
    private async Task<(ServiceSend Send, IAsyncDisposable? Body)> WithContentAsync(ServiceSend send, ExecutionTask task, CancellationToken cancellation)
    {
        var operation = task.Operation;
        if (Translator() is { } translator)
        {
            var kept = await OpenAsync();
            BodySource edited = task.Decides || Edit() is not { } edit ? kept : new EditedBody(kept, edit);
            return (send with { Body = new TranslatedBody(edited, translator) }, kept);
        }

        if (task.Decides || Edit() is not { } measuring)
        {
            var whole = await OpenAsync();
            return (send with { Body = whole, BodySize = operation.BodySize }, whole);
        }

        var size = 0L;
        await using (var measured = new EditedBody(await OpenAsync(), measuring))
        {
            for (ReadOnlyMemory<byte> piece; !(piece = await measured.ReadAsync()).IsEmpty;) size += piece.Length;
        }

        var body = new EditedBody(await OpenAsync(), Edit()!);
        return (send with { Body = body, BodySize = size }, body);

        JsonTranslator? Translator() => IsJson(operation)
            ? ids.TranslatorFor(operation.Target, profiles.For(operation.Replicant.Service), operation.Replicant.Service, Direction.ToLocal)
            : null;

        BodyEdit? Edit() => ResourceOf(operation) is { } resource ? RequestBodies.SiteSpecificEdit(resource, MediaTypeOf(operation)) : null;

        async Task<ContentBody> OpenAsync() => new(await contents.OpenAsync(ContentHash.Read(operation.BodyHash.Span), operation.BodySize, task.Holders, cancellation));
    }

    /// <summary>A request that reads what stands at a target here, in JSON.</summary>
    public static ServiceSend Reading(Operation operation, string target, Caller caller)
    {
        var host = FieldText.ValueOf(operation.Fields.Span, "Host") is { Length: > 0 } name ? Encoding.Latin1.GetBytes($"Host: {name}\r\n") : [];
        return new ServiceSend(operation.Replicant.Service, "GET", Encoding.ASCII.GetBytes(QueryCredentials.Add(target, caller.Query)), (byte[])[.. host, .. AcceptJson, .. caller.Fields.Span])
        {
            AsFrontProxy = caller.AsFrontProxy,
        };
    }

    // What a client made depend on the state at one site says nothing of another: the deciding site has judged it.
    private static ReadOnlySpan<byte> WithoutConditions(ReadOnlySpan<byte> fields)
    {
        var lines = Encoding.Latin1.GetString(fields).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        var kept = lines.Where(line => !Conditions.Any(condition => line.StartsWith(condition, StringComparison.OrdinalIgnoreCase)));
        return Encoding.Latin1.GetBytes(string.Concat(kept.Select(line => line + "\r\n")));
    }

    /// <summary>The target of the operation's request at this site.</summary>
    public string LocalTarget(Operation operation) =>
        ids.Translate(operation.Target, profiles.For(operation.Replicant.Service), operation.Replicant.Service, Direction.ToLocal);

    /// <summary>The path of the operation's request at this site.</summary>
    public string LocalPath(Operation operation) => LocalTarget(operation).Split('?')[0];

    /// <summary>The path of the operation's item at this site.</summary>
    public string ItemPath(ExecutionTask task) => ItemPath(task.State.Key, task.Replicant?.LocalIds.GetValueOrDefault(site) ?? task.State.Key.MetaId);

    /// <summary>The path of an item here.</summary>
    public static string ItemPath(ReplicantKey key, string id) => Encoding.ASCII.GetString(Replicants.ItemPath(key, id));

    /// <summary>The request's body as another site than the deciding one gets it: without what belongs to a site, with the ids of this one.</summary>
    public ReadOnlyMemory<byte> ForFollower(Operation operation) =>
        ToLocal(operation, ResourceOf(operation) is { } resource ? RequestBodies.WithoutSiteSpecific(resource, MediaTypeOf(operation), operation.Body) : operation.Body);

    private ReadOnlyMemory<byte> ToLocal(Operation operation, ReadOnlyMemory<byte> body)
    {
        var service = operation.Replicant.Service;
        return IsJson(operation) ? ids.Translate(body, operation.Target, profiles.For(service), service, Direction.ToLocal) : body;
    }

    /// <summary>Whether the request's body is JSON.</summary>
    public static bool IsJson(Operation operation) => RequestBodies.IsJson(MediaTypeOf(operation));

    private static string MediaTypeOf(Operation operation) => FieldText.MediaType(FieldText.ValueOf(operation.Fields.Span, "Content-Type"));

    // ---- ids ----------------------------------------------------------------------------------------------------------

    /// <summary>The natural key of what a create makes, and the target here that lists what may have it; null when nothing tells.</summary>
    public (NaturalKey Key, string Target)? KeyOf(Operation operation)
    {
        if (ResourceOf(operation) is not { } resource || NaturalKey.Of(resource, ToLocal(operation, operation.Body).Span) is not { } key) return null;
        var path = Encoding.ASCII.GetBytes(LocalPath(operation));
        return (key, key.Target(profiles.For(operation.Replicant.Service).Paths.Match(path), path));
    }

    /// <summary>The local id of what a create has made, and the meta-id for a replicant that has none yet.</summary>
    /// <param name="task">The operation.</param>
    /// <param name="local">The local id as the service told it; empty when it did not.</param>
    public (string LocalId, string MetaId) IdsOf(ExecutionTask task, string local)
    {
        if (task.Operation.Kind != OperationKind.Create) return ("", "");
        if (task.State.Key.MetaId.Length > 0) return (local.Length > 0 ? local : task.State.Key.MetaId, "");
        return local.Length == 0 ? ("", task.State.Id.ToString()) : (local, MetaIdFor(local, ResourceOf(task.Operation)));
    }

    /// <summary>Whether what has an id here is the replica of another replicant.</summary>
    public bool IsAnothers(ExecutionTask task, string localId) =>
        ids.MetaIdOf(task.State.Key, task.Operation.Resource, localId) is { } metaId && metaId != task.State.Key.MetaId;

    /// <summary>Whether the replica here is what another create has made. That of a later one is not made here before this one is done.</summary>
    public bool IsOfAnotherCreate(ExecutionTask task) =>
        task.Replicant is { } known && known.CreatedBy != task.State.Makes && known.LocalIds.ContainsKey(site);

    /// <summary>A meta-id for a replicant that has none yet, and this id at a site.</summary>
    public string MetaIdFor(OperationState create, string localId) =>
        MetaIdFor(localId, profiles.For(create.Key.Service).Resources.GetValueOrDefault(create.Resource));

    /// <summary>The id that the answer to a create tells; empty when it tells none, or is none to a create.</summary>
    public string LocalIdIn(Operation operation, KeptAnswer answer)
    {
        if (operation.Kind != OperationKind.Create || answer.Status >= 400 || ResourceOf(operation) is not { } resource) return "";
        var reader = new BodyIdReader(resource);
        reader.Feed(answer.Body.Span);
        var service = profiles.For(operation.Replicant.Service).Named(operation.Replicant.Service);
        return AnswerId.Find(service, Encoding.ASCII.GetBytes(LocalPath(operation)), Encoding.Latin1.GetBytes(answer.Field("Location")), reader) ?? "";
    }

    // Unique by themselves, UUIDs and names stand for the replicant as they are; a number would be some other resource's elsewhere.
    private string MetaIdFor(string local, ResourceProfile? resource)
    {
        if (resource?.IdChosenBy == IdChooser.Client || IdShape.Of(local) != IdKind.Number) return local;
        Span<byte> random = stackalloc byte[16];
        chance(random);
        return IdShape.Make(IdKind.Number, random);
    }
}
