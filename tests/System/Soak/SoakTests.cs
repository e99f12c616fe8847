using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Cheops.Tests.Simulation.Checkers;
using Cheops.Tests.System.Harness;
using Xunit.Abstractions;

namespace Cheops.Tests.System.Soak;

/// <summary>
/// The campaign of <c>scripts/soak</c>: agents as processes in network namespaces, clients that change and read, faults at
/// random, and the checkers of the simulation as judges. Set by CHEOPS_TEST_MINUTES (default 5), CHEOPS_TEST_SITES (3 to 5)
/// and CHEOPS_TEST_SEED, which repeats a run's choices; CHEOPS_TEST_PROGRESS names a file to follow it.
/// </summary>
public sealed class SoakTests(ITestOutputHelper output)
{
    private const double DefaultMinutes = 5;

    private static readonly TimeSpan TellEvery = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan RestWithin = TimeSpan.FromMinutes(3);

    private readonly long _started = Stopwatch.GetTimestamp();

    [Fact]
    public async Task NothingIsLostOrDoubledWhateverIsKilledCutOrFull()
    {
        var seed = (int)Number("CHEOPS_TEST_SEED", Environment.TickCount & 0xffff);
        var count = Math.Clamp((int)Number("CHEOPS_TEST_SITES", 3), 3, 5);
        var minutes = Number("CHEOPS_TEST_MINUTES", DefaultMinutes);
        Tell($"{count} sites, {minutes} minutes, CHEOPS_TEST_SEED={seed}");
        await using var sites = await SoakSites.StartAsync(count);
        var trouble = await sites.Hosts.FindTroubleAsync();
        Tell(trouble switch
        {
            LinkTrouble.DelayAndLoss => "links are slow and lossy by netem",
            LinkTrouble.Loss => "this kernel has no netem: links are lossy by nftables, and never slow",
            _ => "this kernel has neither netem nor nftables' random numbers: links are cut, and never slow or lossy",
        });
        var clients = new SoakClients(sites, seed);
        var faults = new SoakFaults(sites, seed, trouble);
        try
        {
            await RunAsync(clients, faults, TimeSpan.FromMinutes(minutes));
            Tell("the faults have ended: waiting until nothing is left to do");
            await sites.LinkedAsync();
            await clients.RestAsync(RestWithin);
            await clients.AskAgainAsync();
            await sites.NoteRestAsync(clients.Replicants);
        }
        catch (Exception e) when (e is TimeoutException or InvalidOperationException)
        {
            throw new InvalidOperationException($"seed {seed}: {e.Message}\n{faults.Summary}\n{sites.Logs()}", e);
        }

        var broken = Check.Everything(sites.History).Select(one => $"{one.Promise}: {one.Detail}").Concat(clients.Lies).ToList();
        Tell($"{clients.Summary}; {faults.Summary}; {(broken.Count == 0 ? "nothing lost, nothing doubled, one order, ids one to one, status true" : $"{broken.Count} promises broken")}");
        Assert.True(broken.Count == 0, $"seed {seed}:\n{string.Join('\n', broken.Take(50).Select(one => $"{one}\n{StoryOf(sites, one)}"))}\n{sites.Logs()}");
        Assert.True(clients.Accepted > 0 && faults.Count > 0, "nothing happened");
    }

    private async Task RunAsync(SoakClients clients, SoakFaults faults, TimeSpan most)
    {
        using var stop = new CancellationTokenSource(most);
        var tasks = new[] { clients.WorkAsync(stop.Token), faults.BreakAsync(stop.Token), AttendAsync(clients, faults, stop.Token) };

        // One that fails ends the others.
        await await Task.WhenAny(tasks);
        await stop.CancelAsync();
        await Task.WhenAll(tasks);
    }

    private async Task AttendAsync(SoakClients clients, SoakFaults faults, CancellationToken stop)
    {
        var told = Stopwatch.GetTimestamp();
        while (!stop.IsCancellationRequested)
        {
            await clients.ResolveAsync();
            if (Stopwatch.GetElapsedTime(told) >= TellEvery)
            {
                told = Stopwatch.GetTimestamp();
                Tell($"{clients.Summary}; {faults.Summary}");
            }

            await Task.Delay(TimeSpan.FromSeconds(1), CancellationToken.None);
        }
    }

    // The changes and things that a broken promise names, and the faults meanwhile.
    private static string StoryOf(SoakSites sites, string broken)
    {
        var named = Regex.Matches(broken, @"\bthing-\d+|(?<=: |after |before |showed )\d+").Select(match => match.Value).ToHashSet();
        var (first, last) = sites.Story.Where(one => named.Contains(one.About)).Select(one => one.At).DefaultIfEmpty().Aggregate(
            (DateTime.MaxValue, DateTime.MinValue), ((DateTime First, DateTime Last) span, DateTime at) => (at < span.First ? at : span.First, at > span.Last ? at : span.Last));
        return string.Join('\n', sites.Story.Where(one => named.Contains(one.About) || (one.About.Length == 0 && one.At > first.AddSeconds(-10) && one.At < last.AddSeconds(2)))
            .Select(one => $"    {one.At:HH:mm:ss.fff} {one.What}"));
    }

    private void Tell(string line)
    {
        var text = $"{Stopwatch.GetElapsedTime(_started):hh\\:mm\\:ss} {line}";
        output.WriteLine(text);
        if (Environment.GetEnvironmentVariable("CHEOPS_TEST_PROGRESS") is { Length: > 0 } file) File.AppendAllText(file, text + "\n");
    }

    private static double Number(string variable, double otherwise) =>
        double.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : otherwise;
}
