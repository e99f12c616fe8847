using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Tests.Simulation.Checkers;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>The clients of a world. What they were told goes into the history; none may wait past its bound.</summary>
internal sealed partial class Clients(World world)
{
    // What is replicated is answered within 50 s; more for the way there and a machine that is slow at times.
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(70);

    private readonly Life _life = world.NewLife("clients");
    private readonly Dictionary<string, string> _ids = new(StringComparer.Ordinal);
    private readonly HashSet<(string Site, string Thing)> _knownAt = [];
    private readonly HashSet<string> _deleted = new(StringComparer.Ordinal);
    private readonly HashSet<(string Site, string Thing)> _reading = [];
    private readonly Dictionary<string, int> _scoped = new(StringComparer.Ordinal);
    private int _waiting;

    /// <summary>Whether nobody waits for an answer, or is about to ask again.</summary>
    public bool AreQuiet => _waiting == 0 && _trying == 0;

    /// <summary>Begins what a client asks for.</summary>
    public void Begin(Ask ask) => _life.Run(() => world.Watch($"client of operation {ask.Number}", AskAsync(ask)));

    /// <summary>Whether something is under way, or may be, that names a thing's sites.</summary>
    public bool NameSitesOf(string thing) => _scoped.GetValueOrDefault(thing) > 0;

    /// <summary>A site has lost data: what it knew it may not know now.</summary>
    public void Forget(string site) => _knownAt.RemoveWhere(known => known.Site == site);

    /// <summary>The path by which a thing is known; null while nobody was told its id.</summary>
    public string? PathOf(string thing) => _ids.TryGetValue(thing, out var id) ? $"{CollectionOf(thing)}/{id}" : null;

    private async Task<Tried?> TryAsync(Ask ask, string operation)
    {
        var scope = world.Scenario.Things[ask.Thing];
        var isMoved = world.Places.IsMoved(ask.Thing) && ask.Deed is not (Deed.CreateHere or Deed.CreateFirst or Deed.CreateRefused);
        if (isMoved && !TryFit(ref ask)) return null;
        if (ask.Deed is Deed.Read or Deed.ReadThere)
        {
            await ReadAsync(ask);
            return null;
        }

        // Of what may be gone, or not be known there yet, a client says where it is meant.
        if (!isMoved && (_deleted.Contains(ask.Thing) || !_knownAt.Contains((ask.Site, ask.Thing)))) ask = ask with { SaysScope = true };
        if (RequestOf(ask, operation) is not { } request || (!isMoved && !scope.Contains(ask.Site) && !(ask.Deed is Deed.Create or Deed.CreateRefused || ask.SaysScope))) return null;
        var (thing, sites, scopeText) = ask.Deed switch
        {
            Deed.CreateHere => ($"{ask.Thing}-{operation}", [ask.Site], ""),
            Deed.CreateFirst => ($"{ask.Thing}-{operation}", scope, string.Join("; ", scope)),
            Deed.Create => (ask.Thing, scope, string.Join(" & ", scope)),
            Deed.CreateRefused => ($"{ask.Thing}-{operation}", scope, string.Join(" & ", scope)),
            _ => (ask.Thing, scope, ask.SaysScope ? string.Join(" & ", scope) : ""),
        };
        if (ask.Deed == Deed.Delete) _deleted.Add(ask.Thing);
        Note(ask, operation);
        if (scopeText.Length == 0 && thing == ask.Thing) world.Places.OnAskedAt(operation, ask.Site);
        world.Asked(operation, thing, sites, ask.Deed == Deed.CreateFirst);
        world.Tell(ask.Site, ask.Thing, $"a client asks {operation}: {request.Method} {request.Target}{(scopeText.Length > 0 ? $" {{{World.Service}: {scopeText}}}" : "")}");
        var namesSites = scopeText.Length > 0 && thing == ask.Thing;
        if (namesSites) _scoped[thing] = _scoped.GetValueOrDefault(thing) + 1;
        var answer = await ExchangeAsync(ask, operation, request, scopeText);
        if (namesSites && answer is not null) _scoped[thing]--;
        var told = ToldBy(answer);
        world.Tell(ask.Site, ask.Thing, $"the client of {operation} {Describe(answer)}: {told.ToString().ToLowerInvariant()}");
        if (ask.Deed == Deed.Delete && told == Told.Accepted) world.History.OnOneOf(operation, DeletesOf(ask.Thing));

        // What was gone already has nothing to be carried out.
        var tried = new Tried(operation, told, answer);
        if (ask.Deed == Deed.Delete && !world.IsApplied(operation) && (answer is { Status: 404 } || DeletesOf(ask.Thing).Any(world.IsApplied))) return tried;
        world.Told(operation, told);
        if (told == Told.Accepted && ask.Deed == Deed.Create)
        {
            _ids[ask.Thing] = IdIn(answer!);
            _knownAt.Add((answer!.Field("Cheops-Site") ?? "", ask.Thing));
        }

        if (answer is null) return tried;
        world.CheckReplicas(operation, answer.Field("Cheops-Replicas"));
        if (told == Told.Accepted && ask.Number % 3 == 0 && answer.Field("Cheops-Operation") is { } id) await FollowAsync(ask.Site, operation, id);
        return tried;
    }

    // Waits by the API until the operation is finished, and looks whether that is so.
    private async Task FollowAsync(string site, string operation, string id)
    {
        var asked = new ApiRequest(HttpMethod.Get, $"/_cheops/v1/operations/{id}", ImmutableDictionary<string, string>.Empty.Add("wait", "20s"), MayChange: false);
        if (await world.SiteNamed(site).AskApiAsync(asked) is not { Status: 200 } told) return;
        using var body = JsonDocument.Parse(told.Body);
        world.CheckReplicas(operation, string.Join("; ", body.RootElement.GetProperty("sites").EnumerateObject().Select(one => $"{one.Name}={one.Value.GetProperty("step").GetString()}")));
    }

    // Of a thing whose sites are changed a client asks, without a scope, where it surely is and is known; of a change also where
    // it may be leaving. Where former sites are named, a scope stays as it was, wherever the thing is by now: it is refused, or done there.
    private bool TryFit(ref Ask ask)
    {
        if (ask.Deed == Deed.Create || _deleted.Contains(ask.Thing)) return false;
        if (ask.SaysScope && ask.Deed is (Deed.Put or Deed.Patch) && Changes.NameFormerSites(world.Scenario.Seed) && world.Scenario.Things[ask.Thing].Contains(ask.Site)) return true;
        var sites = world.Places.SurelyAt(ask.Thing);
        var isLeaving = ask.Deed is Deed.Put or Deed.Patch && world.Places.IsLeaving(ask.Site, ask.Thing);
        if (!sites.Contains(ask.Site) && !isLeaving) ask = ask with { Site = sites[ask.Number % sites.Length] };
        ask = ask with { SaysScope = false };
        return ask.Deed is Deed.Read or Deed.ReadThere || _knownAt.Contains((ask.Site, ask.Thing));
    }

    private static string CollectionOf(string thing) => "/v1/" + thing.TrimEnd([.. "0123456789"]) + "s";

    private sealed record Request(string Method, string Target, string Body, string MediaType = "application/json");

    // A thing whose id nobody was told cannot be named.
    private Request? RequestOf(Ask ask, string operation)
    {
        var collection = CollectionOf(ask.Thing);
        var key = ask.Deed is Deed.CreateHere or Deed.CreateFirst or Deed.CreateRefused ? $"{ask.Thing}-{operation}" : ask.Thing;
        var name = collection == "/v1/names" ? $"\"name\":\"{key}\"," : "";
        var pad = ask.IsLarge ? $"\"pad\":\"{new string('x', 300_000)}\"," : "";
        var body = $$"""{{{name}}"key":"{{key}}",{{pad}}"value":"{{operation}}"}""";
        switch (ask.Deed)
        {
            case Deed.Create or Deed.CreateHere or Deed.CreateFirst:
                return new Request("POST", collection, body);
            case Deed.CreateRefused:
                return new Request("POST", collection, body.Replace("}", ""","refuse":true}""", StringComparison.Ordinal));
            default:
                if (!_ids.TryGetValue(ask.Thing, out var id)) return null;
                return ask.Deed switch
                {
                    Deed.Put => new Request("PUT", $"{collection}/{id}", body),
                    Deed.Patch => new Request("PATCH", $"{collection}/{id}", body),
                    Deed.Upload => new Request("PUT", $"{collection}/{id}/file", $"{pad}{operation}", "application/octet-stream"),
                    Deed.Delete => new Request("DELETE", $"{collection}/{id}", ""),
                    _ => new Request("GET", $"{collection}/{id}", ""),
                };
        }
    }

    private async Task ReadAsync(Ask ask)
    {
        // Of what may be gone, or not be known there yet, a client says where it is meant.
        if (_deleted.Contains(ask.Thing) || !_knownAt.Contains((ask.Site, ask.Thing))) ask = ask with { SaysScope = true };
        var scope = world.Places.SurelyAt(ask.Thing);
        var there = ask.Deed == Deed.ReadThere ? scope[ask.Number % scope.Length] : ask.Site;
        if (RequestOf(ask, "") is not { } request || !scope.Contains(there) || !_reading.Add((there, ask.Thing))) return;
        try
        {
            var answer = await ExchangeAsync(ask, $"read{ask.Number}", request, there == ask.Site ? "" : there);
            var isElsewhere = answer is { Status: < 500 } && answer.Field("Cheops-Site") is { } by && by != there;
            if (isElsewhere && !world.Places.MayLack(there, ask.Thing))
                world.Violate("within its scope", $"{ask.Thing} was to be read at {there}, and {answer!.Field("Cheops-Site")} answered");
            world.Tell(ask.Site, ask.Thing, $"a client reads {request.Target} and {Describe(answer)}");
            if (isElsewhere || (world.Places.MayLack(there, ask.Thing) && (answer is { Status: 404 } || !world.Places.SurelyAt(ask.Thing).Contains(there)))) return;

            // What may have been forgotten is known when the site says so.
            if (answer is { Status: 200 } && (!world.Places.MayLack(there, ask.Thing) || answer.Field("Cheops-Replicas") is not null)) _knownAt.Add((there, ask.Thing));

            // What is not there may be gone already, or not be there yet where a delete is on its way.
            if (answer is null || answer.Status >= 500 || (answer.Status == 404 && _deleted.Contains(ask.Thing))) return;
            world.History.OnSeen(there, ask.Thing, answer.Status == 200 ? LastIn(answer) : "");
        }
        finally
        {
            _reading.Remove((there, ask.Thing));
        }
    }

    private static string LastIn(Message answer)
    {
        using var body = JsonDocument.Parse(answer.Body);
        var value = body.RootElement.GetProperty("value").GetString()!;
        return value[(value.LastIndexOf('+') + 1)..];
    }

    private static string IdIn(Message answer)
    {
        using var body = JsonDocument.Parse(answer.Body);
        return body.RootElement.TryGetProperty("id", out var id) ? id.ToString() : body.RootElement.GetProperty("name").GetString()!;
    }

    private static string Describe(Message? answer) =>
        answer is null ? "gets no answer" : $"gets {answer.First.Split(' ')[1]} {Short(answer.Body)} {answer.Field("Cheops-Replicas")}";

    private static string Short(string body) => (body.Length <= 300 ? body : body[..300] + "…").Replace("\n", "", StringComparison.Ordinal);

    // Only what is said to be surely not executed is refused; a client that knows nothing expects anything.
    private static Told ToldBy(Message? answer) => answer switch
    {
        null => Told.Nothing,
        { Status: < 400 } => Told.Accepted,
        _ when answer.Body.Contains("\"retrySafe\"", StringComparison.Ordinal) => IsRetrySafe(answer) ? Told.Refused : Told.Nothing,
        { Status: < 500 } => Told.Refused,
        _ => Told.Nothing,
    };

    private async Task<Message?> ExchangeAsync(Ask ask, string operation, Request request, string scope)
    {
        if (world.SiteNamed(ask.Site).Connect() is not { } channel) return null;
        _waiting++;
        var isLate = false;
        using var late = world.Clock.CreateTimer(
            _ =>
            {
                isLate = true;
                channel.Abort();
            },
            null,
            AnswerMax,
            Timeout.InfiniteTimeSpan);
        using var abort = world.Clock.CreateTimer(
            _ => channel.Abort(), null, ask.AbortsAfterMs > 0 ? TimeSpan.FromMilliseconds(ask.AbortsAfterMs) : Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        try
        {
            await channel.Output.WriteAsync(Message.Encode(
                $"{request.Method} {request.Target} HTTP/1.1", request.Body,
                [("Host", World.Service), ("Connection", "close"), ("Content-Type", request.MediaType), ("X-Operation", operation), ("X-Thing", ask.Thing),
                    ("Authorization", "Bearer secret"), .. scope.Length > 0 ? [("Scope", $"{World.Service}: {scope}")] : Array.Empty<(string, string)>()]));
            return await Message.ReadAsync(channel);
        }
        catch (IOException)
        {
            return null;
        }
        finally
        {
            _waiting--;
            if (isLate) world.Violate("no hang", string.Create(CultureInfo.InvariantCulture, $"{ask.Thing}: {operation} at {ask.Site} had no answer after {AnswerMax.TotalSeconds} s"));
            await channel.DisposeAsync();
        }
    }
}
