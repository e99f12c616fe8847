using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>One thing of a <see cref="NumbersService"/>.</summary>
/// <param name="Id">Chosen by the service.</param>
/// <param name="Key">Chosen by the client.</param>
/// <param name="Value">What it was given last, and what was added to it since.</param>
/// <param name="Last">What the last change gave or added.</param>
internal sealed record Thing(long Id, string Key, string Value, string Last);

/// <summary>
/// A service that chooses integers as ids and knows nothing of repetition: every POST on <c>/v1/things</c> makes another thing.
/// PUT on an item gives it a value, POST on <c>/add</c> below it adds a number to it, DELETE removes it. What was executed is kept in order.
/// </summary>
internal sealed class NumbersService : IAsyncDisposable
{
    private const string Collection = "/v1/things";

    private readonly Lock _gate = new();
    private readonly Dictionary<long, Thing> _things = [];
    private readonly List<(string Key, string Value, int Life)> _values = [];
    private int _life;
    private RestService _rest;
    private long _last;

    public NumbersService(string address, int port, Func<Socket>? newSocket = null) => _rest = new RestService(AnswerAsync, address, port, newSocket);

    /// <summary>It comes back, after it was disposed of, with all that it had.</summary>
    public void ComeBack() => _rest = new RestService(AnswerAsync, _rest.Address, _rest.Port);

    public string Url => _rest.Url;

    /// <summary>How changes are treated: given the call and what executes it, which gives status and body; null for well.</summary>
    public Func<RestCall, Func<(int Status, string Body)>, Task>? Behaviour { get; set; }

    /// <summary>Told of every change while it is executed: the method, the thing's key, and what was given or added; for a DELETE what its query says as <c>op</c>.</summary>
    public Action<string, string, string>? Executed { get; init; }

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
            foreach (var (of, value, _) in _values)
            {
                if (of == key && (values.Count == 0 || values[^1] != value)) values.Add(value);
            }

            return values;
        }
    }

    /// <summary>The agent in front begins another life: only what an earlier one may have sent is rightly sent again.</summary>
    public void BeginLife() => Interlocked.Increment(ref _life);

    /// <summary>What was given more than once within one life of the agent in front.</summary>
    public IReadOnlyList<(string Key, string Value, int Life)> GivenTwice()
    {
        lock (_gate) return [.. _values.GroupBy(given => given).Where(same => same.Count() > 1).Select(same => same.Key)];
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
            await behaviour(call, () => Execute(call, path, body));
            return;
        }

        var (status, answer) = Execute(call, path, body);
        await call.AnswerJsonAsync(status, answer);
    }

    private (int Status, string Body) Execute(RestCall call, string path, string body)
    {
        var method = call.Method;
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
                ("PUT", null) => (200, Text(Give(method, thing, Member(body, "value"), Member(body, "value")))),
                ("POST", "add") => (200, Text(Give(method, thing, Sum(thing.Value, Member(body, "n")), Member(body, "n")))),
                ("DELETE", null) => (200, Text(Remove(thing, call.Target.Split("op=").ElementAtOrDefault(1) ?? ""))),
                _ => (405, "{}"),
            };
        }
    }

    private Thing Make(string key, string value)
    {
        lock (_gate)
        {
            var thing = new Thing(++_last, key, "", "");
            _things[thing.Id] = thing;
            return Give("POST", thing, value, value);
        }
    }

    private Thing Give(string method, Thing thing, string value, string change)
    {
        _values.Add((thing.Key, value, Volatile.Read(ref _life)));
        Executed?.Invoke(method, thing.Key, change);
        return _things[thing.Id] = thing with { Value = value, Last = change };
    }

    private Thing Remove(Thing thing, string change)
    {
        _things.Remove(thing.Id);
        Executed?.Invoke("DELETE", thing.Key, change);
        return thing;
    }

    private static string Sum(string value, string number) =>
        (long.Parse(value, CultureInfo.InvariantCulture) + long.Parse(number, CultureInfo.InvariantCulture)).ToString(CultureInfo.InvariantCulture);

    private static string Member(string body, string name)
    {
        using var document = JsonDocument.Parse(body);
        return document.RootElement.GetProperty(name).ToString();
    }

    private static object Shown(Thing thing) => new { id = thing.Id, key = thing.Key, value = thing.Value, last = thing.Last };

    private static string Text(Thing thing) => JsonSerializer.Serialize(Shown(thing));
}
