using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Mesh;
using Cheops.Agent.Profiles;
using Cheops.Raft;
using Cheops.Raft.Simulated;
using Cheops.Tests.Simulation.Checkers;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>What came of a run.</summary>
/// <param name="Violations">The promises that it breaks.</param>
/// <param name="Story">What happened.</param>
/// <param name="Trace">A number that stands for all that happened: the same for the same scenario, always.</param>
/// <param name="Simulated">How much time passed in the world.</param>
/// <param name="Counts">What it was made of, for people.</param>
internal sealed record Outcome(ImmutableArray<Violation> Violations, Story Story, ulong Trace, TimeSpan Simulated, string Counts)
{
    /// <summary>The things that violations speak of.</summary>
    public required ImmutableSortedSet<string> Concerned { get; init; }
}

/// <summary>
/// A whole mesh in one thread, by one seed: 1. the sites start and meet; 2. clients and faults do what the scenario says;
/// 3. everything is healed; 4. all must come to rest within a bound; 5. the history is judged.
/// </summary>
internal sealed partial class World
{
    /// <summary>The application's one service.</summary>
    public const string Service = "shop";

    private const string Profile = """
        { "profile": "p", "services": { "shop": { "resources": {
            "names": { "collection": "/v1/names", "id": "name", "idChosenBy": "client" },
            "numbers": { "collection": "/v1/numbers", "naturalKey": ["key"] },
            "marks": { "collection": "/v1/marks" } } } } }
        """;

    private const int MeetMs = 3_000;
    private const int RestMaxMs = 240_000;

    private readonly Scheduler _scheduler;
    private readonly List<Violation> _violations = [];
    private readonly List<Action> _healing = [];
    private readonly Dictionary<string, Site> _sites;
    private readonly Clients _clients;
    private readonly StatusWatch _watch;
    private readonly Operators _operators;
    private readonly Dictionary<string, AtOne> _atOne = [];
    private int _lives;
    private int _crashes;

    private World(Scenario scenario)
    {
        Scenario = scenario;
        _scheduler = new Scheduler(ChanceFor("scheduler"));
        Life = NewLife("world");
        Clock = new LifeClock(_scheduler, Life);
        Links = new MemoryLinks(Clock, ChanceFor("links"));
        var faults = new SimulatedFaults
        {
            LeaderLostPerMille = scenario.LeaderLostPerMille,
            ForgetsCommit = scenario.ForgetsCommit,
            DelayMax = TimeSpan.FromMilliseconds(5 + scenario.JitterMs),
        };
        // Worlds are short: leaders change as often as in a day of a real one.
        Groups = new SimulatedGroups(Clock, ChanceFor("groups"), faults, new GroupOptions { LeadTimeMin = TimeSpan.FromSeconds(2) });
        Assert.True(ProfileReader.TryRead(Encoding.UTF8.GetBytes(Profile), out var profile, out _));
        Profiles = ProfileSet.Combine([profile!], out _);
        _sites = scenario.Sites.Index().ToDictionary(site => site.Item, site => new Site(this, site.Item, site.Index + 1), StringComparer.Ordinal);
        _clients = new Clients(this);
        _watch = new StatusWatch(this, [.. _sites.Values]);
        (Places, _operators) = (new Places(scenario), new Operators(this, _sites.Values));
    }

    public Scenario Scenario { get; }

    public Life Life { get; }

    public LifeClock Clock { get; }

    public MemoryLinks Links { get; }

    public SimulatedGroups Groups { get; }

    public ProfileSet Profiles { get; }

    public History History { get; } = new();

    public Story Story { get; } = new();

    public Places Places { get; }

    private Site[] Present => [.. _sites.Values.Where(site => !site.IsLost)];

    /// <summary>The path by which clients know a thing; null while nobody was told its id.</summary>
    public string? PathOf(string thing) => _clients.PathOf(thing);

    /// <summary>Whether clients may still wait for something that names a thing's sites.</summary>
    public bool AreSitesNamed(string thing) => _clients.NameSitesOf(thing);

    /// <summary>What an operation was asked to do.</summary>
    public Deed DeedOf(string operation) => Scenario.Steps.OfType<Ask>().FirstOrDefault(ask => $"op{ask.Number}" == operation)?.Deed ?? Deed.Create;

    public Site SiteNamed(string name) => _sites[name];

    /// <summary>Chance of one's own, so that what is left out of a scenario changes little else.</summary>
    public Random ChanceFor(string whom)
    {
        var hash = 17;
        foreach (var c in whom) hash = unchecked((hash * 31) + c);
        return new Random(unchecked(Scenario.Seed + (hash * 7919)));
    }

    public Life NewLife(string name) => new(_scheduler, _lives++, name);

    /// <summary>The clock of a site: some run fast, some slow.</summary>
    public LifeClock ClockOf(Life life, int number) => new(_scheduler, life, 1 + (Scenario.DriftPpm * (number % 3 - 1) / 1_000_000.0));

    public void Tell(string where, string? thing, string text)
    {
        Story.Tell(_scheduler.Now, where, thing, text);
        _scheduler.Mix(where);
        _scheduler.Mix((ulong)text.Length);
    }

    public void Violate(string promise, string detail)
    {
        Tell("!!!", null, $"{promise}: {detail}");
        _violations.Add(new Violation(promise, detail));
    }

    /// <summary>What fails without anybody seeing it is a mistake too.</summary>
    public async void Watch(string what, Task task)
    {
        try
        {
            await task;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Violate("no error that nobody expected", $"{what}: {e}");
        }
    }

    public void Asked(string operation, string thing, IReadOnlyList<string> sites, bool atOneOfThem)
    {
        if (atOneOfThem) _atOne[operation] = new AtOne(thing, sites);
        else History.OnAsked(operation, thing, [.. sites]);
    }

    public void Told(string operation, Told told)
    {
        if (_atOne.TryGetValue(operation, out var one)) one.Told = told;
        else if (told != Checkers.Told.Nothing) History.OnTold(operation, told);
    }

    /// <summary>Whether some service has carried an operation out.</summary>
    public bool IsApplied(string operation) => History.Applied.Any(one => one.Operation == operation);

    /// <summary>Whether a site's service has carried an operation out.</summary>
    public bool IsApplied(string operation, string site) => History.HasApplied(site, operation);

    public void Applied(string site, string thing, string operation)
    {
        if (_atOne.TryGetValue(operation, out var one)) one.At.Add(site);
        else History.OnApplied(site, thing, operation);
    }

    /// <summary>What an answer says of the sites is true by then.</summary>
    public void CheckReplicas(string operation, string? replicas)
    {
        foreach (var lie in _watch.JudgeAnswer(operation, replicas)) Violate(StatusWatch.Promise, lie);
    }

    // ---- the run ----------------------------------------------------------------------------------------------------

    /// <summary>Runs a scenario.</summary>
    public static Outcome Run(Scenario scenario) => new World(scenario).Run();

    private Outcome Run()
    {
        // 1.
        foreach (var site in _sites.Values)
        {
            foreach (var other in _sites.Keys.Where(other => other != site.Name)) SetWay(site.Name, other);
            At(0, site.Start);
        }

        _watch.Begin();

        // 2.
        foreach (var step in Scenario.Steps) At(MeetMs + step.AtMs, () => Carry(step));
        var end = MeetMs + Scenario.Steps.Select(step => step.AtMs).DefaultIfEmpty(0).Max();
        RunUntil(end, static () => false);

        // 3.
        Tell("world", null, "everything is healed");
        Life.Run(Heal);

        // 4.
        var healedAt = NowMs;
        RunUntil(healedAt + RestMaxMs, () => _clients.AreQuiet && IsAtRest);
        if (IsAtRest) GoOn();
        if (IsAtRest) _watch.LookAtRest(Present);

        // 5.
        Rest.Judge(this, Present, (NowMs - healedAt) / 1000.0);
        _violations.AddRange(Check.Everything(History));
        _violations.AddRange(JudgeLogs());
        foreach (var broken in _atOne.Values.Select(one => one.Broken).OfType<string>()) Violate("at one of the sites", broken);
        if (_scheduler.Escape is { } escape) Violate("one thread", escape);
        foreach (var site in _sites.Values) site.Crash();
        return new Outcome(
            [.. _violations], Story, _scheduler.Trace, TimeSpan.FromTicks(_scheduler.Now),
            $"{Scenario.Sites.Length} sites, {History.Asked.Count} operations, {_crashes} crashes, {Scenario.Steps.OfType<Cut>().Count()} cuts, {Scenario.Steps.OfType<Trouble>().Count()} troubles, {Places.Told.Count} moves{(Places.Lost.Count > 0 ? ", 1 site lost" : "")}, {_clients.AskedAgain} asked again, {_watch.Looks} looks, {_scheduler.Steps} steps")
        {
            Concerned = [.. History.Asked.Where(asked => _violations.Any(one => Words(one.Detail).Any(word => word == asked.Id || word == asked.Replicant))).Select(asked => asked.Replicant)],
        };
    }

    private static string[] Words(string text) => text.Split([' ', ':', ',', ';', '/', '\n'], StringSplitOptions.RemoveEmptyEntries);

    // At rest, everything works as in the beginning.
    private void GoOn()
    {
        var last = Scenario.Sites.Index().Where(site => !SiteNamed(site.Item).IsLost).Select(site => new Ask(0, 9000 + site.Index, site.Item, Deed.Create, Scenario.LastThingOf(site.Index), false, 0)).ToArray();
        foreach (var ask in last) _clients.Begin(ask);
        RunUntil(NowMs + RestMaxMs, () => _clients.AreQuiet && IsAtRest);
        foreach (var ask in last.Where(ask => History.Asked.All(one => one.Id != $"op{ask.Number}" || one.Told != Checkers.Told.Accepted)))
            Violate("goes on", $"{ask.Thing} could not be made at {ask.Site} when all was healed");
    }

    private bool IsAtRest => Rest.IsIn(Present) && Groups.All.All(group => group.Strangers.Count == 0);

    private long NowMs => _scheduler.Now / TimeSpan.TicksPerMillisecond;

    private void At(long ms, Action act) => _scheduler.At(ms * TimeSpan.TicksPerMillisecond, Life, _ => act(), null);

    private void RunUntil(long ms, Func<bool> isEnough)
    {
        for (var next = Math.Min(ms, NowMs + 500); !isEnough() && NowMs < ms; next = Math.Min(ms, next + 500))
        {
            while (_scheduler.Next(next * TimeSpan.TicksPerMillisecond))
            {
                // One after the other.
            }
        }
    }

    private void SetWay(string from, string to)
    {
        var way = Links.Way(from, to);
        (way.Loss, way.Duplication, way.Jitter) = (Scenario.Loss, Scenario.Duplication, TimeSpan.FromMilliseconds(Scenario.JitterMs));
        way.BulkDelay = TimeSpan.FromMilliseconds(Scenario.BulkDelayMs);
    }

    private void Carry(Step step)
    {
        switch (step)
        {
            case Ask ask:
                _clients.Begin(ask);
                break;
            case Crash crash when _sites[crash.Site] is { IsUp: true } site:
                site.CrashAfter(crash.AfterSteps, () =>
                {
                    _crashes++;
                    Later(crash.DownMs, site.Start);
                });
                break;
            case Cut cut:
                Begin(cut);
                break;
            case Trouble trouble:
                Later(trouble.ForMs, _sites[trouble.Site].Service.Misbehave(trouble.Mishap));
                Tell(trouble.Site, null, $"its service begins to misbehave: {trouble.Mishap}");
                break;
            case Stop stop:
                _sites[stop.Site].Stop(() => Later(stop.DownMs, _sites[stop.Site].Start));
                break;
            case Freeze freeze when _sites[freeze.Site].IsUp:
                Tell(freeze.Site, null, $"its machine stands still for {freeze.ForMs} ms");
                _sites[freeze.Site].Freeze(TimeSpan.FromMilliseconds(freeze.ForMs));
                Reachability.OnStill(freeze.Site, Now, Now + (freeze.ForMs * TimeSpan.TicksPerMillisecond));
                Groups.CutOff(freeze.Site, true);
                Later(freeze.ForMs, () => Groups.CutOff(freeze.Site, false));
                break;
            case DiskFull full:
                Tell(full.Site, null, "its disk is full");
                _sites[full.Site].Fill(true);
                Later(full.ForMs, () => _sites[full.Site].Fill(false));
                break;
            case ReadLog read:
                Watch($"a reader at {read.Site}", _sites[read.Site].ReadLogAsync(read.Which));
                break;
            case ClockJump jump:
                _sites[jump.Site].Jump(TimeSpan.FromMilliseconds(jump.ByMs));
                _watch.Look(_sites[jump.Site]);
                break;
            case ChangeSites change:
                _operators.Begin(change);
                break;
            case LoseData lose when _sites[lose.Site].IsUp && (lose.Loss == DataLoss.Table || !Groups.All.Any(group => group.Voters is [var only] && only == lose.Site)):
                LoseDataAt(_sites[lose.Site], lose);
                break;
            case LoseSite lose when Places.CanLose(lose.Site):
                Tell(lose.Site, null, "the site is gone for good");
                _sites[lose.Site].Lose();
                Places.OnLost(lose.Site);
                Later(lose.RemovedAfterMs, () => _operators.Remove(lose.Site));
                break;
        }
    }

    // One site in a world: two that have lost what they had could not be let in by a third. What only this site had would be lost for good.
    private void LoseDataAt(Site site, LoseData lose)
    {
        _crashes++;
        site.Crash(lose.Loss);
        Places.OnForgot(site.Name);
        _clients.Forget(site.Name);
        if (lose.Loss != DataLoss.Table) Groups.Lose(site.Name, lose.Loss == DataLoss.Everything ? 0 : ChanceFor("loss").Next(1000));
        Later(lose.DownMs, site.Start);
    }

    // Done once: when its time has come, or when all is healed.
    private void Later(int ms, Action act)
    {
        var done = false;
        void Once()
        {
            if (done) return;
            done = true;
            act();
        }

        _healing.Add(Once);
        At(NowMs + ms, Once);
    }

    private void Begin(Cut cut)
    {
        var until = NowMs + cut.ForMs;
        Set(true);
        Later(cut.ForMs, () => Set(false));
        if (cut.FlapMs > 0) Flap(false);

        void Flap(bool isCut) => At(NowMs + cut.FlapMs, () =>
        {
            if (NowMs >= until || _healing.Count == 0) return;
            Set(isCut);
            Flap(!isCut);
        });

        void Set(bool isCut)
        {
            Tell(cut.From, null, $"the way to {cut.To}{(cut.BothWays ? " and back" : "")} is {(isCut ? "cut" : "there again")}");
            SetCut(cut.From, cut.To, isCut);
            if (cut.BothWays) SetCut(cut.To, cut.From, isCut);
            Groups.Cut(cut.From, cut.To, isCut);
        }
    }

    private void SetCut(string from, string to, bool isCut)
    {
        Links.Way(from, to).IsCut = isCut;
        Reachability.OnWay(from, to, isCut, Now);
    }

    private void Heal()
    {
        foreach (var heal in _healing.ToArray()) heal();
        _healing.Clear();
        Groups.Faults = Groups.Faults with { LeaderLostPerMille = 0 };
        foreach (var site in _sites.Values)
        {
            site.Heal();
            foreach (var other in _sites.Keys.Where(other => other != site.Name))
            {
                var way = Links.Way(site.Name, other);
                (way.Loss, way.Duplication) = (0, 0);
                SetCut(site.Name, other, false);
            }
        }

        Person.BeginAt(this, _sites.Values);
    }
}
