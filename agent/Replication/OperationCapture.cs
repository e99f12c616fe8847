using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Identity;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Proto.Operations;
using Cheops.Proto.Problems;
using Cheops.Store.Contents;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Replication;

/// <summary>Makes an operation of a request: what it does, to which replicant, and what it carries.</summary>
internal sealed class OperationCapture(
    string site, Contents contents, IMesh mesh, CredentialSeal seal, IdTranslation ids, Failures failures, TimeProvider time, Chance chance)
{
    private static readonly ulong NotRecorded =
        KnownField.Host.Bit() | KnownField.ContentLength.Bit() | KnownField.TransferEncoding.Bit() | KnownField.Connection.Bit() | KnownField.KeepAlive.Bit()
        | KnownField.ProxyConnection.Bit() | KnownField.ProxyAuthorization.Bit() | KnownField.TE.Bit() | KnownField.Trailer.Bit() | KnownField.Upgrade.Bit()
        | KnownField.Http2Settings.Bit() | KnownField.Expect.Bit() | KnownField.Scope.Bit() | KnownField.Via.Bit() | KnownField.Forwarded.Bit()
        | KnownField.XForwardedFor.Bit() | KnownField.XForwardedProto.Bit() | KnownField.XForwardedHost.Bit() | KnownField.XForwardedPrefix.Bit()
        | KnownField.TraceParent.Bit() | KnownField.TraceState.Bit() | KnownField.Baggage.Bit() | KnownField.XRequestId.Bit()
        | KnownField.XOpenStackRequestId.Bit() | KnownField.Date.Bit() | KnownField.Cheops.Bit() | KnownField.XRemote.Bit()
        | Credentials;

    private const ulong Credentials = (1UL << (int)KnownField.Authorization) | (1UL << (int)KnownField.Cookie) | (1UL << (int)KnownField.XAuthToken);

    /// <summary>What a request is, for replication.</summary>
    /// <param name="Resource">The kind of resource.</param>
    /// <param name="Collection">The path of its collection.</param>
    /// <param name="MetaId">The id in the path; empty for none.</param>
    /// <param name="Kind">What it does; null for what is carried out where it is, such as an action that is never replicated.</param>
    /// <param name="Action">The path below the item.</param>
    internal sealed record Shape(ResourceProfile Resource, string Collection, string MetaId, OperationKind? Kind, string Action);

    /// <summary>Tells what a request is; or why it cannot be replicated.</summary>
    public (Shape? Shape, Problem? Problem) ShapeOf(in Routed routed, Replicant? known)
    {
        var target = routed.Exchange.Target;
        var query = target.IndexOf((byte)'?');
        var path = query < 0 ? target : target[..query];
        var match = routed.Profile.Paths.Match(path);
        var method = routed.Exchange.Request.Method;
        if (match.Resource is not { } resource)
            return (null, failures.NotReplicable(routed.Service, $"the profile of {routed.Service} names no resource at {Encoding.ASCII.GetString(path)}"));
        if (resource.Visibility == Visibility.Local)
            return (null, failures.NotReplicable(routed.Service, $"{resource.Name} belong to their site (the profile says visibility: local)"));
        var text = Encoding.ASCII.GetString(path).TrimEnd('/');
        if (match.Kind == PathKind.Collection || (match.Kind == PathKind.Convention && method == HttpMethod.Post))
        {
            return method == HttpMethod.Post
                ? (new Shape(resource, text, "", OperationKind.Create, ""), null)
                : (null, failures.NotReplicable(
                    routed.Service, $"{Encoding.ASCII.GetString(routed.Exchange.Request.MethodBytes)} of a whole collection is no operation on one resource; send one for each"));
        }

        var action = Encoding.ASCII.GetString(match.Action).TrimEnd('/');
        var item = action.Length == 0 ? text : text[..(text.Length - action.Length)];
        var slash = item.LastIndexOf('/');
        var id = known?.MetaId ?? Uri.UnescapeDataString(item[(slash + 1)..]);
        var collection = known?.Record?.Key.Collection ?? item[..slash];
        if (action.Length > 0 && RuleOf(resource, action) == ActionRule.Never) return (new Shape(resource, collection, id, null, action), null);
        var kind = method == HttpMethod.Delete && action.Length == 0 ? OperationKind.Delete
            : known is null && action.Length == 0 && method is HttpMethod.Put or HttpMethod.Patch ? OperationKind.Create
            : OperationKind.Update;
        return (new Shape(resource, collection, id, kind, action), null);
    }

    private static ActionRule RuleOf(ResourceProfile resource, string action)
    {
        for (var path = action; path.Length > 0; path = path[..path.LastIndexOf('/')])
        {
            if (resource.Actions.TryGetValue(path, out var rule)) return rule;
        }

        return ActionRule.Operation;
    }

    /// <summary>Makes the operation, its body read from the client.</summary>
    /// <exception cref="ContentException">The body cannot be kept.</exception>
    /// <exception cref="IOException">The client was lost, or its body is no acceptable HTTP.</exception>
    public async Task<Operation> CaptureAsync(Routed routed, Shape shape, AllPlan plan, ImmutableArray<string> sites)
    {
        var exchange = routed.Exchange;
        var head = exchange.Request;
        var fields = FieldsOf(head);
        var method = Encoding.ASCII.GetString(head.MethodBytes);
        var sent = Encoding.ASCII.GetString(exchange.Target);
        var target = ids.Translate(sent, routed.Profile, routed.Service, Direction.ToMeta);
        var mediaType = head.TryGet(KnownField.ContentType, out var type) ? Encoding.ASCII.GetString(head.Value(type)).Split(';')[0].Trim().ToLowerInvariant() : "";
        var credentials = routed.User is null ? SealFor(sites, head) : [];
        var hasBody = exchange.Body.Framing != BodyFraming.None;
        var (body, hash, size) = hasBody ? await ReadBodyAsync(exchange) : default;
        body = ids.Translate(body, sent, routed.Profile, routed.Service, Direction.ToMeta);
        var key = new ReplicantKey(routed.Service, shape.Collection, shape.MetaId);
        if (shape.Kind == OperationKind.Create && key.MetaId.Length == 0) (body, key) = ChooseId(shape.Resource, body, key);
        return new Operation
        {
            Id = new OperationId(BitConverter.ToUInt128(Drawn())),
            Kind = shape.Kind!.Value,
            Operator = (byte)plan.Operator,
            Repetition = RepetitionOf(shape, key, method, mediaType),
            Origin = site,
            Replicant = key,
            Resource = shape.Resource.Name,
            Method = method,
            Target = target,
            Fields = fields,
            HasBody = hasBody,
            Body = body,
            BodyHash = hash,
            BodySize = hash.IsEmpty ? body.Length : size,
            User = routed.User?.Name ?? "",
            UserGroups = routed.User?.Groups ?? [],
            Credentials = credentials,
            AtUnixMs = time.GetUtcNow().ToUnixTimeMilliseconds(),
        };
    }

    // An answer that the agent must read is asked for as it is, not compressed.
    private static ReadOnlyMemory<byte> FieldsOf(RequestHead head)
    {
        var kept = new ArrayBufferWriter<byte>(head.Length + 8);
        kept.Write("Host: "u8);
        kept.Write(head.Authority);
        kept.Write("\r\n"u8);
        foreach (var line in Encoding.Latin1.GetString(KeptAnswer.FieldsOf(head, NotRecorded).Span).Split("\r\n", StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("Accept-Encoding:", StringComparison.OrdinalIgnoreCase) || line.StartsWith("Range:", StringComparison.OrdinalIgnoreCase)) continue;
            kept.Write(Encoding.Latin1.GetBytes(line + "\r\n"));
        }

        return kept.WrittenMemory;
    }

    private ImmutableArray<(string, ReadOnlyMemory<byte>)> SealFor(ImmutableArray<string> sites, RequestHead head)
    {
        var credential = new ArrayBufferWriter<byte>();
        foreach (ref readonly var line in head.Fields)
        {
            if (line.Known == KnownField.Other || (line.Known.Bit() & Credentials) == 0) continue;
            credential.Write(head.Name(line));
            credential.Write(": "u8);
            credential.Write(head.Value(line));
            credential.Write("\r\n"u8);
        }

        if (credential.WrittenCount == 0) return [];
        var known = mesh.Sites;
        var sealedFor = ImmutableArray.CreateBuilder<(string, ReadOnlyMemory<byte>)>();
        foreach (var to in sites)
        {
            var key = to == site ? seal.PublicKey : known.FirstOrDefault(one => one.Name == to)?.SealingKey ?? "";
            if (key.Length > 0 && CredentialSeal.Seal(credential.WrittenSpan, key) is { } bytes) sealedFor.Add((to, bytes));
        }

        return sealedFor.ToImmutable();
    }

    private async Task<(ReadOnlyMemory<byte> Body, ReadOnlyMemory<byte> Hash, long Size)> ReadBodyAsync(Exchange exchange)
    {
        await exchange.ContinueAsync();
        var small = new ArrayBufferWriter<byte>();
        ContentWriter? large = null;
        try
        {
            while (true)
            {
                exchange.Arm(Exchange.Phase.Body, Bounds.BodyStallTimeMaxMs);
                var piece = await exchange.Body.ReadAsync();
                if (piece.IsEmpty) break;
                if (large is null && small.WrittenCount + piece.Length > Bounds.BodyMemorySizeMax)
                {
                    large = contents.Create();
                    await large.AppendAsync(small.WrittenMemory);
                }

                if (large is null) small.Write(piece.Span);
                else await large.AppendAsync(piece);
            }

            exchange.Disarm();
            if (large is null) return (small.WrittenMemory, default, small.WrittenCount);
            var bytes = new byte[ContentHash.Size];
            var size = large.Length;
            (await large.CompleteAsync()).Write(bytes);
            return (default, bytes, size);
        }
        finally
        {
            if (large is not null) await large.DisposeAsync();
        }
    }

    // Where the client may choose the id and did not, and the field is an id and not a name, the agent chooses: then the
    // replicas have the same id everywhere, and a create that is in doubt can be looked for.
    private (ReadOnlyMemory<byte> Body, ReplicantKey Key) ChooseId(ResourceProfile resource, ReadOnlyMemory<byte> body, ReplicantKey key)
    {
        var chosen = ReplicaRequests.ChosenId(resource, body);
        if (chosen.Length > 0) return (body, key with { MetaId = chosen });
        if (resource is not { IdChosenBy: IdChooser.Client, Id: { } path } || path.Segments[^1] is not ("id" or "uuid")) return (body, key);
        var made = IdShape.Make(IdKind.Uuid, Drawn());
        return ReplicaRequests.WithId(body, path, made) is { } withId ? (withId, key with { MetaId = made }) : (body, key);
    }

    private byte[] Drawn()
    {
        var bytes = new byte[16];
        chance(bytes);
        return bytes;
    }

    private static Repetition RepetitionOf(Shape shape, ReplicantKey key, string method, string mediaType)
    {
        if (shape.Kind == OperationKind.Delete) return Repetition.Idempotent;
        if (shape.Kind == OperationKind.Create && method == "POST")
            return key.MetaId.Length > 0 || !shape.Resource.NaturalKey.IsEmpty ? Repetition.Lookup : Repetition.Marked;
        var told = shape.Resource.Operations.FirstOrDefault(one =>
            one.Method == method && one.Action == shape.Action && (one.ContentTypes.IsEmpty || one.ContentTypes.Contains(mediaType)));
        return (told?.Idempotent ?? method is "PUT" or "DELETE") ? Repetition.Idempotent : Repetition.Marked;
    }
}
