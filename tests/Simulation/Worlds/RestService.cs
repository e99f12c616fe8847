using System.Globalization;
using System.Text.Json;
using Cheops.Agent.Transport;
using Cheops.Proto;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>
/// A site's instance of the application: names that clients choose, numbers and marks whose ids it chooses itself. Every POST
/// makes another thing, except of a name that is taken. Data are put below a thing once; those of names can be read again. It
/// outlives its site's agent, and misbehaves to order.
/// </summary>
internal sealed class RestService(World world, string site, int firstId)
{
    private static readonly string[] Collections = ["names", "numbers", "marks"];

    private readonly Dictionary<string, SortedDictionary<string, Thing>> _things =
        Collections.ToDictionary(name => name, _ => new SortedDictionary<string, Thing>(StringComparer.Ordinal));

    private readonly Dictionary<(string Collection, string Id), string> _given = [];
    private readonly Random _chance = world.ChanceFor($"service of {site}");
    private readonly Life _life = world.NewLife($"service of {site}");
    private readonly List<(Mishap Mishap, TaskCompletionSource Ends)> _mishaps = [];
    private int _next = firstId;

    /// <summary>One thing.</summary>
    /// <param name="Key">Its name in the history.</param>
    /// <param name="Value">The operations that it has seen, joined by <c>+</c>, from the last that replaced it.</param>
    internal sealed record Thing(string Key, string Value)
    {
        public string Last => Value[(Value.LastIndexOf('+') + 1)..];

        /// <summary>The operation that has put its data, and the data; null before.</summary>
        public (string Operation, string Data)? File { get; init; }
    }

    /// <summary>All that it holds of a key, in the order of ids.</summary>
    public IEnumerable<(string Id, Thing Thing)> Of(string key) => _things.Values.SelectMany(all => all).Where(one => one.Value.Key == key).Select(one => (one.Key, one.Value));

    /// <summary>Finds a thing.</summary>
    public Thing? Find(string collection, string id) => _things[collection[(collection.LastIndexOf('/') + 1)..]].GetValueOrDefault(id);

    /// <summary>The key of what was ever made under an id; null for nothing.</summary>
    public string? KeyGiven(string collection, string id) => _given.GetValueOrDefault((collection[(collection.LastIndexOf('/') + 1)..], id));

    /// <summary>Whether something was put below a thing of this key.</summary>
    public bool HasFile(string key) => Of(key).Any(one => one.Thing.File is not null);

    /// <summary>Lets it misbehave until the mishap is ended.</summary>
    public Action Misbehave(Mishap mishap)
    {
        var one = (mishap, new TaskCompletionSource());
        _mishaps.Add(one);
        return () =>
        {
            _mishaps.Remove(one);
            one.Item2.TrySetResult();
        };
    }

    /// <summary>A person takes back what an operation did, after which it may be tried again.</summary>
    public void Undo(string operation)
    {
        foreach (var all in _things.Values)
        {
            foreach (var (id, thing) in all.Where(one => one.Value.Value.Split('+').Contains(operation) || one.Value.File?.Operation == operation).ToArray())
            {
                var left = string.Join('+', thing.Value.Split('+').TakeWhile(one => one != operation));
                if (left.Length > 0) all[id] = thing with { Value = left, File = thing.File?.Operation == operation ? null : thing.File };
                else all.Remove(id);
            }
        }

        world.History.OnUndone(site, operation);
    }

    /// <summary>A person takes back what may have been made as a copy of another site's replica.</summary>
    public void UndoCopy(string key)
    {
        foreach (var all in _things.Values)
        {
            foreach (var id in all.Where(one => one.Value.Key == key).Select(one => one.Key).ToArray()) all.Remove(id);
        }

        world.History.OnUndoneCopy(site, key);
    }

    /// <summary>Takes a connection.</summary>
    /// <exception cref="IOException">It takes none.</exception>
    public Channel Connect()
    {
        if (_mishaps.Any(one => one.Mishap == Mishap.Refuses)) throw new IOException("the connection was refused");
        var (ours, theirs) = MemoryTransport.Pair();
        _life.Run(() => _ = ServeAsync(theirs));
        return ours;
    }

    private async Task ServeAsync(Channel channel)
    {
        await using var ending = channel;
        try
        {
            while (await Message.ReadAsync(channel) is { } asked)
            {
                if (await AnswerAsync(asked, channel) is not { } answer) return;
                await channel.Output.WriteAsync(answer);
            }
        }
        catch (IOException)
        {
            // Whoever asked is gone: what was done is done.
        }
    }

    private async Task<byte[]?> AnswerAsync(Message asked, Channel channel)
    {
        await Task.Delay(TimeSpan.FromMicroseconds(_chance.Next(100, 20_000)), world.Clock);
        if (_mishaps.Count == 0 || _chance.Next(10) < 3) return Encoded(Execute(asked));
        var (mishap, ends) = _mishaps[_chance.Next(_mishaps.Count)];
        world.Tell(site, asked.Field("X-Thing"), $"its service {Describe(mishap)} at {asked.First}");
        switch (mishap)
        {
            case Mishap.IsBusy:
                return Encoded((503, """{"error":"busy"}"""));
            case Mishap.Fails:
                return Encoded((500, """{"error":"failed"}"""));
            case Mishap.FailsAfterwards:
                Execute(asked);
                return Encoded((500, """{"error":"failed afterwards"}"""));
            case Mishap.DropsAfterwards:
                Execute(asked);
                return null;
            case Mishap.Hangs:
                return await HangAsync(asked, channel, ends.Task);
            default:
                return null;
        }
    }

    // Before it does what it is asked, or after. When whoever asked goes away, it may still do it, but not for ever.
    private async Task<byte[]?> HangAsync(Message asked, Channel channel, Task ends)
    {
        (int Status, string Body)? done = _chance.Next(2) == 0 ? Execute(asked) : null;
        var gone = channel.Input.ReadAsync().AsTask();
        if (await Task.WhenAny(ends, gone) == gone)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(_chance.Next(Bounds.AbandonedTimeMaxMs * 19 / 20)), world.Clock);
            if (done is null && _chance.Next(2) == 0) Execute(asked);
            return null;
        }

        await channel.Output.WriteAsync(Encoded(done ?? Execute(asked), ("Connection", "close")));
        return null;
    }

    private static string Describe(Mishap mishap) => mishap switch
    {
        Mishap.IsBusy => "is busy",
        Mishap.Fails => "fails",
        Mishap.FailsAfterwards => "fails after doing it",
        Mishap.DropsAfterwards => "does it and drops the connection",
        Mishap.Hangs => "hangs",
        _ => "drops the connection",
    };

    private static byte[] Encoded((int Status, string Body) answer, params ReadOnlySpan<(string, string)> fields) =>
        Message.Encode(string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 {answer.Status} Said"), answer.Body, [("Content-Type", "application/json"), .. fields]);

    // ---- what it does -----------------------------------------------------------------------------------------------

    private (int Status, string Body) Execute(Message asked)
    {
        var parts = asked.First.Split(' ');
        var path = parts[1].Split('?')[0].Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (path is not ["v1", var collection, ..] || !_things.TryGetValue(collection, out var things)) return (404, """{"error":"no such path"}""");
        var operation = asked.Field("X-Operation") ?? "";
        var answer = (parts[0], path) switch
        {
            ("POST", [_, _]) => Make(collection, things, operation, asked.Body),
            ("GET", [_, _]) => (200, $"[{string.Join(',', things.Select(one => Show(collection, one.Key, one.Value)))}]"),
            ("GET", [_, _, var id]) => things.TryGetValue(id, out var thing) ? (200, Show(collection, id, thing)) : NotFound(id),
            ("PUT", [_, _, var id]) => Change(collection, things, id, operation, _ => operation),
            ("PATCH", [_, _, var id]) => Change(collection, things, id, operation, before => $"{before}+{operation}"),
            ("PUT", [_, _, var id, "file"]) => Upload(things, id, operation, asked.Body),
            ("GET", ["v1", "names", var id, "file"]) => things.TryGetValue(id, out var thing) && thing.File is var (_, data) ? (200, data) : NotFound(id),
            ("DELETE", [_, _, var id]) => Remove(things, id, operation),
            _ => (405, """{"error":"not allowed"}"""),
        };
        if (parts[0] != "GET") world.Tell(site, asked.Field("X-Thing"), $"its service answers {answer.Item1} to {operation}: {parts[0]} {parts[1]}");
        return answer;
    }

    private static (int, string) NotFound(string id) => (404, $$"""{"error":"there is no {{id}}"}""");

    private (int, string) Make(string collection, SortedDictionary<string, Thing> things, string operation, string body)
    {
        using var sent = JsonDocument.Parse(body);
        var key = sent.RootElement.GetProperty("key").GetString()!;
        if (sent.RootElement.TryGetProperty("refuse", out _)) return (422, """{"error":"nobody wants it"}""");
        var id = collection == "names" ? sent.RootElement.GetProperty("name").GetString()! : (_next++).ToString(CultureInfo.InvariantCulture);
        if (things.ContainsKey(id)) return (409, $$"""{"error":"{{id}} is taken"}""");
        things[id] = new Thing(key, operation.Length > 0 ? operation : sent.RootElement.GetProperty("value").GetString()!);
        _given[(collection, id)] = key;
        if (operation.Length > 0) world.Applied(site, key, operation);
        else world.History.OnCopied(site, key, things[id].Value.Split('+'));
        return (201, Show(collection, id, things[id]));
    }

    private (int, string) Change(string collection, SortedDictionary<string, Thing> things, string id, string operation, Func<string, string> change)
    {
        if (!things.TryGetValue(id, out var thing)) return NotFound(id);
        var changed = thing with { Value = change(thing.Value) };
        if (changed != thing) world.Applied(site, thing.Key, operation);
        things[id] = changed;
        return (200, Show(collection, id, changed));
    }

    private (int, string) Upload(SortedDictionary<string, Thing> things, string id, string operation, string data)
    {
        if (!things.TryGetValue(id, out var thing)) return NotFound(id);
        if (thing.File is not null) return (409, $$"""{"error":"{{id}} has its data"}""");
        things[id] = thing with { Value = $"{thing.Value}+{operation}", File = (operation, data) };
        world.Applied(site, thing.Key, operation);
        return (204, "");
    }

    private (int, string) Remove(SortedDictionary<string, Thing> things, string id, string operation)
    {
        if (!things.Remove(id, out var thing)) return NotFound(id);
        if (operation.Length > 0) world.Applied(site, thing.Key, operation);
        return (204, "");
    }

    private static string Show(string collection, string id, Thing thing) => collection == "names"
        ? $$"""{"name":"{{id}}","key":"{{thing.Key}}","value":"{{thing.Value}}"}"""
        : $$"""{"id":{{id}},"key":"{{thing.Key}}","value":"{{thing.Value}}"}""";
}
