using Cheops.Tests.Simulation.Checkers;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>
/// Clients that ask again, as they may: for anything of which they were told that it surely was not executed, and, when they
/// know nothing, for what is as good as once: a replacement, a removal, something whose name they choose. Each time is an
/// operation of its own, with a name of its own: all promises hold for each.
/// </summary>
internal sealed partial class Clients
{
    private readonly Dictionary<string, List<string>> _creates = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<string>> _deletes = new(StringComparer.Ordinal);
    private int _trying;

    /// <summary>How often a client has asked again.</summary>
    public int AskedAgain { get; private set; }

    private sealed record Tried(string Operation, Told Told, Message? Answer);

    private async Task AskAsync(Ask ask)
    {
        var operation = $"op{ask.Number}";
        var tried = await TryAsync(ask, operation);
        for (var again = 1; again <= ask.Retries && tried is not null && MayAskAgain(ask, tried); again++)
        {
            var isUnknown = tried.Told == Told.Nothing;
            ask = ask with { Site = SiteOf(ask, again), AbortsAfterMs = 0 };
            _trying++;
            AskedAgain++;
            try
            {
                await Task.Delay(TimeSpan.FromMilliseconds(ask.RetryAfterMs), world.Clock);
                tried = await TryAsync(ask, $"{operation}{(char)('a' + again)}");
            }
            finally
            {
                _trying--;
            }

            if (isUnknown && tried is not null) Conclude(ask, tried);
        }
    }

    // What comes first is unknown: an answer that says it is there, or gone, is true of every site in the end.
    private void Conclude(Ask ask, Tried tried)
    {
        if (ask.Deed == Deed.Create && IsName(ask.Thing) && tried.Answer is { Status: 409 } && !IsOwnAnswer(tried.Answer))
        {
            world.Tell(ask.Site, ask.Thing, $"the client of {tried.Operation} takes {ask.Thing} for made");
            world.History.OnOneOf(tried.Operation, _creates[ask.Thing]);
            _ids.TryAdd(ask.Thing, ask.Thing);
        }
        else if (ask.Deed == Deed.Delete && tried.Answer is { Status: 404 } && !IsOwnAnswer(tried.Answer))
        {
            world.History.OnOneOf(tried.Operation, DeletesOf(ask.Thing));
        }
    }

    private void Note(Ask ask, string operation)
    {
        var all = ask.Deed switch { Deed.Create => _creates, Deed.Delete => _deletes, _ => null };
        if (all is null) return;
        if (!all.TryGetValue(ask.Thing, out var of)) all.Add(ask.Thing, of = []);
        of.Add(operation);
    }

    private List<string> DeletesOf(string thing) => _deletes.GetValueOrDefault(thing, []);

    private static bool IsName(string thing) => thing.StartsWith("name", StringComparison.Ordinal);

    private static bool MayAskAgain(Ask ask, Tried tried) => tried.Told switch
    {
        Told.Nothing => ask.Deed is Deed.Put or Deed.Delete || (ask.Deed == Deed.Create && IsName(ask.Thing)),
        Told.Refused => IsRetrySafe(tried.Answer!),
        _ => false,
    };

    private string SiteOf(Ask ask, int again)
    {
        var scope = world.Scenario.Things[ask.Thing];
        return ask.RetriesElsewhere ? scope[(ask.Number + again) % scope.Length] : ask.Site;
    }

    private static bool IsOwnAnswer(Message answer) => answer.Body.Contains("\"retrySafe\"", StringComparison.Ordinal);

    private static bool IsRetrySafe(Message answer) =>
        answer.Body.Replace(" ", "", StringComparison.Ordinal).Contains("\"retrySafe\":true", StringComparison.Ordinal);
}
