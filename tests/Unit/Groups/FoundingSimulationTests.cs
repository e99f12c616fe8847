using Cheops.Raft.Founding;
using Cheops.Raft.Protocol;

namespace Cheops.Tests.Unit.Groups;

/// <summary>
/// Two sites found their set at once, with different witnesses, over messages that are lost, doubled and late, while they
/// crash and lose their data: from a seed that a failure prints.
/// </summary>
public sealed class FoundingSimulationTests
{
    private const int Seeds = 5_000;

    [Fact]
    public void Never_do_two_foundings_of_a_set_both_get_a_majority()
    {
        var opened = 0;
        for (var seed = 0; seed < Seeds; seed++)
        {
            var world = new World(new Random(seed));
            for (var step = 0; step < 80; step++)
            {
                world.Step();
                Assert.True(world.IsSound, $"seed {seed}, step {step}: {world}");
            }

            world.Heal();
            Assert.True(world.IsSound, $"seed {seed}, healed: {world}");
            if (world.IsOpen) opened++;
        }

        // Where nobody lost data for good, it comes to its end.
        Assert.True(opened > Seeds * 3 / 4, $"only {opened} of {Seeds} came to an end");
    }

    private sealed class World(Random chance)
    {
        private readonly Dictionary<string, Site> _sites = new() { ["A"] = new("A", 1), ["B"] = new("B", 2) };
        private readonly List<(string To, FoundingRecord Record, bool IsAnswer)> _messages = [];
        private readonly List<FoundingRecord> _everOpen = [];
        private ulong _incarnations = 2;

        public bool IsOpen => _sites.Values.All(s => s.Accepted is { IsOpen: true });

        // Open records that name the same data are the same; so no two witnesses ever make a majority with one site each.
        public bool IsSound => _everOpen.All(a => _everOpen.All(b => SameSites(a) != SameSites(b) || a.Agrees(b)));

        public void Step()
        {
            var site = _sites[chance.Next(2) == 0 ? "A" : "B"];
            switch (chance.Next(12))
            {
                case 0 or 1:
                    Found(site);
                    break;
                case 2 when chance.Next(8) == 0 && site.Accepted is not { IsOpen: true }:
                    _sites[site.Name] = new Site(site.Name, ++_incarnations);
                    break;
                case 3 when _messages.Count > 0:
                    _messages.RemoveAt(chance.Next(_messages.Count));
                    break;
                case 4 when _messages.Count > 0:
                    _messages.Add(_messages[chance.Next(_messages.Count)]);
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
                foreach (var site in _sites.Values.ToList()) Found(site);
                while (_messages.Count > 0) Deliver(0);
            }
        }

        public override string ToString() => string.Join("; ", _sites.Values.Select(s => $"{s.Name}: {s.Accepted?.Founder} {s.Accepted?.IsOpen}"));

        private static string SameSites(FoundingRecord record) => $"{record.Members[0].Incarnation.Value} {record.Members[1].Incarnation.Value}";

        private void Found(Site site)
        {
            if (site.Accepted is null)
            {
                var witness = chance.Next(2) == 0 ? "W" : "X";
                Accept(site, FoundingRules.Begin(
                    [new("A", _sites["A"].Incarnation), new("B", _sites["B"].Incarnation), new(witness, new Incarnation(99))], true, site.Name));
            }

            Send(Other(site), site.Accepted!, false);
        }

        private void Deliver(int at)
        {
            var (to, sent, isAnswer) = _messages[at];
            _messages.RemoveAt(at);
            var site = _sites[to];
            // The host checks the incarnation of whoever sent it.
            if (sent.IncarnationOf(Other(site)) != _sites[Other(site)].Incarnation) return;
            if (isAnswer && site.Accepted is null) return;
            switch (FoundingRules.Take(site.Accepted, true, sent, site.Name, s => _sites.TryGetValue(s, out var known) ? known.Incarnation : default))
            {
                case FoundingStep.Accept:
                    Accept(site, sent with { IsOpen = true });
                    break;
                case FoundingStep.Keep when FoundingRules.Opens(site.Accepted!, sent):
                    Accept(site, site.Accepted! with { IsOpen = true });
                    break;
                case FoundingStep.Note or FoundingStep.Refuse:
                    return;
                default:
                    break;
            }

            if (!isAnswer) Send(Other(site), site.Accepted!, true);
        }

        private void Accept(Site site, FoundingRecord record)
        {
            site.Accepted = record;
            if (record.IsOpen) _everOpen.Add(record);
        }

        private void Send(string to, FoundingRecord record, bool isAnswer) => _messages.Add((to, record, isAnswer));

        private static string Other(Site site) => site.Name == "A" ? "B" : "A";
    }

    private sealed class Site(string name, ulong incarnation)
    {
        public string Name => name;

        public Incarnation Incarnation { get; } = new(incarnation);

        public FoundingRecord? Accepted { get; set; }
    }
}
