using Cheops.Raft.Founding;
using Cheops.Raft.Protocol;

namespace Cheops.Tests.Unit.Groups;

/// <summary>
/// Two sites found their set at once, with different witnesses, over messages that are lost, doubled and late, while sites and
/// witnesses lose their data: from a seed that a failure prints.
/// </summary>
public sealed class FoundingSimulationTests
{
    private const int Seeds = 20_000;

    [Fact]
    public void One_group_comes_of_all_foundings_and_what_it_has_committed_stays_its()
    {
        var (lost, committed, renewed) = (0, 0, 0);
        for (var seed = 0; seed < Seeds; seed++)
        {
            var world = new World(new Random(seed));
            for (var step = 0; step < 80; step++)
            {
                world.Step();
                Assert.True(world.Broken is null, $"seed {seed}, step {step}: {world.Broken}; {world}");
            }

            world.Heal();
            Assert.True(world.Broken is null, $"seed {seed}, healed: {world.Broken}; {world}");

            // A site that was let in by neither is by whoever has the group open.
            Assert.True(world.IsOpen, $"seed {seed}: no group came of it; {world}");
            (lost, committed, renewed) = (lost + world.Lost, committed + world.Committed, renewed + world.Renewed);
        }

        // It happened at all.
        Assert.True(lost > Seeds && committed > Seeds / 2 && renewed > Seeds / 20, $"{lost} lost their data, {committed} committed, {renewed} begun again");
    }

    private sealed class World(Random chance)
    {
        private static readonly string[] Sites = ["A", "B"];

        private readonly Dictionary<string, Place> _places = new[] { "A", "B", "W", "X" }.ToDictionary(name => name, name => new Place(name, new Incarnation(1)));
        private readonly List<(Place From, string To, FoundingRecord Record, bool IsAnswer)> _messages = [];
        private readonly List<FoundingRecord> _everOpen = [];
        private readonly List<FoundingRecord> _committed = [];
        private ulong _incarnations = 1;

        public int Lost { get; private set; }

        public int Renewed { get; private set; }

        public int Committed => _committed.Count;

        public string? Broken { get; private set; }

        // Either site has it: both, or the other is let in as one that has lost its data is. Or two of its three are gone.
        public bool IsOpen => Sites.Any(site => _places[site].Accepted is { IsOpen: true }) || _everOpen.Any(record => record.Members.Count(IsLost) > 1);

        public void Step()
        {
            var site = _places[Sites[chance.Next(2)]];
            switch (chance.Next(16))
            {
                case 0 or 1:
                    Found(site);
                    break;
                case 2 when chance.Next(2) == 0:
                    Lose(_places.Keys.ElementAt(chance.Next(4)));
                    break;
                case 3 or 4 when _messages.Count > 0:
                    _messages.RemoveAt(chance.Next(_messages.Count));
                    break;
                case 5 when _messages.Count > 0:
                    _messages.Add(_messages[chance.Next(_messages.Count)]);
                    break;
                case 6 or 7:
                    TellWitness(site);
                    break;
                case 8:
                    Renew(site, reaches: _ => chance.Next(3) > 0);
                    break;
                default:
                    if (_messages.Count > 0) Deliver(chance.Next(_messages.Count));
                    break;
            }
        }

        public void Heal()
        {
            for (var round = 0; round < 4; round++)
            {
                foreach (var site in Sites.Select(name => _places[name]))
                {
                    TellWitness(site);
                    Renew(site, reaches: _ => true);
                    Found(site);
                }

                while (_messages.Count > 0) Deliver(0);
            }
        }

        public override string ToString() => string.Join("; ", _places.Values.Select(place => $"{place.Name} {place.Incarnation.Value}: {Print(place.Accepted)}"));

        private static string Print(FoundingRecord? record) => record is null
            ? "nothing"
            : $"{(record.IsOpen ? "open" : "begun")} by {record.Founder} of {string.Join(" ", record.Members.Select(m => $"{m.Site}:{m.Incarnation.Value}"))}";

        private static string Other(Place site) => site.Name == "A" ? "B" : "A";

        private bool IsLost(RosterEntry member) => _places[member.Site].Incarnation != member.Incarnation;

        private Incarnation Known(string name) => _places[name].Incarnation;

        // Two of a group's three that are gone take with them what they had committed.
        private void Lose(string name)
        {
            if (_committed.Any(one => one.Members.Count(member => member.Site == name || IsLost(member)) > 1)) return;
            _places[name] = new Place(name, new Incarnation(++_incarnations));
            Lost++;
        }

        private void Found(Place site)
        {
            // A site that learns of a group which its data do not belong to founds none.
            if (site.IsStranger) return;
            if (site.Accepted is { IsOpen: false } own && FoundingRules.IsOutdated(own, Known)) return;
            if (site.Accepted is null)
            {
                // Whoever is a member of an open group tells that to whoever meets it, and one that founds has met its witness.
                var witness = chance.Next(2) == 0 ? "W" : "X";
                if (_places[witness].Accepted is { IsOpen: true } open && open.IncarnationOf(site.Name) != site.Incarnation)
                {
                    site.IsStranger = true;
                    return;
                }

                Accept(site, FoundingRules.Begin([.. new[] { "A", "B", witness }.Select(name => new RosterEntry(name, Known(name)))], true, site.Name));
            }

            _messages.Add((site, Other(site), site.Accepted!, false));
        }

        private void TellWitness(Place site)
        {
            if (site.Accepted is { IsOpen: true } open) _messages.Add((site, open.Members[^1].Site, open, true));
        }

        // As soon as a majority has it open, the two sites or one of them with the witness, something is committed.
        private void Commit(FoundingRecord open)
        {
            if (_committed.Any(one => one.Agrees(open))) return;
            if (open.Members.Count(member => !IsLost(member) && _places[member.Site].Accepted is { IsOpen: true } there && there.Agrees(open)) > 1) _committed.Add(open);
        }

        private void Renew(Place site, Func<string, bool> reaches)
        {
            if (site.Accepted is not { IsOpen: false } own || !FoundingRules.IsOutdated(own, Known)) return;
            foreach (var (name, _) in own.Members.Where(member => member.Site != site.Name && !IsLost(member)))
            {
                if (!reaches(name)) return;
                Take(_places[name], own, site);
                if (_places[name].Accepted is { IsOpen: true } open && FoundingRules.Take(own, true, open, site.Name, Known) == FoundingStep.Accept)
                {
                    Accept(site, open);
                    return;
                }
            }

            Accept(site, FoundingRules.Begin(own.Members.Select(member => member with { Incarnation = Known(member.Site) }), true, site.Name));
            Renewed++;
        }

        private void Deliver(int at)
        {
            var (from, to, sent, isAnswer) = _messages[at];
            _messages.RemoveAt(at);
            var place = _places[to];

            // The host checks the incarnation of whoever sent it.
            if (from.Incarnation != Known(from.Name) || (isAnswer && !Sites.Contains(from.Name))) return;
            if (isAnswer && Sites.Contains(to) && place.Accepted is null) return;
            if (Take(place, sent, from) && !isAnswer) _messages.Add((place, from.Name, place.Accepted!, true));
        }

        // Whether there is anything to answer with.
        private bool Take(Place place, FoundingRecord sent, Place from)
        {
            var bothAreSites = Sites.Contains(place.Name) && Sites.Contains(from.Name);
            switch (FoundingRules.Take(place.Accepted, _committed.Count == 0, sent, place.Name, Known))
            {
                case FoundingStep.Accept:
                    Accept(place, sent with { IsOpen = sent.IsOpen || bothAreSites });
                    return true;
                case FoundingStep.Keep:
                    if (bothAreSites && FoundingRules.Opens(place.Accepted!, sent)) Accept(place, place.Accepted! with { IsOpen = true });
                    return true;
                case FoundingStep.Note:
                    place.IsStranger = true;
                    return false;
                default:
                    return false;
            }
        }

        private void Accept(Place place, FoundingRecord record)
        {
            place.Accepted = record;
            if (!record.IsOpen) return;

            // Open records that name the same data of both sites are the same; so no two witnesses ever make a majority with one site each.
            if (_everOpen.Find(other => other.Members.Take(2).SequenceEqual(record.Members.Take(2)) && !other.Agrees(record)) is { } twin)
                Broken ??= $"two groups are open: {Print(twin)}, and {Print(record)}";
            if (_committed.Find(one => !one.Agrees(record)) is { } before) Broken ??= $"{Print(record)}, although {Print(before)} has committed";
            _everOpen.Add(record);
            Commit(record);
        }
    }

    private sealed class Place(string name, Incarnation incarnation)
    {
        public string Name => name;

        public Incarnation Incarnation => incarnation;

        public FoundingRecord? Accepted { get; set; }

        /// <summary>Whether it was told of an open group that its data do not belong to.</summary>
        public bool IsStranger { get; set; }
    }
}
