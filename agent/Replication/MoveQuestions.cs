using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Replication.State;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Replication;

/// <summary>What has become of a replicant that has left a group.</summary>
internal enum Fate : byte
{
    /// <summary>That is not known now.</summary>
    Unknown,
    /// <summary>It lives where it has moved to.</summary>
    Lives,
    /// <summary>It is deleted where it had moved to, and what was asked of it is not done yet at one of the sites that it has left.</summary>
    Leaves,
    /// <summary>It is deleted.</summary>
    Gone,
}

/// <summary>Where a replicant is that has left a group.</summary>
/// <param name="Fate">What has become of it.</param>
/// <param name="Sites">Where it lives; else empty.</param>
/// <param name="Detail">The same for a person, with what to do; empty when it is gone.</param>
internal readonly record struct Whereabouts(Fate Fate, ImmutableArray<string> Sites, string Detail);

/// <summary>A replicant is at other sites than those that a request names.</summary>
/// <param name="detail">Which, and what to do; for a person.</param>
internal sealed class ElsewhereException(string detail) : IOException(detail);

/// <summary>
/// What sites ask each other about replicants that move, over a link: where one is that has left a group, of which the log of that group
/// does not tell; and to found the group of their own to which one is to move.
/// </summary>
/// <param name="site">This site.</param>
/// <param name="mesh">The other sites.</param>
/// <param name="find">Finds the runner of a group.</param>
/// <param name="found">The group of a set of sites with this one among them; founded when there is none.</param>
/// <param name="replicants">What this site knows.</param>
/// <param name="deadlines">Where the time to answer is counted.</param>
/// <param name="closing">Ends everything.</param>
internal sealed class MoveQuestions(
    string site, IMesh mesh, Func<GroupId, GroupRunner?> find, Func<ImmutableArray<string>, CancellationToken, Task<GroupRunner>> found, Replicants replicants,
    Deadlines deadlines, CancellationToken closing)
{
    /// <summary>The service name under which agents ask; no application's can be called so.</summary>
    public const string LinkService = "cheops.moves";

    private static readonly CallLimits Limits = new(Bounds.MoveQuestionSizeMax, Bounds.MoveQuestionTimeMaxMs);

    // ---- where a replicant is ---------------------------------------------------------------------------------------------

    /// <summary>Finds where a replicant is that has left a group, from group to group.</summary>
    /// <param name="group">The group that it has moved to.</param>
    /// <param name="sites">Its sites.</param>
    /// <param name="key">The replicant.</param>
    /// <param name="former">The sites of the group that it has left: where a delete must be done before its name is free.</param>
    /// <param name="cancellation">Ends it.</param>
    public Task<Whereabouts> FindAsync(GroupId group, ImmutableArray<string> sites, ReplicantKey key, ImmutableArray<string> former, CancellationToken cancellation) =>
        FindAsync(group, sites, key, former, 0, cancellation);

    private async Task<Whereabouts> FindAsync(
        GroupId group, ImmutableArray<string> sites, ReplicantKey key, ImmutableArray<string> former, int hops, CancellationToken cancellation)
    {
        // On its way too there may be something that a former site has not done yet.
        Whereabouts? left = null;
        for (; hops < Bounds.MoveHopsMax; hops++)
        {
            if (!sites.Contains(site))
            {
                var told = await AskAsync(group, sites, key, former, hops, cancellation);
                return told.Fate == Fate.Gone ? left ?? told : told;
            }

            if (find(group) is not { Group: { } open } runner) return Unknown(key, $"{site} has lost what it knew of the group of {string.Join(" & ", sites)}, and no other member has told it yet");

            // What is told of it here must be what its members have agreed on by now.
            try
            {
                await open.BarrierAsync(cancellation);
            }
            catch (GroupException e)
            {
                return Unknown(key, $"{string.Join(" & ", sites)}, where it has moved to, cannot agree now: {e.Message}");
            }

            var (isMoving, last, toDo) = runner.Look(state => (state.MoveOf(key) is not null, state.LastMarkOf(key), ToDo(state.QueueOf(key), key, former)));
            left ??= toDo;
            if (!isMoving && last is { Kind: MoveMarkKind.Closed })
            {
                (group, sites) = (last.Other, last.OtherSites);
                continue;
            }

            if (isMoving || replicants.Find(group, key) is not null)
                return new Whereabouts(Fate.Lives, runner.Founding.Sites, $"{key.MetaId} has moved: it is at {string.Join(" & ", runner.Founding.Sites)}. Name these sites in the scope, or leave the scope out at one of them");
            return left ?? new Whereabouts(Fate.Gone, [], "");
        }

        return Unknown(key, $"it has moved more than {Bounds.MoveHopsMax} times since");
    }

    private static Whereabouts? ToDo(IReadOnlyList<OperationState> queue, ReplicantKey key, ImmutableArray<string> former) =>
        queue.FirstOrDefault(one => former.Any(one.IsOpenAt)) is not { } open ? null : new Whereabouts(
            Fate.Leaves, [],
            $"{key.MetaId} is deleted where it had moved to, and what was asked of it is not done yet at {string.Join(", ", former.Where(open.IsOpenAt))} (operation {open.Id}): try again when it is");

    private static Whereabouts Unknown(ReplicantKey key, string why) => new(Fate.Unknown, [], $"{key.MetaId} has moved, and whether it lives is not known now: {why}");

    private async Task<Whereabouts> AskAsync(
        GroupId group, ImmutableArray<string> sites, ReplicantKey key, ImmutableArray<string> former, int hops, CancellationToken cancellation)
    {
        var question = new EntryWriter().Id(new OperationId(group.Value)).Texts(former).Small(hops).Text(key.Service).Text(key.Collection).Text(key.MetaId);
        var reasons = new List<string>();
        foreach (var other in NearestFirst(sites))
        {
            try
            {
                var answer = await CallAsync(other, "where", question.Written, cancellation);
                if (answer.Status == 200 && Read(answer.Body) is { Fate: not Fate.Unknown } told) return told;
                reasons.Add(answer.Status == 200 && Read(answer.Body) is { } unknown ? unknown.Detail : $"{other} answered {answer.Status}");
            }
            catch (IOException e)
            {
                reasons.Add(e.Message);
            }
        }

        return Unknown(key, $"none of {string.Join(" & ", sites)}, where it has moved to, can tell ({string.Join("; ", reasons)})");
    }

    private static Whereabouts? Read(ReadOnlyMemory<byte> bytes)
    {
        var reader = new EntryReader(bytes);
        var told = new Whereabouts((Fate)reader.Byte(), [.. reader.Texts(Bounds.GroupSitesMax, Bounds.SiteNameLengthMax)], reader.Text(Bounds.MoveQuestionSizeMax));
        return reader.IsWhole && Enum.IsDefined(told.Fate) ? told : null;
    }

    // ---- founding ---------------------------------------------------------------------------------------------------------

    /// <summary>Has a set of sites without this one found its group.</summary>
    /// <param name="sites">The sites, in ordinal order.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="GroupException">None of them could.</exception>
    public async Task HaveFoundedAsync(ImmutableArray<string> sites, CancellationToken cancellation)
    {
        var question = new EntryWriter().Texts(sites);
        var reasons = new List<string>();
        foreach (var other in NearestFirst(sites))
        {
            try
            {
                var answer = await CallAsync(other, "found", question.Written, cancellation);
                if (answer.Status == 200) return;
                reasons.Add($"{other}: {Encoding.UTF8.GetString(answer.Body.Span)}");
            }
            catch (IOException e)
            {
                reasons.Add(e.Message);
            }
        }

        throw new GroupException(GroupError.NotFounded, $"the group of {string.Join(" & ", sites)} is not founded: {string.Join("; ", reasons)}");
    }

    // ---- over links -------------------------------------------------------------------------------------------------------

    private IEnumerable<string> NearestFirst(ImmutableArray<string> sites)
    {
        var known = mesh.Sites.ToDictionary(one => one.Name, StringComparer.Ordinal);
        return sites.OrderBy(name => known.GetValueOrDefault(name)?.State == SiteState.Up ? 0 : 1)
            .ThenBy(name => known.GetValueOrDefault(name)?.RoundTrip ?? TimeSpan.MaxValue).ThenBy(name => name, StringComparer.Ordinal);
    }

    private async Task<KeptAnswer> CallAsync(string other, string what, ReadOnlyMemory<byte> question, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        await using var connection = new UpstreamConnection(mesh.OpenStream(other, new StreamOpening { Service = LinkService }));
        var head = Encoding.ASCII.GetBytes($"POST /{what} HTTP/1.1\r\nHost: {LinkService}\r\nContent-Length: {question.Length}\r\n\r\n");
        return await connection.CallAsync((byte[])[.. head, .. question.Span], null, HttpMethod.Post, Limits, deadlines);
    }

    /// <summary>Answers another site's agent.</summary>
    public async ValueTask ServeAsync(Exchange exchange)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.ContinueOnCapturedContext);
        try
        {
            if (await QuestionAsync(exchange) is not { } question) await exchange.RespondAsync(413, "", default);
            else if (exchange.Target.SequenceEqual("/where"u8)) await ServeWhereAsync(exchange, question);
            else if (exchange.Target.SequenceEqual("/found"u8)) await ServeFoundAsync(exchange, question);
            else await exchange.RespondAsync(404, "", default);
        }
        catch (OperationCanceledException) when (closing.IsCancellationRequested)
        {
            await exchange.RespondAsync(503, "text/plain", Encoding.ASCII.GetBytes($"{site} ends"));
        }
    }

    private static async ValueTask<ReadOnlyMemory<byte>?> QuestionAsync(Exchange exchange)
    {
        var question = new ArrayBufferWriter<byte>();
        exchange.ArmBody();
        for (ReadOnlyMemory<byte> piece; !(piece = await exchange.Body.ReadAsync()).IsEmpty; exchange.ArmBody())
        {
            if (question.WrittenCount + piece.Length > Bounds.MoveQuestionSizeMax) return null;
            question.Write(piece.Span);
        }

        exchange.Disarm();
        return question.WrittenMemory;
    }

    private async ValueTask ServeWhereAsync(Exchange exchange, ReadOnlyMemory<byte> question)
    {
        if (ReadWhere(question) is not (var group, var former, var hops, var key))
        {
            await exchange.RespondAsync(400, "", default);
            return;
        }

        var told = find(group) is { } runner && runner.Founding.Sites.Contains(site)
            ? await FindAsync(group, runner.Founding.Sites, key, former, hops, closing)
            : Unknown(key, $"{site} does not know the group");
        await exchange.RespondAsync(200, "application/octet-stream", new EntryWriter().Byte((byte)told.Fate).Texts(told.Sites).Text(told.Detail).Written);
    }

    private static (GroupId Group, ImmutableArray<string> Former, int Hops, ReplicantKey Key)? ReadWhere(ReadOnlyMemory<byte> question)
    {
        var reader = new EntryReader(question);
        var (group, former, hops) = (new GroupId(reader.Id().Value), reader.Texts(Bounds.GroupSitesMax, Bounds.SiteNameLengthMax), reader.Small());
        var key = new ReplicantKey(reader.Text(Bounds.ServiceNameLengthMax), reader.Text(Bounds.TargetSizeMax), reader.Text(Bounds.LocalIdSizeMax));
        return reader.IsWhole && hops >= 0 ? (group, [.. former], hops + 1, key) : null;
    }

    private async ValueTask ServeFoundAsync(Exchange exchange, ReadOnlyMemory<byte> question)
    {
        var reader = new EntryReader(question);
        ImmutableArray<string> sites = [.. reader.Texts(Bounds.GroupSitesMax, Bounds.SiteNameLengthMax)];
        if (!reader.IsWhole || !sites.Contains(site))
        {
            await exchange.RespondAsync(400, "text/plain", Encoding.UTF8.GetBytes($"{site} is none of them"));
            return;
        }

        try
        {
            await found(sites, closing);
            await exchange.RespondAsync(200, "", default);
        }
        catch (GroupException e)
        {
            await exchange.RespondAsync(503, "text/plain", Encoding.UTF8.GetBytes(e.Message));
        }
    }
}
