using System.Collections.Concurrent;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Soak;

/// <summary>Breaks sites, links, disks and services at random, and repairs them: never more than two at once.</summary>
internal sealed class SoakFaults(SoakSites sites, int seed, LinkTrouble linkTrouble)
{
    private const int ServiceHangMs = 3000;

    private readonly Lock _gate = new();
    private readonly HashSet<int> _broken = [];
    private readonly ConcurrentDictionary<string, int> _counts = new();

    /// <summary>What was done so far.</summary>
    public string Summary => string.Join(", ", _counts.OrderBy(one => one.Key, StringComparer.Ordinal).Select(one => $"{one.Value} {one.Key}"));

    /// <summary>How many faults there were.</summary>
    public int Count => _counts.Values.Sum();

    /// <summary>Goes on until it is told to stop; everything is repaired then.</summary>
    public Task BreakAsync(CancellationToken stop) => Task.WhenAll(BreakAsync(new Random(seed), stop), BreakAsync(new Random(seed + 1), stop));

    private async Task BreakAsync(Random random, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await PauseAsync(random.Next(500, 4000), stop);
            var site = Take(random);
            if (site == 0) continue;
            try
            {
                await BreakAsync(site, random, stop);
            }
            finally
            {
                sites.Note("", $"at {SoakSites.NameOf(site)}: repaired");
                lock (_gate) _broken.Remove(site);
            }
        }
    }

    private int Take(Random random)
    {
        lock (_gate)
        {
            var site = random.Next(1, sites.Count + 1);
            return _broken.Add(site) ? site : 0;
        }
    }

    private Task BreakAsync(int site, Random random, CancellationToken stop) => random.Next(12) switch
    {
        0 or 1 or 2 => KillAsync(site, random, stop),
        3 => RestartAsync(site),
        4 => FreezeAsync(site, random, stop),
        5 => KillNatsAsync(site),
        6 => CutAsync(site, random, stop),
        7 => CutOneWayAsync(site, random, stop),
        8 => LoseAsync(site, random, stop),
        9 => FillAsync(site, random, stop),
        _ => TroubleAsync(site, random, stop),
    };

    private void Note(int site, string what)
    {
        _counts.AddOrUpdate(what, 1, (_, count) => count + 1);
        sites.Note("", $"at {SoakSites.NameOf(site)}: {what}");
    }

    private async Task KillAsync(int site, Random random, CancellationToken stop)
    {
        await sites[site].KillAsync();
        Note(site, "kills");
        await PauseAsync(random.Next(4000), stop);
        await sites[site].StartAsync();
    }

    private async Task RestartAsync(int site)
    {
        sites[site].Agent.Signal(Daemon.SigTerm);
        Assert.Equal(0, await sites[site].Agent.WaitAsync());
        Note(site, "restarts");
        await sites[site].StartAsync();
    }

    private async Task FreezeAsync(int site, Random random, CancellationToken stop)
    {
        sites[site].Agent.Signal(Daemon.SigStop);
        Note(site, "freezes");
        await PauseAsync(random.Next(500, 5000), stop);
        sites[site].Agent.Signal(Daemon.SigCont);
    }

    private async Task KillNatsAsync(int site)
    {
        var server = sites[site].NatsServer();
        Daemon.Signal(server, Daemon.SigKill);
        Note(site, "nats-server kills");
        await Wait.UntilAsync("the agent starts its nats-server again", () => sites[site].NatsServers().Any(pid => pid != server), more: () => sites[site].Log);
    }

    private async Task CutAsync(int site, Random random, CancellationToken stop)
    {
        await sites.Hosts.SetLinkAsync(site, up: false);
        Note(site, "cuts");
        await PauseAsync(random.Next(500, 9000), stop);
        await sites.Hosts.HealAsync(site);
    }

    private async Task CutOneWayAsync(int site, Random random, CancellationToken stop)
    {
        var from = 1 + ((site + random.Next(sites.Count - 1)) % sites.Count);
        await sites.Hosts.CutAsync(from, site);
        Note(site, "one-way cuts");
        await PauseAsync(random.Next(500, 9000), stop);
        await sites.Hosts.HealAsync(site);
    }

    // Delays up to those between continents, and loss; loss alone where the kernel cannot delay.
    private async Task LoseAsync(int site, Random random, CancellationToken stop)
    {
        var (delayMs, percent) = (random.Next(5, 150), random.Next(20));
        if (linkTrouble == LinkTrouble.None) return;
        if (linkTrouble == LinkTrouble.DelayAndLoss) await sites.Hosts.DelayAsync(site, delayMs, percent);
        else await sites.Hosts.LoseAsync(site, Math.Max(1, percent));
        Note(site, linkTrouble == LinkTrouble.DelayAndLoss ? "slow and lossy links" : "lossy links");
        await PauseAsync(random.Next(500, 9000), stop);
        await sites.Hosts.HealAsync(site);
    }

    private async Task FillAsync(int site, Random random, CancellationToken stop)
    {
        var ballast = Path.Combine(sites.DiskOf(site), "ballast");
        await Commands.RunAsync(["dd", "if=/dev/zero", $"of={ballast}", "bs=64k"]);
        Note(site, "full disks");
        await PauseAsync(random.Next(500, 6000), stop);
        File.Delete(ballast);
    }

    // Errors before and after executing, lost answers, and answers that take long.
    private async Task TroubleAsync(int site, Random random, CancellationToken stop)
    {
        var service = sites.Of(site);
        service.Behaviour = random.Next(5) switch
        {
            0 => (call, _) => call.AnswerJsonAsync(503, """{"why":"trouble"}"""),
            1 => (call, execute) =>
            {
                execute();
                return call.AnswerJsonAsync(500, """{"why":"trouble"}""");
            }
            ,
            2 => (call, execute) =>
            {
                execute();
                call.Reset();
                return Task.CompletedTask;
            }
            ,
            3 => (call, _) =>
            {
                call.Reset();
                return Task.CompletedTask;
            }
            ,
            _ => async (call, execute) =>
            {
                var (status, body) = execute();
                await Task.Delay(ServiceHangMs);
                await call.AnswerJsonAsync(status, body);
            }
            ,
        };
        Note(site, "service troubles");
        await PauseAsync(random.Next(500, 4000), stop);
        service.Behaviour = null;
    }

    private static async Task PauseAsync(int milliseconds, CancellationToken stop)
    {
        try
        {
            await Task.Delay(milliseconds, stop);
        }
        catch (OperationCanceledException)
        {
            // The campaign ends: repair at once.
        }
    }
}
