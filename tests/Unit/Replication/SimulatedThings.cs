using System.Globalization;
using System.Text;
using System.Text.Json;
using Cheops.Agent.Interception;
using Cheops.Agent.Replication;

namespace Cheops.Tests.Unit.Replication;

/// <summary>
/// A site's service in memory: it chooses integers as ids and makes another thing at every POST. It outlives its site's
/// agent; what it executed for an agent that crashed meanwhile is never answered.
/// </summary>
internal sealed class SimulatedThings(int firstId, Random chance)
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<int, (string Key, string Value)> _things = [];
    private readonly List<(string Method, string Path, string Body)> _late = [];
    private readonly List<(string Key, string Value)> _given = [];
    private int _next = firstId;
    private int _notReached;

    /// <summary>Called when a change was executed and is not answered yet.</summary>
    public Action? Executed { get; set; }

    /// <summary>How many changes were executed.</summary>
    public int Changes { get; private set; }

    /// <summary>Whether a change waits, and is executed by <see cref="ExecuteLate"/> only, whatever became of whoever sent it.</summary>
    public bool Hangs { get; set; }

    /// <summary>Whether creates are refused.</summary>
    public bool Refuses { get; set; }

    /// <summary>Whether it is not reached.</summary>
    public bool IsDown { get; set; }

    /// <summary>How many requests did not reach it.</summary>
    public int NotReached => Volatile.Read(ref _notReached);

    /// <summary>What it answers to a request without executing it, given its method and body; null to execute it.</summary>
    public Func<string, string, int?>? Instead { get; set; }

    /// <summary>The values that things of this key were given, in order.</summary>
    public List<string> ValuesOf(string key)
    {
        lock (_gate) return [.. _given.Where(one => one.Key == key).Select(one => one.Value)];
    }

    /// <summary>How many changes wait.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate) return _late.Count;
        }
    }

    /// <summary>Of a thousand requests, those whose answer is lost, executed or not.</summary>
    public int LostPerMille { get; set; }

    /// <summary>The values that things of this key have, one for each.</summary>
    public List<string> ThingsOf(string key)
    {
        lock (_gate) return [.. _things.Values.Where(thing => thing.Key == key).Select(thing => thing.Value)];
    }

    /// <summary>The service as one run of an agent reaches it.</summary>
    public IReplicaService For(CancellationToken crashed) => new Reached(this, crashed);

    /// <summary>Ends an agent: what it has sent was executed by now, or never is.</summary>
    public void Crash(CancellationTokenSource agent)
    {
        lock (_gate) agent.Cancel();
    }

    /// <summary>Executes the changes that wait, for senders that are gone.</summary>
    public void ExecuteLate()
    {
        lock (_gate)
        {
            foreach (var (method, path, body) in _late) Execute(method, path, body, CancellationToken.None);
            _late.Clear();
        }
    }

    private bool IsLate(string method, string path, string body)
    {
        lock (_gate)
        {
            if (Hangs && method != "GET") _late.Add((method, path, body));
            return Hangs && method != "GET";
        }
    }

    private (int Status, string Body) Execute(string method, string path, string body, CancellationToken crashed)
    {
        lock (_gate)
        {
            crashed.ThrowIfCancellationRequested();
            if (method != "GET") Changes++;
            var last = path[(path.LastIndexOf('/') + 1)..];
            if (method == "POST" && Refuses) return (409, "{}");
            if (last == "things") return method == "POST" ? Made(body) : (200, $"[{string.Join(',', _things.Keys.Select(Shown))}]");
            if (!int.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out var id) || !_things.ContainsKey(id)) return (404, "{}");
            if (method == "PUT") Give(id, body);
            return (200, Shown(id));
        }
    }

    private (int Status, string Body) Made(string body)
    {
        Give(_next, body);
        return (201, Shown(_next++));
    }

    private void Give(int id, string body)
    {
        _things[id] = (Member(body, "key"), Member(body, "value"));
        _given.Add(_things[id]);
    }

    private string Shown(int id) => $$"""{"id":{{id}},"key":"{{_things[id].Key}}","value":"{{_things[id].Value}}"}""";

    private static string Member(string body, string name)
    {
        using var document = JsonDocument.Parse(body);
        return document.RootElement.GetProperty(name).GetString()!;
    }

    private bool IsLost()
    {
        lock (_gate) return chance.Next(1000) < LostPerMille;
    }

    private sealed class Reached(SimulatedThings things, CancellationToken crashed) : IReplicaService
    {
        public async Task<ServiceReply> ReadAsync(ServiceSend send, Func<ReadOnlyMemory<byte>, ValueTask> take, CancellationToken cancellation)
        {
            var reply = await SendAsync(send, cancellation);
            if (reply.Answer is { Status: 200 } answer) await take(answer.Body);
            return reply;
        }

        public async Task<ServiceReply> SendAsync(ServiceSend send, CancellationToken cancellation)
        {
            var body = send.Body is null ? "" : Encoding.UTF8.GetString((await send.Body.ReadAsync()).Span);
            crashed.ThrowIfCancellationRequested();
            if (things.IsDown)
            {
                Interlocked.Increment(ref things._notReached);
                return new ServiceReply(ReplyKind.NotReached, null, "it is down");
            }

            if (things.IsLost()) return new ServiceReply(ReplyKind.Lost, null, "lost on the way");
            if (things.Instead?.Invoke(send.Method, body) is { } instead) return new ServiceReply(ReplyKind.Answered, new KeptAnswer(instead, default, default), "");
            if (things.IsLate(send.Method, Encoding.ASCII.GetString(send.Target.Span), body)) await Task.Delay(Timeout.Infinite, crashed);
            var (status, answer) = things.Execute(send.Method, Encoding.ASCII.GetString(send.Target.Span), body, crashed);
            if (send.Method != "GET") things.Executed?.Invoke();
            if (things.IsLost()) return new ServiceReply(ReplyKind.Lost, null, "the answer was lost");
            await Task.Yield();
            crashed.ThrowIfCancellationRequested();
            return new ServiceReply(ReplyKind.Answered, new KeptAnswer(status, default, Encoding.UTF8.GetBytes(answer)), "");
        }
    }
}
