using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Interception;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>What makes a replicant at another site; or why it cannot be told.</summary>
/// <param name="Copies">The requests, as operations.</param>
/// <param name="Refusal">Why the service here does not give its representation, for good; empty when it does.</param>
internal readonly record struct CopyResult(ImmutableArray<Operation> Copies, string Refusal);

/// <summary>
/// Makes operations of what the service here answers of a replicant: 1. its representation becomes a create, as the request
/// was that made it; what belongs to a site is left out where it is carried out. 2. What the profile says is put below an
/// item, such as an image's data, is read and put.
/// </summary>
internal sealed class Copying(string site, ProfileSet profiles, UserCalls calls, IdTranslation ids)
{
    private static readonly string[] IdNames = ["id", "uuid"];

    /// <summary>Reads a replicant here and makes what makes it elsewhere.</summary>
    /// <param name="move">For whom.</param>
    /// <param name="record">The replicant.</param>
    /// <param name="kept">Keeps large bodies until the copies are proposed.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="IOException">The service cannot be asked now.</exception>
    public async Task<CopyResult> CopyAsync(Operation move, ReplicantRecord record, NewContents kept, CancellationToken cancellation)
    {
        var of = move with { User = record.User, UserGroups = record.UserGroups };
        var profile = profiles.For(record.Key.Service);
        var resource = profile.Resources.GetValueOrDefault(record.Resource);

        // 1.
        var here = ReplicaRequests.ItemPath(record.Key, record.LocalIds.GetValueOrDefault(site) ?? record.Key.MetaId);
        var reply = await ReadAsync(of, here, null, cancellation);
        if (reply.Answer is not { } answer) throw new IOException(reply.Detail);
        if (IsPassing(answer.Status)) throw new IOException($"{record.Key.Service} at {site} answered {answer.Status}");
        if (answer.Status != 200) return new([], $"{record.Key.Service} at {site} answered {answer.Status} when it was asked for {record.Key}");
        var body = ids.Translate(answer.Body, here, profile, record.Key.Service, Direction.ToMeta);
        if (AsCreate(body, resource) is not { } create) return new([], $"{record.Key} is not represented in JSON at {site}");
        var item = ReplicaRequests.ItemPath(record.Key, record.Key.MetaId);
        var byPut = record.Method == "PUT";
        var copies = ImmutableArray.CreateBuilder<Operation>();
        copies.Add(await WithBodyAsync(
            of with
            {
                Id = Numbered(move, 0),
                Kind = OperationKind.Create,
                Repetition = byPut ? Repetition.Idempotent : IsFoundAgain(resource) ? Repetition.Lookup : Repetition.Marked,
                Method = byPut ? "PUT" : "POST",
                Target = byPut ? item : record.Key.Collection,
                Fields = FieldsOf(of, "application/json"),
            },
            create,
            kept));

        // 2.
        foreach (var below in resource?.Operations ?? [])
        {
            if (below is not { Method: "PUT", Action.Length: > 0 } || copies.Count == Bounds.MoveCopiesMax) continue;
            if (await PartAsync(of, below, here, item, Numbered(move, copies.Count), kept, cancellation) is { } part) copies.Add(part);
        }

        return new(copies.ToImmutable(), "");
    }

    // The site's own credential may stand in for the user's, whose request it was that made it.
    private Task<ServiceReply> ReadAsync(Operation of, string target, Func<ReadOnlyMemory<byte>, ValueTask>? take, CancellationToken cancellation) => calls.SendAsync(
        of, mayRenew: true, caller => Task.FromResult((ReplicaRequests.Reading(of, target, caller), (IAsyncDisposable?)null)), cancellation, take);

    private static OperationId Numbered(Operation move, int part) => new(move.Id.Value + (UInt128)(part + 1));

    private static bool IsPassing(int status) => status is 401 or 408 or 425 or 429 or >= 500;

    private static bool IsFoundAgain(ResourceProfile? resource) => resource is { IdChosenBy: IdChooser.Client } or { NaturalKey.IsEmpty: false };

    private static byte[] FieldsOf(Operation of, string mediaType) =>
        [.. of.Fields.Span, .. Encoding.ASCII.GetBytes($"Accept: application/json\r\nContent-Type: {mediaType}\r\n")];

    // A service that chooses its ids is not told the one of another site.
    private static byte[]? AsCreate(ReadOnlyMemory<byte> representation, ResourceProfile? resource)
    {
        JsonObject? root;
        try
        {
            root = JsonNode.Parse(representation.Span) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }

        if (root is null) return null;
        if (resource?.IdChosenBy != IdChooser.Client)
        {
            var holder = resource?.Id is { Segments.Length: 2 } path && root[path.Segments[0]] is JsonObject inner ? inner : root;
            foreach (var name in resource?.Id is { } told ? [told.Segments[^1]] : IdNames) holder.Remove(name);
        }

        return Encoding.UTF8.GetBytes(root.ToJsonString());
    }

    private async Task<Operation?> PartAsync(Operation of, OperationProfile below, string here, string item, OperationId id, NewContents kept, CancellationToken cancellation)
    {
        await using var writer = kept.Create();
        var reply = await ReadAsync(of, here + below.Action, piece => writer.AppendAsync(piece, cancellation), cancellation);
        if (reply.Answer is not { } answer) throw new IOException(reply.Detail);
        if (IsPassing(answer.Status)) throw new IOException($"{of.Replicant.Service} at {site} answered {answer.Status}");
        if (answer.Status != 200) return null;
        var type = answer.Field("Content-Type") is { Length: > 0 } told ? told : "application/octet-stream";
        var (hash, size) = await kept.KeepAsync(writer, cancellation);
        if (RequestBodies.IsJson(FieldText.MediaType(type)) && ids.TranslatorFor(here + below.Action, profiles.For(of.Replicant.Service), of.Replicant.Service, Direction.ToMeta) is { } translator)
            (hash, size) = await TranslatedAsync(hash, size, translator, kept, cancellation);
        return of with
        {
            Id = id,
            Kind = OperationKind.Update,
            Repetition = below.Idempotent ? Repetition.Idempotent : Repetition.Marked,
            Method = below.Method,
            Target = item + below.Action,
            Fields = FieldsOf(of, type),
            HasBody = true,
            BodyHash = hash,
            BodySize = size,
        };
    }

    private static async Task<Operation> WithBodyAsync(Operation copy, byte[] body, NewContents kept)
    {
        if (body.Length <= Bounds.MoveCopyBodySizeMax) return copy with { HasBody = true, Body = body, BodySize = body.Length };
        await using var writer = kept.Create();
        await writer.AppendAsync(body);
        var (hash, size) = await kept.KeepAsync(writer);
        return copy with { HasBody = true, BodyHash = hash, BodySize = size };
    }

    // What it is only became known with the whole answer.
    private static async Task<(ReadOnlyMemory<byte> Hash, long Size)> TranslatedAsync(
        ReadOnlyMemory<byte> hash, long size, JsonTranslator translator, NewContents kept, CancellationToken cancellation)
    {
        await using var read = new ContentBody(await kept.OpenAsync(hash, size, cancellation));
        var translated = new TranslatedBody(read, translator);
        await using var writer = kept.Create();
        for (ReadOnlyMemory<byte> piece; !(piece = await translated.ReadAsync()).IsEmpty;) await writer.AppendAsync(piece, cancellation);
        return await kept.KeepAsync(writer, cancellation);
    }
}
