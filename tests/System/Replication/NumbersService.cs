using System.Globalization;
using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>One thing of a <see cref="NumbersService"/>.</summary>
internal sealed record Thing(long Id, string Key, string Value);

/// <summary>
/// A service that chooses integers as ids and knows nothing of repetition: every POST on <c>/v1/things</c> makes another thing.
/// PUT on an item gives it a value, POST on <c>/add</c> below it adds a number to it. What was executed is kept in order.
/// </summary>
internal sealed class NumbersService : IAsyncDisposable
{
    private const string Collection = "/v1/things";

    private readonly Lock _gate = new();
    private readonly Dictionary<long, Thing> _things = [];
    private readonly List<(string Key, string Value)> _values = [];
    private readonly RestService _rest;
    private long _last;

    public NumbersService(string address, int port) => _rest = new RestService(AnswerAsync, address, port);

    public string Url => _rest.Url;

    /// <summary>How changes are treated: given the call and what executes it, which gives status and body; null for well.</summary>
    public Func<RestCall, Func<(int Status, string Body)>, Task>? Behaviour { get; set; }

    /// <summary>Everything that is there.</summary>
    public IReadOnlyList<Thing> Things
    {
        get
        {
            lock (_gate) return [.. _things.Values];
        }
    }

    /// <summary>How many things were ever made.</summary>
    public long Made => Interlocked.Read(ref _last);

    /// <summary>The values that a thing of this key was given, in order; one that was given again at once counts as given once.</summary>
    public IReadOnlyList<string> ValuesOf(string key)
    {
        lock (_gate)
        {
            var values = new List<string>();
            foreach (var (of, value) in _values)
            {
                if (of == key && (values.Count == 0 || values[^1] != value)) values.Add(value);
            }

            return values;
        }
    }

    /// <summary>Makes things that belong to this site alone, so that its next ids are others than elsewhere.</summary>
    public void MakeLocal(int count)
    {
        for (var i = 0; i < count; i++) Make($"local-{i}", "");
    }

    public ValueTask DisposeAsync() => _rest.DisposeAsync();

    private async Task AnswerAsync(RestCall call)
    {
        var path = call.Target.Split('?')[0];
        var body = await call.BodyAsync();
        if (call.Method != "GET" && Behaviour is { } behaviour)
        {
            await behaviour(call, () => Execute(call.Method, path, body));
            return;
        }

        var (status, answer) = Execute(call.Method, path, body);
        await call.AnswerJsonAsync(status, answer);
    }

    private (int Status, string Body) Execute(string method, string path, string body)
    {
        if (!path.StartsWith(Collection, StringComparison.Ordinal)) return (404, "{}");
        var parts = path[Collection.Length..].Split('/', StringSplitOptions.RemoveEmptyEntries);
        lock (_gate)
        {
            if (parts.Length == 0 && method == "GET") return (200, JsonSerializer.Serialize(_things.Values.OrderBy(thing => thing.Id).Select(Shown)));
            if (parts.Length == 0 && method == "POST") return (201, Text(Make(Member(body, "key"), Member(body, "value"))));
            if (!long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var id) || !_things.TryGetValue(id, out var thing)) return (404, "{}");
            return (method, parts.ElementAtOrDefault(1)) switch
            {
                ("GET", null) => (200, Text(thing)),
                ("PUT", null) => (200, Text(Give(thing, Member(body, "value")))),
                ("POST", "add") => (200, Text(Give(thing, Sum(thing.Value, Member(body, "n"))))),
                _ => (405, "{}"),
            };
        }
    }

    private Thing Make(string key, string value)
    {
        lock (_gate)
        {
            var thing = new Thing(++_last, key, "");
            _things[thing.Id] = thing;
            return Give(thing, value);
        }
    }

    private Thing Give(Thing thing, string value)
    {
        _values.Add((thing.Key, value));
        return _things[thing.Id] = thing with { Value = value };
    }

    private static string Sum(string value, string number) =>
        (long.Parse(value, CultureInfo.InvariantCulture) + long.Parse(number, CultureInfo.InvariantCulture)).ToString(CultureInfo.InvariantCulture);

    private static string Member(string body, string name)
    {
        using var document = JsonDocument.Parse(body);
        return document.RootElement.GetProperty(name).ToString();
    }

    private static object Shown(Thing thing) => new { id = thing.Id, key = thing.Key, value = thing.Value };

    private static string Text(Thing thing) => JsonSerializer.Serialize(Shown(thing));
}
