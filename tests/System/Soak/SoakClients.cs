using System.Collections.Concurrent;
using System.Text.Json;
using Cheops.Tests.Simulation.Checkers;
using Cheops.Tests.System.Harness;
using Cheops.Tests.System.Replication;

namespace Cheops.Tests.System.Soak;

/// <summary>
/// Clients at every site that make, change, read and remove things of several groups, and note what they are told. Also the
/// person who looks at what is in doubt, and tells the agent what is true.
/// </summary>
internal sealed class SoakClients(SoakSites sites, int seed)
{
    // Per scope: enough to choose from, few enough that the service's list stays short.
    private const int LiveMax = 60;

    private static readonly TimeSpan LookPause = TimeSpan.FromSeconds(1);

    // What is there to be changed and read: an hour's worth of what is gone would slow every choice.
    private readonly ConcurrentDictionary<string, Made> _made = new();
    private readonly ConcurrentDictionary<string, string> _untold = new();
    private readonly ConcurrentDictionary<string, int> _seenInDoubt = new();
    private readonly ConcurrentBag<string> _lies = [];
    private long _last;
    private long _accepted;
    private long _refused;
    private long _reads;
    private long _resolved;

    private sealed record Made(string Key, string MetaId, IReadOnlyList<int> Sites, string How);

    /// <summary>What contradicted the truth in what agents said.</summary>
    public IReadOnlyCollection<string> Lies => _lies;

    /// <summary>Every replicant that was ever asked for.</summary>
    public IEnumerable<(string Key, IReadOnlyList<int> Sites)> Replicants => _keys.Select(one => (one.Key, one.Value));

    private readonly ConcurrentDictionary<string, IReadOnlyList<int>> _keys = new();

    public string Summary =>
        $"{Interlocked.Read(ref _last)} operations, {_accepted} accepted, {_refused} refused, {_reads} reads, {_resolved} doubts resolved by a person";

    /// <summary>How many operations were accepted.</summary>
    public long Accepted => Interlocked.Read(ref _accepted);

    /// <summary>The groups: all sites, and others that overlap.</summary>
    private static IReadOnlyList<IReadOnlyList<int>> Groups(int count) => count switch
    {
        3 => [[1, 2, 3], [1, 2], [2, 3], [1, 3]],
        4 => [[1, 2, 3, 4], [1, 2, 3], [2, 4], [3, 4]],
        _ => [[1, 2, 3, 4, 5], [1, 2, 3], [2, 4], [3, 5], [1, 4, 5]],
    };

    private static string ScopeOf(IReadOnlyList<int> group) => string.Join(" & ", group.Select(SoakSites.NameOf));

    /// <summary>Works until it is told to stop; what is under way is finished.</summary>
    public Task WorkAsync(CancellationToken stop)
    {
        var tasks = new List<Task>();
        for (var site = 1; site <= sites.Count; site++)
        {
            for (var client = 0; client < 2; client++) tasks.Add(ChangeAsync(site, new Random(seed + (site * 10) + client), stop));
            tasks.Add(ReadAsync(site, new Random(seed + (site * 10) + 9), stop));
        }

        return Task.WhenAll(tasks);
    }

    private async Task ChangeAsync(int site, Random random, CancellationToken stop)
    {
        var groups = Groups(sites.Count);
        while (!stop.IsCancellationRequested)
        {
            var group = groups[random.Next(groups.Count)];
            var live = _made.Values.Where(made => made.Sites == group).ToArray();
            var told = (live.Length, random.Next(100)) switch
            {
                ( < 5, _) or ( < LiveMax, < 30) => await CreateAsync(site, group),
                ( >= LiveMax, < 30) or (_, < 38) => await ChangeAsync(site, live[random.Next(live.Length)], HttpMethod.Delete, random),
                (_, < 60) => await ChangeAsync(site, live[random.Next(live.Length)], HttpMethod.Post, random),
                _ => await ChangeAsync(site, live[random.Next(live.Length)], HttpMethod.Put, random),
            };

            // Whoever got nothing waits a little, as clients do.
            await Task.Delay(random.Next(told == Told.Accepted ? 60 : 300), CancellationToken.None);
        }
    }

    private async Task<Told> CreateAsync(int site, IReadOnlyList<int> group)
    {
        var number = SoakSites.Text(Interlocked.Increment(ref _last));
        var key = $"thing-{number}";
        _keys[key] = group;
        sites.History.OnAsked(number, key, [.. group.Select(SoakSites.NameOf)]);
        var answer = await TryAsync(site, HttpMethod.Post, $"/v1/things?op={number}", ScopeOf(group), JsonSerializer.Serialize(new { key, value = number }));
        if (answer is { Status: 200 or 201 }) _made[key] = new Made(key, NumbersSites.MetaIdOf(answer), group, $"{SoakSites.NameOf(site)} answered {answer.Status}, {string.Join(", ", answer.Fields)}");
        return Tell(number, key, answer);
    }

    private async Task<Told> ChangeAsync(int site, Made made, HttpMethod method, Random random)
    {
        var number = SoakSites.Text(Interlocked.Increment(ref _last));
        sites.History.OnAsked(number, made.Key, [.. made.Sites.Select(SoakSites.NameOf)]);
        if (method == HttpMethod.Delete) _made.TryRemove(made.Key, out _);
        var (path, body) = method == HttpMethod.Put ? ("", JsonSerializer.Serialize(new { key = made.Key, value = number }))
            : method == HttpMethod.Post ? ("/add", JsonSerializer.Serialize(new { n = long.Parse(number, global::System.Globalization.CultureInfo.InvariantCulture) }))
            : ("", null);

        // A site of the group knows the replicant by itself.
        var scope = made.Sites.Contains(site) && random.Next(2) == 0 ? null : ScopeOf(made.Sites);
        return Tell(number, made.Key, await TryAsync(site, method, $"/v1/things/{made.MetaId}{path}?op={number}", scope, body));
    }

    private async Task<Answer?> TryAsync(int site, HttpMethod method, string path, string? scope, string? body)
    {
        var number = method == HttpMethod.Get ? "" : SoakSites.NumberIn(path);
        if (number.Length > 0) sites.Note(number, $"a client asks {SoakSites.NameOf(site)}: {method} {path} {body} Scope: {scope}");
        try
        {
            var answer = await sites.SendAsync(site, method, path, scope, body);
            if (number.Length > 0)
                sites.Note(number, $"{SoakSites.NameOf(site)} answers {answer.Status} {answer.Fields.GetValueOrDefault("Cheops-Operation")} {answer.Fields.GetValueOrDefault("Cheops-Replicas")} {answer.Body}");
            return answer;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            if (number.Length > 0) sites.Note(number, $"no answer: {e.Message}");
            return null;
        }
    }

    private Told Tell(string number, string key, Answer? answer)
    {
        var told = answer switch
        {
            null => Told.Nothing,
            { Status: >= 200 and < 300 } => Told.Accepted,
            { Status: >= 400 } when IsProblem(answer) => answer.Json.GetProperty("retrySafe").GetBoolean() ? Told.Refused : Told.Nothing,
            { Status: >= 400 and < 500 } => Told.Refused,
            _ => Told.Nothing,
        };
        sites.History.OnTold(number, told);
        if (told == Told.Accepted)
        {
            Interlocked.Increment(ref _accepted);
            CheckStatus(number, key, answer!);
        }
        else if (told == Told.Refused)
        {
            Interlocked.Increment(ref _refused);
        }
        else if (answer is not null && IsProblem(answer) && answer.Json.TryGetProperty("operation", out var id))
        {
            _untold[id.GetString()!] = number;
        }

        return told;
    }

    private static bool IsProblem(Answer answer) =>
        answer.Fields.GetValueOrDefault("Content-Type", "").StartsWith("application/problem+json", StringComparison.Ordinal);

    // A site that is said to have applied it has.
    private void CheckStatus(string number, string key, Answer answer)
    {
        foreach (var one in answer.Fields.GetValueOrDefault("Cheops-Replicas", "").Split(';', ',').Select(one => one.Trim().Split('=')))
        {
            if (one is [var site, "applied"] && !sites.History.HasApplied(site, number))
                _lies.Add($"{number} on {key} was said to be applied at {site}, and was not");
        }
    }

    private async Task ReadAsync(int site, Random random, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var live = _made.Values.Where(made => made.Sites.Contains(site)).ToArray();
            if (live.Length > 0)
            {
                var made = live[random.Next(live.Length)];
                var answer = await TryAsync(site, HttpMethod.Get, $"/v1/things/{made.MetaId}", null, null);
                Interlocked.Increment(ref _reads);
                if (answer is { Status: 200 }) NoteRead(site, made, answer);
            }

            await Task.Delay(random.Next(50), CancellationToken.None);
        }
    }

    private void NoteRead(int site, Made made, Answer answer)
    {
        if (NumbersSites.MetaIdOf(answer) != made.MetaId || answer.Json.GetProperty("key").GetString() != made.Key)
            _lies.Add($"{made.Key} is {made.MetaId}, and {SoakSites.NameOf(site)} showed {answer.Body} for it; made: {made.How}");
        else if (answer.Site == SoakSites.NameOf(site))
            sites.History.OnSeen(answer.Site, made.Key, answer.Json.GetProperty("last").GetString()!);
    }

    /// <summary>Looks at every site for what is in doubt, and tells what is true; what cannot be reached is looked at again later.</summary>
    public async Task ResolveAsync()
    {
        for (var site = 1; site <= sites.Count; site++)
        {
            try
            {
                foreach (var one in await sites.OpenAsync(site)) await ResolveAsync(site, one);
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException or JsonException or KeyNotFoundException or InvalidOperationException)
            {
                // The agent is down, or just coming: next time.
            }
        }
    }

    private async Task ResolveAsync(int site, JsonElement operation)
    {
        var name = SoakSites.NameOf(site);
        if (!operation.GetProperty("sites").TryGetProperty(name, out var at) || at.GetProperty("step").GetString() != "in-doubt") return;
        var id = operation.GetProperty("id").GetString()!;
        var number = SoakSites.NumberIn(operation.GetProperty("request").GetString()!);

        // What was sent just before a crash may still be on its way into the service: a person is slower than that.
        if (_seenInDoubt.AddOrUpdate($"{id}@{name}", 1, (_, times) => times + 1) < 3) return;
        var isDone = sites.History.HasApplied(name, number);
        sites.Note(number, $"a person says at {name}: operation {id} was {(isDone ? "done" : "not done")}");
        var answer = await sites.AskAsync(site, HttpMethod.Post, $"/_cheops/v1/operations/{id}/{(isDone ? "done" : "retry")}");
        if (answer.Status != 200) return;
        Interlocked.Increment(ref _resolved);
        _seenInDoubt.TryRemove($"{id}@{name}", out _);
    }

    /// <summary>Resolves doubts until nothing is left to do anywhere.</summary>
    public async Task RestAsync(TimeSpan most)
    {
        var last = "";
        await Wait.UntilAsync(
            "nothing is left to do at any site",
            async () =>
            {
                await ResolveAsync();
                await Task.Delay(LookPause);
                for (var site = 1; site <= sites.Count; site++)
                {
                    var open = await sites.OpenAsync(site);
                    last = $"{SoakSites.NameOf(site)}: {open.Count} open, such as\n{string.Join('\n', open.Take(5))}";
                    if (open.Count > 0) return false;
                }

                return true;
            },
            most,
            () => last);
    }

    /// <summary>Asks what became of operations of which clients were told nothing but their ids.</summary>
    public async Task AskAgainAsync()
    {
        foreach (var (id, number) in _untold)
        {
            // Finished long ago, nobody remembers it: a 404 says nothing.
            var answer = await sites.AskAsync(1, HttpMethod.Get, $"/_cheops/v1/operations/{id}");
            if (answer.Status != 200) continue;
            var told = answer.Json.GetProperty("decision").GetString() switch { "accepted" => Told.Accepted, "refused" => Told.Refused, _ => Told.Nothing };
            sites.History.OnTold(number, told);
        }
    }
}
