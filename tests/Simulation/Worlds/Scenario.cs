using System.Collections.Immutable;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>How a service misbehaves for a while.</summary>
internal enum Mishap
{
    /// <summary>It takes no connections.</summary>
    Refuses,
    /// <summary>It answers 503 and does nothing.</summary>
    IsBusy,
    /// <summary>It answers 500 and does nothing.</summary>
    Fails,
    /// <summary>It does what it is asked to, and answers 500.</summary>
    FailsAfterwards,
    /// <summary>It drops the connection and does nothing.</summary>
    Drops,
    /// <summary>It does what it is asked to, and drops the connection.</summary>
    DropsAfterwards,
    /// <summary>It answers nothing before the mishap ends.</summary>
    Hangs,
}

/// <summary>What a client does.</summary>
internal enum Deed
{
    /// <summary>Makes a thing.</summary>
    Create,
    /// <summary>Makes a thing that every service refuses.</summary>
    CreateRefused,
    /// <summary>Replaces a thing.</summary>
    Put,
    /// <summary>Adds to a thing: twice is not once.</summary>
    Patch,
    /// <summary>Puts data below a thing, which every service takes once and refuses from then on.</summary>
    Upload,
    /// <summary>Removes a thing.</summary>
    Delete,
    /// <summary>Reads a thing where the client is.</summary>
    Read,
    /// <summary>Reads a thing at another site, by a scope.</summary>
    ReadThere,
    /// <summary>Makes a thing of this site alone.</summary>
    CreateHere,
    /// <summary>Makes a thing at the first of the sites that works.</summary>
    CreateFirst,
}

/// <summary>One thing that happens in a scenario.</summary>
/// <param name="AtMs">When, in milliseconds after the sites know each other.</param>
internal abstract record Step(int AtMs);

/// <summary>A client asks for something.</summary>
/// <param name="AtMs">When.</param>
/// <param name="Number">Makes the operation's name.</param>
/// <param name="Site">Where.</param>
/// <param name="Deed">What.</param>
/// <param name="Thing">Which thing.</param>
/// <param name="SaysScope">Whether it gives the scope, where it need not.</param>
/// <param name="AbortsAfterMs">When it goes away; 0 for never.</param>
internal sealed record Ask(int AtMs, int Number, string Site, Deed Deed, string Thing, bool SaysScope, int AbortsAfterMs) : Step(AtMs)
{
    /// <summary>Whether what is made is too large for a log.</summary>
    public bool IsLarge { get; init; }

    /// <summary>How often the client asks again, where it may.</summary>
    public int Retries { get; init; }

    /// <summary>How long it waits before that.</summary>
    public int RetryAfterMs { get; init; }

    /// <summary>Whether it then asks another site.</summary>
    public bool RetriesElsewhere { get; init; }
}

/// <summary>An agent ends without a word between two of its steps, and comes back.</summary>
internal sealed record Crash(int AtMs, string Site, int AfterSteps, int DownMs) : Step(AtMs);

/// <summary>A way is cut, or both; on and off when it flaps.</summary>
internal sealed record Cut(int AtMs, string From, string To, bool BothWays, int ForMs, int FlapMs) : Step(AtMs);

/// <summary>A service misbehaves.</summary>
internal sealed record Trouble(int AtMs, string Site, Mishap Mishap, int ForMs) : Step(AtMs);

/// <summary>A site's time of day jumps.</summary>
internal sealed record ClockJump(int AtMs, string Site, int ByMs) : Step(AtMs);

/// <summary>An agent is told to end, and comes back.</summary>
internal sealed record Stop(int AtMs, string Site, int DownMs) : Step(AtMs);

/// <summary>A site's machine stands still for a while.</summary>
internal sealed record Freeze(int AtMs, string Site, int ForMs) : Step(AtMs);

/// <summary>A site's disk has no room for a while.</summary>
internal sealed record DiskFull(int AtMs, string Site, int ForMs) : Step(AtMs);

/// <summary>How bad a scenario may be.</summary>
internal sealed record Wishes
{
    /// <summary>How many sites; 0 for three to five, now and then more.</summary>
    public int Sites { get; init; }

    /// <summary>How many requests clients make.</summary>
    public int Asks { get; init; } = 60;

    /// <summary>Whether what <see cref="Extras"/> adds is there: not in seeds that were kept before it was.</summary>
    public bool HasExtras { get; init; } = true;

    /// <summary>Whether sites come and go; null for what the seed says.</summary>
    public bool? Changes { get; init; }
}

/// <summary>All that is decided before a world begins: it is data, so that parts of it can be left out.</summary>
internal sealed record Scenario
{
    public required int Seed { get; init; }

    public required ImmutableArray<string> Sites { get; init; }

    /// <summary>The sites of each thing's scope.</summary>
    public required ImmutableSortedDictionary<string, ImmutableArray<string>> Things { get; init; }

    public required ImmutableArray<Step> Steps { get; init; }

    /// <summary>Of a thousand proposals, those under which the leader is lost.</summary>
    public int LeaderLostPerMille { get; init; }

    /// <summary>Whether a site that starts does not know how far its groups were committed.</summary>
    public bool ForgetsCommit { get; init; }

    /// <summary>The share of messages on links that is lost.</summary>
    public double Loss { get; init; }

    /// <summary>The share of messages on links that arrives twice.</summary>
    public double Duplication { get; init; }

    /// <summary>Up to how much longer a message on a link takes by chance.</summary>
    public int JitterMs { get; init; }

    /// <summary>How much longer bodies take on a link than what is urgent.</summary>
    public int BulkDelayMs { get; init; }

    /// <summary>How much the clocks of sites drift, in millionths.</summary>
    public int DriftPpm { get; init; }

    /// <summary>Whether the sites of things change, or those of the mesh.</summary>
    public bool HasChanges => Steps.Any(step => step is ChangeSites or LoseSite or LoseData);

    /// <summary>A thing of all sites that nobody asks for before all is at rest again.</summary>
    public static string LastThingOf(int site) => $"name{9000 + site}";

    /// <summary>Makes one.</summary>
    public static Scenario Of(int seed, Wishes wishes)
    {
        var width = wishes.HasExtras ? Width.Of(seed, ref wishes) : new Width();
        var chance = new Random(seed);
        var count = wishes.Sites > 0 ? wishes.Sites : chance.Next(3, 6);
        var sites = Enumerable.Range(1, count).Select(number => $"Site{number}").ToImmutableArray();
        var scopes = Enumerable.Range(0, chance.Next(1, 4)).Select(_ => ScopeOf(sites, width.ScopeMax, chance)).ToArray();
        var things = Enumerable.Range(1, Math.Max(2, wishes.Asks / 6)).ToImmutableSortedDictionary(
            number => $"{Kinds[chance.Next(Kinds.Length)]}{number}", _ => scopes[chance.Next(scopes.Length)], StringComparer.Ordinal);
        var length = chance.Next(5_000, width.LengthMaxMs);
        var calm = chance.Next(8) == 0;
        var steps = Asks(chance, sites, things, wishes.Asks, length).Concat(calm ? [] : Faults(chance, sites, length));
        var scenario = new Scenario
        {
            Seed = seed,
            Sites = sites,
            Things = things.AddRange(Enumerable.Range(0, count).Select(site => KeyValuePair.Create(LastThingOf(site), sites))),
            Steps = [.. steps.OrderBy(step => step.AtMs)],
            LeaderLostPerMille = calm ? 0 : chance.Next(3) * 15,
            ForgetsCommit = chance.Next(2) == 0,
            Loss = calm || chance.Next(3) > 0 ? 0 : chance.NextDouble() * 0.02,
            Duplication = calm || chance.Next(3) > 0 ? 0 : chance.NextDouble() * 0.05,
            JitterMs = chance.Next(30),
            BulkDelayMs = chance.Next(2) * chance.Next(50),
            DriftPpm = chance.Next(200),
        };
        if (wishes.HasExtras) scenario = Extras.Add(scenario, length);
        if (wishes.Changes ?? Changes.AreDrawn(seed)) return Changes.Add(scenario, things.Keys, length);
        return wishes.HasExtras ? Extras.WithUploads(scenario) : scenario;
    }

    // Weighted: names chosen by clients, numbers that can be looked for by their key, marks that cannot.
    private static readonly string[] Kinds = ["name", "name", "number", "number", "number", "mark"];

    private static ImmutableArray<string> ScopeOf(ImmutableArray<string> sites, int max, Random chance)
    {
        var all = sites.ToArray();
        chance.Shuffle(all);
        return [.. all.Take(chance.Next(2, Math.Min(max, sites.Length) + 1)).Order(StringComparer.Ordinal)];
    }

    private static IEnumerable<Step> Asks(
        Random chance, ImmutableArray<string> sites, ImmutableSortedDictionary<string, ImmutableArray<string>> things, int count, int length)
    {
        var number = 0;
        foreach (var thing in things.Keys)
        {
            yield return AskOf(chance.Next(length / 2), Deed.Create, thing);
            if (thing[1] == 'a' && thing[0] == 'n' && chance.Next(4) == 0) yield return AskOf(chance.Next(length), Deed.Create, thing);
        }

        var names = things.Keys.ToArray();
        while (number < count)
        {
            var deed = chance.Next(20) switch
            {
                < 6 => Deed.Put,
                < 9 => Deed.Patch,
                < 11 => Deed.Delete,
                < 12 => Deed.CreateRefused,
                < 13 => Deed.CreateHere,
                < 14 => Deed.CreateFirst,
                < 16 => Deed.ReadThere,
                _ => Deed.Read,
            };
            yield return AskOf(chance.Next(length), deed, names[chance.Next(names.Length)]);
        }

        Ask AskOf(int at, Deed deed, string thing)
        {
            var of = chance.Next(6) == 0 ? sites : things[thing];
            return new Ask(at, ++number, of[chance.Next(of.Length)], deed, thing, chance.Next(3) == 0, chance.Next(12) == 0 ? chance.Next(1, 400) : 0)
            {
                IsLarge = deed is Deed.Create or Deed.Put && chance.Next(30) == 0,
            };
        }
    }

    private static IEnumerable<Step> Faults(Random chance, ImmutableArray<string> sites, int length)
    {
        // Now and then, a storm.
        for (var left = chance.Next(1, 4 + sites.Length * 2) * (chance.Next(6) == 0 ? 3 : 1); left > 0; left--)
        {
            var at = chance.Next(length);
            var site = sites[chance.Next(sites.Length)];
            var other = sites[(sites.IndexOf(site) + chance.Next(1, sites.Length)) % sites.Length];
            yield return chance.Next(16) switch
            {
                < 5 => new Crash(at, site, chance.Next(1, 400), chance.Next(1, 15_000)),
                < 6 => new Stop(at, site, chance.Next(1, 10_000)),
                < 8 => new Freeze(at, site, chance.Next(100, 15_000)),
                < 9 => new DiskFull(at, site, chance.Next(500, 20_000)),
                < 12 => new Cut(at, site, other, chance.Next(3) > 0, chance.Next(200, 25_000), chance.Next(3) == 0 ? chance.Next(50, 3_000) : 0),
                < 15 => new Trouble(at, site, (Mishap)chance.Next((int)Mishap.Hangs + 1), chance.Next(100, 20_000)),
                _ => new ClockJump(at, site, chance.Next(-3_600_000, 3_600_000)),
            };
        }
    }
}
