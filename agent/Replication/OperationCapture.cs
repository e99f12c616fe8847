using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Unicode;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Interception;
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
    string site, SealedCredentials credentials, IdTranslation ids, Failures failures, TimeProvider time, Chance chance)
{
    private static readonly ulong NotRecorded =
        KnownField.Host.Bit() | KnownField.ContentLength.Bit() | KnownField.TransferEncoding.Bit() | KnownField.Connection.Bit() | KnownField.KeepAlive.Bit()
        | KnownField.ProxyConnection.Bit() | KnownField.ProxyAuthorization.Bit() | KnownField.TE.Bit() | KnownField.Trailer.Bit() | KnownField.Upgrade.Bit()
        | KnownField.Http2Settings.Bit() | KnownField.Expect.Bit() | KnownField.Scope.Bit() | KnownField.Via.Bit() | KnownField.Forwarded.Bit()
        | KnownField.XForwardedFor.Bit() | KnownField.XForwardedProto.Bit() | KnownField.XForwardedHost.Bit() | KnownField.XForwardedPrefix.Bit()
        | KnownField.TraceParent.Bit() | KnownField.TraceState.Bit() | KnownField.Baggage.Bit() | KnownField.XRequestId.Bit()
        | KnownField.XOpenStackRequestId.Bit() | KnownField.Date.Bit() | KnownField.Cheops.Bit() | KnownField.XRemote.Bit()
        | SealedCredentials.KnownFields;

    /// <summary>What a request is, for replication.</summary>
    /// <param name="Resource">The kind of resource.</param>
    /// <param name="Collection">The path of its collection.</param>
    /// <param name="MetaId">The id in the path; empty for none.</param>
    /// <param name="Kind">What it does; null for what is carried out where it is, such as an action that is never replicated.</param>
    /// <param name="IsIdempotent">Whether carrying it out twice is as once.</param>
    internal sealed record Shape(ResourceProfile Resource, string Collection, string MetaId, OperationKind? Kind, bool IsIdempotent);

    /// <summary>What was made of a request.</summary>
    /// <param name="Operation">The operation; null with a problem.</param>
    /// <param name="Problem">Why it cannot be replicated; null when it can.</param>
    /// <param name="ChangesNothing">Whether its body says that it changes nothing: it is carried out where it is.</param>
    internal readonly record struct Captured(Operation? Operation, Problem? Problem, bool ChangesNothing = false);

    /// <summary>Tells what a request is; or why it cannot be replicated.</summary>
    public (Shape? Shape, Problem? Problem) ShapeOf(in Routed routed, Replicant? known)
    {
        var target = routed.Exchange.Target;
        var query = target.IndexOf((byte)'?');
        var path = query < 0 ? target : target[..query];
        var head = routed.Exchange.Request;
        var match = routed.Profile.Paths.Match(path);
        var does = OperationRules.Of(match, head.MethodBytes, head.TryGet(KnownField.ContentType, out var type) ? head.Value(type) : default, out var refusal);
        var changesNothing = query >= 0 && match.Resource is { } kind && RequestMarks.AnyIn(kind, Encoding.ASCII.GetString(target[(query + 1)..]));
        if (refusal is not null && !changesNothing)
            return (null, failures.NotReplicable(routed.Service, $"{Encoding.ASCII.GetString(head.MethodBytes)} {Encoding.ASCII.GetString(path)}: {refusal}"));
        if (does is null || changesNothing) return (new Shape(match.Resource!, "", "", null, false), null);
        var text = Encoding.ASCII.GetString(path).TrimEnd('/');
        if (match.Kind == PathKind.Collection || (match.Kind == PathKind.Convention && head.Method == HttpMethod.Post))
            return (new Shape(match.Resource!, text, "", OperationKind.Create, false), null);
        var action = Encoding.ASCII.GetString(match.Action).TrimEnd('/');
        var item = text[..(text.Length - action.Length)];
        var slash = item.LastIndexOf('/');
        if ((known?.MetaId ?? IdOf(item[(slash + 1)..])) is not { } id)
            return (null, failures.NotReplicable(routed.Service, $"{Encoding.ASCII.GetString(head.MethodBytes)} {item}: its id has bytes that are no UTF-8, or control characters; a replicant's id is text"));
        var collection = known?.Record?.Key.Collection ?? item[..slash];
        var operation = action.Length > 0 ? OperationKind.Update
            : head.Method == HttpMethod.Delete ? OperationKind.Delete
            : known is null && head.Method is HttpMethod.Put or HttpMethod.Patch ? OperationKind.Create
            : OperationKind.Update;
        return (new Shape(match.Resource!, collection, id, operation, does.Idempotent), null);
    }

    /// <summary>Makes the operation, its body read from the client.</summary>
    /// <param name="routed">The request.</param>
    /// <param name="shape">What it is.</param>
    /// <param name="plan">Which sites.</param>
    /// <param name="sites">The sites, in ordinal order.</param>
    /// <param name="contents">Keeps a large body until the operation is proposed.</param>
    /// <exception cref="ContentException">The body cannot be kept.</exception>
    /// <exception cref="IOException">The client was lost, or its body is no acceptable HTTP.</exception>
    public async Task<Captured> CaptureAsync(Routed routed, Shape shape, AllPlan plan, ImmutableArray<string> sites, NewContents contents)
    {
        var exchange = routed.Exchange;
        var head = exchange.Request;
        var fields = FieldsOf(head);
        var method = Encoding.ASCII.GetString(head.MethodBytes);
        var sent = Encoding.ASCII.GetString(exchange.Target);
        var target = QueryCredentials.Take(ids.Translate(sent, routed.Profile, routed.Service, Direction.ToMeta)).Target;
        var mediaType = FieldText.MediaType(FieldText.ValueOf(fields.Span, "Content-Type"));
        var id = new OperationId(BitConverter.ToUInt128(Drawn()));
        var hasBody = exchange.Body.Framing != BodyFraming.None;
        var named = new BodyIdReader(shape.Resource);
        var translator = hasBody && RequestBodies.IsJson(mediaType) ? ids.TranslatorFor(sent, routed.Profile, routed.Service, Direction.ToMeta) : null;
        var (body, hash, size) = hasBody ? await ReadBodyAsync(exchange, shape.MetaId.Length == 0 ? named : null, translator, contents) : default;
        var key = new ReplicantKey(routed.Service, shape.Collection, shape.MetaId);
        if (shape.Kind == OperationKind.Create && key.MetaId.Length == 0 && shape.Resource.IdChosenBy == IdChooser.Client)
        {
            var chosen = named.ByProfile ?? MakeId(shape.Resource, named);
            if (named.ByProfile is not null)
                key = key with { MetaId = chosen! };
            else if (chosen is not null && hash.IsEmpty && RequestBodies.WithId(shape.Resource, body, chosen) is { } withId)
                (body, key) = (withId, key with { MetaId = chosen });
            else if (named.NamePrefix.Length > 0)
                return new Captured(null, failures.NotReplicable(routed.Service, "the name that it leaves to be made cannot be put into its body, and each site would make another one; give it a name"));
        }

        var operation = new Operation
        {
            Id = id,
            Kind = shape.Kind!.Value,
            Operator = (byte)plan.Operator,
            Repetition = RepetitionOf(shape, key, method, body),
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
            Credentials = routed.User is null ? credentials.For(sites, head, sent, id) : [],
            AtUnixMs = time.GetUtcNow().ToUnixTimeMilliseconds(),
        };
        if (operation.Misfit() is { } misfit)
            return new Captured(null, failures.NotReplicable(routed.Service, $"{method} {shape.Collection}: {misfit}"));
        return new Captured(operation, null, RequestMarks.AnyIn(shape.Resource, body.Span));
    }

    // An id is a key at every site, and is printed for people.
    private static string? IdOf(string segment)
    {
        var encoded = Encoding.UTF8.GetBytes(segment);
        var bytes = PercentEncoding.Decode(encoded, new byte[encoded.Length]);
        return Utf8.IsValid(bytes) && Encoding.UTF8.GetString(bytes) is var id && !id.Any(char.IsControl) ? id : null;
    }

    /// <summary>The same operation, for the sites to which its replicant has moved.</summary>
    public Operation Again(Operation operation, Routed routed, ImmutableArray<string> sites)
    {
        var id = new OperationId(BitConverter.ToUInt128(Drawn()));
        return operation with { Id = id, Credentials = routed.User is null ? credentials.For(sites, routed.Exchange.Request, Encoding.ASCII.GetString(routed.Exchange.Target), id) : [] };
    }

    // Where the client may choose the id and did not, the agent does, be it that the field is an id and not a name, or that
    // the client has said how the name is to begin: then the replicas have the same id everywhere, and a create that is in
    // doubt can be looked for.
    private string? MakeId(ResourceProfile resource, BodyIdReader named) =>
        named.NamePrefix.Length > 0 ? IdShape.MakeName(named.NamePrefix, Drawn())
        : resource.Id?.Segments[^1] is "id" or "uuid" ? IdShape.Make(IdKind.Uuid, Drawn())
        : null;

    // An answer that the agent must read is asked for as it is, not compressed.
    private static ReadOnlyMemory<byte> FieldsOf(RequestHead head)
    {
        var kept = new ArrayBufferWriter<byte>(head.Length + 8);
        kept.Write("Host: "u8);
        kept.Write(head.Authority);
        kept.Write("\r\n"u8);
        foreach (var line in Encoding.Latin1.GetString(KeptAnswer.FieldsOf(head, NotRecorded).Span).Split("\r\n", StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("Accept-Encoding:", StringComparison.OrdinalIgnoreCase) || line.StartsWith("Range:", StringComparison.OrdinalIgnoreCase)
                || SealedCredentials.IsCredential(line[..line.IndexOf(':', StringComparison.Ordinal)])) continue;
            kept.Write(Encoding.Latin1.GetBytes(line + "\r\n"));
        }

        return kept.WrittenMemory;
    }

    // What is kept, and hashed, is the body with meta-ids: the same for every site.
    private static async Task<(ReadOnlyMemory<byte> Body, ReadOnlyMemory<byte> Hash, long Size)> ReadBodyAsync(
        Exchange exchange, BodyIdReader? named, JsonTranslator? translator, NewContents contents)
    {
        await exchange.ContinueAsync();
        var source = translator is null ? exchange.Body : new TranslatedBody(exchange.Body, translator);
        var small = new ArrayBufferWriter<byte>();
        ContentWriter? large = null;
        try
        {
            while (true)
            {
                exchange.ArmBody();
                var piece = await source.ReadAsync();
                if (piece.IsEmpty) break;
                named?.Feed(piece.Span);
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
            var (hash, size) = await contents.KeepAsync(large);
            return (default, hash, size);
        }
        finally
        {
            if (large is not null) await large.DisposeAsync();
        }
    }

    private byte[] Drawn()
    {
        var bytes = new byte[16];
        chance(bytes);
        return bytes;
    }

    private static Repetition RepetitionOf(Shape shape, ReplicantKey key, string method, ReadOnlyMemory<byte> body)
    {
        if (shape.Kind != OperationKind.Create || method != "POST") return shape.IsIdempotent ? Repetition.Idempotent : Repetition.Marked;
        return key.MetaId.Length > 0 || NaturalKey.Of(shape.Resource, body.Span) is not null ? Repetition.Lookup : Repetition.Marked;
    }
}
