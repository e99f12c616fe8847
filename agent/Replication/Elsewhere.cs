using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Operations;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Replication;

/// <summary>
/// Finds replicants of other sites by asking these, when the instance here does not know what a request names. What they say
/// of a path is remembered for a moment, also that it names nothing, so that whoever asks again and again costs little; past
/// <see cref="Bounds.ElsewhereKeptMax"/> paths at once no site is asked.
/// </summary>
/// <param name="site">This site.</param>
/// <param name="mesh">The other sites.</param>
/// <param name="replicator">What this site has itself.</param>
/// <param name="deadlines">Where the time to answer is counted.</param>
/// <param name="time">The clock.</param>
internal sealed class Elsewhere(string site, IMesh mesh, Replicator replicator, Deadlines deadlines, TimeProvider time)
{
    /// <summary>The service name under which agents ask each other; no application's can be called so.</summary>
    public const string LinkService = "cheops.replicants";

    private static readonly TimeSpan Keep = TimeSpan.FromMilliseconds(Bounds.ElsewhereKeepMs);
    private static readonly TimeSpan KeepDeleted = TimeSpan.FromMilliseconds(Bounds.ElsewhereDeletedKeepMs);
    private static readonly CallLimits Limits = new(1024, Bounds.ElsewhereTimeMaxMs);

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Service, string Path), Task<Found?>> _asked = [];
    private readonly Queue<((string Service, string Path) Of, long At)> _oldest = [];
    private readonly Dictionary<(string Service, string Path), long> _deletedAt = [];
    private readonly Queue<((string Service, string Path) Of, long At)> _oldestDeleted = [];
    private Holders _holders = new([], []);
    private long _asksMade;
    private long _asksLeft;

    /// <summary>How many paths sites were asked of, for metrics.</summary>
    public long AsksMade => Interlocked.Read(ref _asksMade);

    /// <summary>How often no site was asked, since it was remembered of too many paths what they had said.</summary>
    public long AsksLeft => Interlocked.Read(ref _asksLeft);

    /// <summary>Whether any site is there that holds replicas.</summary>
    public bool IsAny => CurrentHolders().Length > 0;

    private sealed record Holders(ImmutableArray<SiteStatus> Known, ImmutableArray<string> Sites);

    private readonly record struct Found(string Site, OperationId CreatedBy, int Moves, GroupId Group);

    // The snapshot of the sites is swapped whole; a race here only looks twice.
    private ImmutableArray<string> CurrentHolders()
    {
        var known = mesh.Sites;
        var holders = Volatile.Read(ref _holders);
        if (holders.Known == known) return holders.Sites;
        var sites = known.Where(one => one is { IsSelf: false, HoldsReplicants: true, State: SiteState.Up })
            .OrderBy(one => one.RoundTrip ?? TimeSpan.MaxValue).ThenBy(one => one.Name, StringComparer.Ordinal).Take(Bounds.ElsewhereSitesMax).Select(one => one.Name);
        Volatile.Write(ref _holders, holders = new Holders(known, [.. sites]));
        return holders.Sites;
    }

    /// <summary>What has this path here is deleted, or may be: for a while the path means this site's own.</summary>
    public void Deleted(string service, ReadOnlySpan<byte> path)
    {
        var of = (service, Encoding.ASCII.GetString(path));
        lock (_gate)
        {
            var at = time.GetTimestamp();
            _deletedAt[of] = at;
            _oldestDeleted.Enqueue((of, at));
            while (_oldestDeleted.Count > Bounds.ElsewhereDeletedKeptMax) ForgetDeleted(_oldestDeleted.Dequeue());
        }
    }

    private bool IsDeleted((string Service, string Path) of)
    {
        while (_oldestDeleted.TryPeek(out var oldest) && time.GetElapsedTime(oldest.At) >= KeepDeleted) ForgetDeleted(_oldestDeleted.Dequeue());
        return _deletedAt.ContainsKey(of);
    }

    private void ForgetDeleted(((string Service, string Path) Of, long At) oldest)
    {
        if (_deletedAt.GetValueOrDefault(oldest.Of) == oldest.At) _deletedAt.Remove(oldest.Of);
    }

    /// <summary>Finds the nearest site that has the replicant of which a path is the meta-id's.</summary>
    /// <param name="service">The service.</param>
    /// <param name="path">The path as it came.</param>
    /// <param name="isRead">Whether the request only reads: where this site is of the replicant's group, its own replica is on its way.</param>
    /// <returns>The site; null when none has it, several have different ones of that name, it was this site's own lately, or too much is asked.</returns>
    public async Task<string?> FindAsync(string service, ReadOnlyMemory<byte> path, bool isRead)
    {
        if (Ask((service, Encoding.ASCII.GetString(path.Span))) is not { } asked || await asked is not { } found) return null;
        return isRead && replicator.Find(found.Group)?.Founding.Sites.Contains(site) == true ? null : found.Site;
    }

    private Task<Found?>? Ask((string Service, string Path) of)
    {
        lock (_gate)
        {
            while (_oldest.TryPeek(out var oldest) && time.GetElapsedTime(oldest.At) >= Keep) _asked.Remove(_oldest.Dequeue().Of);
            if (IsDeleted(of)) return null;
            if (_asked.TryGetValue(of, out var asked)) return asked;
            if (_asked.Count >= Bounds.ElsewhereKeptMax)
            {
                _asksLeft++;
                return null;
            }

            _asksMade++;
            _oldest.Enqueue((of, time.GetTimestamp()));
            return _asked[of] = AskAllAsync(of.Service, of.Path);
        }
    }

    private async Task<Found?> AskAllAsync(string service, string path)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.ContinueOnCapturedContext);
        var head = Encoding.ASCII.GetBytes($"GET /{service}{path} HTTP/1.1\r\nHost: {LinkService}\r\n\r\n");
        var found = (await Task.WhenAll(CurrentHolders().Select(holder => AskAsync(holder, head)))).OfType<Found>().ToArray();

        // While it moves, two groups may know it: the one that it comes to counts. Of different ones none is meant.
        return found.Select(one => one.CreatedBy).Distinct().Count() == 1 ? found.MaxBy(one => one.Moves) : null;
    }

    private async Task<Found?> AskAsync(string holder, byte[] head)
    {
        try
        {
            await using var connection = new UpstreamConnection(mesh.OpenStream(holder, new StreamOpening { Service = LinkService }));
            var answer = await connection.CallAsync(head, null, HttpMethod.Get, Limits, deadlines);
            return answer.Status == 200 ? Read(holder, Encoding.ASCII.GetString(answer.Body.Span)) : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static Found? Read(string holder, string text) =>
        text.Split(' ') is [var made, var moved, var group]
        && OperationId.TryParse(made, out var createdBy) && int.TryParse(moved, NumberStyles.None, CultureInfo.InvariantCulture, out var moves) && OperationId.TryParse(group, out var id)
            ? new Found(holder, createdBy, moves, new GroupId(id.Value))
            : null;

    /// <summary>Tells another site's agent whether a path is the meta-id's of a replicant here: <c>/</c>, the service, and the path.</summary>
    public async ValueTask ServeAsync(Exchange exchange)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.ContinueOnCapturedContext);
        var replicants = replicator.Replicants;
        var asked = Encoding.ASCII.GetString(exchange.Target);
        var end = asked.IndexOf('/', 1);
        var (service, path) = end < 0 ? ("", []) : (asked[1..end], Encoding.ASCII.GetBytes(asked[end..]));
        if (!replicants.MayName(service, path)) await exchange.RespondAsync(404, "", default);
        else if (!replicants.IsSettled && await replicator.Settling.WaitAsync(service, path, isRead: false) is not null) await exchange.RespondAsync(503, "", default);
        else if (replicants.FindByMetaId(service, path) is not { } record) await exchange.RespondAsync(404, "", default);
        else await exchange.RespondAsync(200, "text/plain", Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{record.CreatedBy} {record.Moves} {record.Group}")));
    }
}
