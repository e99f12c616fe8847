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
    /// <summary>Whether anything of a service may have to be translated.</summary>
    public bool IsNeeded(string service) => ids.HasAny(service);

    /// <summary>The meta-id of what has an id here, beside a replicant of the same collection; null when it is none's that differs.</summary>
    public string? MetaIdOf(ReplicantKey beside, string resource, string localId) =>
        ids.TryToMeta(beside.Service, ids.ResourceOf(beside, resource), Encoding.UTF8.GetBytes(localId), out var metaId) ? metaId : null;

    /// <summary>Translates a request, and sees to it that its answer is.</summary>
    /// <param name="exchange">The request.</param>
    /// <param name="profile">Its service's profile.</param>
    /// <param name="name">Its service.</param>
    /// <param name="body">Gives its body from the start.</param>
    /// <returns>The body that goes to the service, from its start each time.</returns>
    public async ValueTask<Func<BodySource>> PrepareAsync(Exchange exchange, ServiceProfile profile, string name, Func<BodySource> body)
    {
        var service = profile.Named(name);
        var resource = ResourceOf(service, exchange.Target, out var resourceName);
        ReplaceTarget(exchange, service);
        exchange.TranslateAnswer = (head, answer) =>
        {
            TranslateLinks(exchange, head, service);
            if (!IsJson(head)) return null;
            exchange.ResponseEdits.Removed |= KnownField.ContentLength.Bit();
            return new TranslatedBody(answer, new JsonTranslator(service, resource, Direction.ToMeta, ids, resourceName));
        };
        return await TranslateBodyAsync(exchange, service, resource, resourceName, body) is { } changed ? () => new MemoryBody(changed) : body;
    }

    /// <summary>Translates the answer to an operation.</summary>
    public KeptAnswer ToMeta(KeptAnswer answer, ReplicantKey replicant, string resourceName, ServiceProfile profile)
    {
        if (!ids.HasAny(replicant.Service)) return answer;
        var service = profile.Named(replicant.Service);
        var resource = service.Resources.GetValueOrDefault(resourceName);
        if (resource is { Collection.IsConvention: true }) resourceName = replicant.Collection;
        return answer with
        {
            Body = Translate(answer.Body, new JsonTranslator(service, resource, Direction.ToMeta, ids, resourceName)),
            Fields = TranslateFields(answer.Fields, service),
        };
    }

    /// <summary>Translates a body that is in memory.</summary>
    public ReadOnlyMemory<byte> Translate(ReadOnlyMemory<byte> body, string target, ServiceProfile profile, string name, Direction direction)
    {
        if (body.IsEmpty || !ids.HasAny(name)) return body;
        var service = profile.Named(name);
        var resource = ResourceOf(service, Encoding.ASCII.GetBytes(target), out var resourceName);
        return Translate(body, new JsonTranslator(service, resource, direction, ids, resourceName));
    }

    /// <summary>Translates a target.</summary>
    public string Translate(string target, ServiceProfile profile, string name, Direction direction)
    {
        if (!ids.HasAny(name)) return target;
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

    private void ReplaceTarget(Exchange exchange, ServiceProfile service)
    {
        var output = new ArrayBufferWriter<byte>(exchange.Target.Length + 64);
        if (new TargetTranslator(service, Direction.ToLocal, ids).TryTranslate(exchange.Target, output)) exchange.ReplaceTarget(output.WrittenSpan.ToArray());
    }

    private async ValueTask<ReadOnlyMemory<byte>?> TranslateBodyAsync(
        Exchange exchange, ServiceProfile service, ResourceProfile? resource, string resourceName, Func<BodySource> client)
    {
        var head = exchange.Request;
        if (!IsJson(head) || head.Framing != BodyFraming.Length || head.ContentLength > Bounds.BodyMemorySizeMax) return null;
        await exchange.ContinueAsync();
        var source = client();
        var body = new ArrayBufferWriter<byte>((int)head.ContentLength + 1);
        exchange.ArmBody();
        for (ReadOnlyMemory<byte> piece; !(piece = await source.ReadAsync()).IsEmpty; exchange.ArmBody()) body.Write(piece.Span);
        exchange.Disarm();
        var translated = Translate(body.WrittenMemory, new JsonTranslator(service, resource, Direction.ToLocal, ids, resourceName));
        exchange.SentLength = translated.Length;
        return translated;
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

    private sealed class TranslatedBody(BodySource body, JsonTranslator translator) : BodySource
    {
        private readonly ArrayBufferWriter<byte> _output = new(4096);
        private bool _ended;

        public override BodyFraming Framing => body.Framing == BodyFraming.None ? BodyFraming.None : BodyFraming.Chunked;

        public override bool IsComplete => _ended;

        public override bool IsTouched => body.IsTouched;

        public override ReadOnlySpan<byte> Trailers => body.Trailers;

        public override async ValueTask<ReadOnlyMemory<byte>> ReadAsync()
        {
            while (!_ended)
            {
                _output.ResetWrittenCount();
                var piece = await body.ReadAsync();
                if (piece.IsEmpty)
                {
                    _ended = true;
                    translator.Complete(_output);
                }
                else
                {
                    translator.Feed(piece.Span, _output);
                }

                // What a translator holds back of a value that is not whole comes with the next piece.
                if (_output.WrittenCount > 0) return _output.WrittenMemory;
            }

            return default;
        }
    }
}
