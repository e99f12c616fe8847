using System.Buffers;
using System.Text;
using Cheops.Agent.Interception;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Collaboration;

/// <summary>
/// Translates the ids of replicants whose replicas here have others: what goes to this site's service instance has local
/// ids, what comes from it has meta-ids. Services without such replicants pay one look-up in memory.
/// </summary>
internal sealed class IdTranslation(Replication.Replicants ids)
{
    /// <summary>Whether anything that a service gets or answers may have to be translated; false is certain.</summary>
    public bool IsNeeded(ServiceProfile profile, string name) => ((IIdMap)ids).HasAnyFor(profile, name);

    /// <summary>The meta-id of what has an id here, beside a replicant of the same collection; null when it is none's that differs.</summary>
    public string? MetaIdOf(ReplicantKey beside, string resource, string localId) =>
        ids.TryToMeta(beside.Service, ids.ResourceOf(beside, resource), Encoding.UTF8.GetBytes(localId), out var metaId) ? metaId : null;

    /// <summary>Translates a request for the instance here; and says how its answer is.</summary>
    /// <param name="exchange">The request.</param>
    /// <param name="profile">Its service's profile.</param>
    /// <param name="name">Its service.</param>
    /// <param name="body">Gives its body from the start.</param>
    /// <exception cref="IOException">The client was lost while a small body was read.</exception>
    public async ValueTask<Rewriting> PrepareAsync(Exchange exchange, ServiceProfile profile, string name, Func<BodySource> body)
    {
        var head = exchange.Request;
        var service = profile.Named(name);
        var resource = ResourceOf(service, exchange.Target, out var resourceName);
        var rewriting = new Rewriting(LocalTarget(exchange, service), body, head.ContentLength, ToMeta);
        if (!IsJson(head) || head.Framing == BodyFraming.None || !New(Direction.ToLocal).IsNeeded) return rewriting;

        // A small one keeps a length, which not every service can do without.
        if (head.Framing != BodyFraming.Length || head.ContentLength > Bounds.BodyMemorySizeMax)
            return rewriting with { Body = () => new TranslatedBody(body(), New(Direction.ToLocal)) };
        await exchange.ContinueAsync();
        var translated = Translate(await ReadAsync(exchange, body()), New(Direction.ToLocal));
        return rewriting with { Body = () => new MemoryBody(translated), BodyLength = translated.Length };

        JsonTranslator New(Direction direction) => new(service, resource, direction, ids, resourceName);

        BodySource? ToMeta(ResponseHead answered, BodySource answer)
        {
            TranslateLinks(exchange, answered, service);
            if (!IsJson(answered) || New(Direction.ToMeta) is not { IsNeeded: true } translator) return null;
            exchange.ResponseEdits.Removed |= KnownField.ContentLength.Bit();
            return new TranslatedBody(answer, translator);
        }
    }

    /// <summary>Translates the answer to an operation.</summary>
    public KeptAnswer ToMeta(KeptAnswer answer, ReplicantKey replicant, string resourceName, ServiceProfile profile)
    {
        if (!IsNeeded(profile, replicant.Service)) return answer;
        var service = profile.Named(replicant.Service);
        var resource = service.Resources.GetValueOrDefault(resourceName);
        if (resource is { Collection.IsConvention: true }) resourceName = replicant.Collection;
        return answer with
        {
            Body = Translate(answer.Body, new JsonTranslator(service, resource, Direction.ToMeta, ids, resourceName)),
            Fields = TranslateFields(answer.Fields, service),
        };
    }

    /// <summary>A translator of the JSON body that belongs to a target; null when nothing of it is to be translated.</summary>
    public JsonTranslator? TranslatorFor(string target, ServiceProfile profile, string name, Direction direction)
    {
        if (!IsNeeded(profile, name)) return null;
        var service = profile.Named(name);
        var resource = ResourceOf(service, Encoding.ASCII.GetBytes(target), out var resourceName);
        return new JsonTranslator(service, resource, direction, ids, resourceName) is { IsNeeded: true } translator ? translator : null;
    }

    /// <summary>Translates a body that is in memory.</summary>
    public ReadOnlyMemory<byte> Translate(ReadOnlyMemory<byte> body, string target, ServiceProfile profile, string name, Direction direction) =>
        !body.IsEmpty && TranslatorFor(target, profile, name, direction) is { } translator ? Translate(body, translator) : body;

    /// <summary>Translates a target.</summary>
    public string Translate(string target, ServiceProfile profile, string name, Direction direction)
    {
        if (!IsNeeded(profile, name)) return target;
        var output = new ArrayBufferWriter<byte>(target.Length + 64);
        return new TargetTranslator(profile.Named(name), direction, ids).TryTranslate(Encoding.ASCII.GetBytes(target), output)
            ? Encoding.ASCII.GetString(output.WrittenSpan)
            : target;
    }

    private static ReadOnlyMemory<byte> Translate(ReadOnlyMemory<byte> body, JsonTranslator translator)
    {
        var output = new ArrayBufferWriter<byte>(body.Length + 64);
        translator.Feed(body.Span, output);
        translator.Complete(output);
        return output.WrittenMemory;
    }

    // By convention a path does not tell whether it is a collection; that of a replicant is one.
    private ResourceProfile? ResourceOf(ServiceProfile service, ReadOnlySpan<byte> target, out string resourceName)
    {
        var query = target.IndexOf((byte)'?');
        var path = query < 0 ? target : target[..query];
        var match = service.Paths.Match(path);
        resourceName = match.Kind == PathKind.Convention && ids.IsCollection(service.Name, path) ? Encoding.ASCII.GetString(path) : Conventions.ResourceName(match, path);
        return match.Resource;
    }

    private byte[] LocalTarget(Exchange exchange, ServiceProfile service)
    {
        var output = new ArrayBufferWriter<byte>(exchange.Target.Length + 64);
        return new TargetTranslator(service, Direction.ToLocal, ids).TryTranslate(exchange.Target, output) ? output.WrittenSpan.ToArray() : exchange.Target.ToArray();
    }

    private static async ValueTask<ReadOnlyMemory<byte>> ReadAsync(Exchange exchange, BodySource source)
    {
        var body = new ArrayBufferWriter<byte>((int)exchange.Request.ContentLength + 1);
        exchange.ArmBody();
        for (ReadOnlyMemory<byte> piece; !(piece = await source.ReadAsync()).IsEmpty; exchange.ArmBody()) body.Write(piece.Span);
        exchange.Disarm();
        return body.WrittenMemory;
    }

    private void TranslateLinks(Exchange exchange, ResponseHead head, ServiceProfile service)
    {
        if (!head.TryGet(KnownField.Location, out var line)) return;
        var output = new ArrayBufferWriter<byte>(256);
        if (!new TargetTranslator(service, Direction.ToMeta, ids).TryTranslate(head.Value(line), output)) return;
        exchange.ResponseEdits.Removed |= KnownField.Location.Bit();
        exchange.ResponseEdits.Added.Add("Location"u8, output.WrittenSpan);
    }

    private ReadOnlyMemory<byte> TranslateFields(ReadOnlyMemory<byte> fields, ServiceProfile service)
    {
        const string Name = "Location: ";
        var lines = Encoding.Latin1.GetString(fields.Span).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        for (var i = 0; i < lines.Length; i++)
        {
            if (!lines[i].StartsWith(Name, StringComparison.OrdinalIgnoreCase)) continue;
            var output = new ArrayBufferWriter<byte>(256);
            if (new TargetTranslator(service, Direction.ToMeta, ids).TryTranslate(Encoding.Latin1.GetBytes(lines[i][Name.Length..]), output))
                lines[i] = Name + Encoding.Latin1.GetString(output.WrittenSpan);
        }

        return Encoding.Latin1.GetBytes(string.Concat(lines.Select(line => line + "\r\n")));
    }

    private static bool IsJson(MessageHead head) =>
        head.TryGet(KnownField.ContentType, out var type) && head.Value(type).IndexOf("json"u8) >= 0 && !head.TryGet("content-encoding"u8, out _);
}
