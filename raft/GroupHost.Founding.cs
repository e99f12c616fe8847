using System.Collections.Concurrent;
using System.Collections.Immutable;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft.Founding;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;

namespace Cheops.Raft;

public sealed partial class GroupHost
{
    // Records that this site has accepted, of groups that are not open yet.
    private readonly ConcurrentDictionary<GroupId, FoundingRecord> _accepted = new();

    // Held while a group's founding changes, so that what is accepted is what is recorded.
    private readonly SemaphoreSlim _foundingGate = new(1, 1);

    /// <inheritdoc/>
    public async ValueTask<IReplicaGroup> FoundAsync(ImmutableArray<string> sites, string? witness, CancellationToken cancellation = default)
    {
        var founding = FoundingCheck.Of(_site.Name, sites, witness);
        if (_groups.TryGetValue(founding.Id, out var known) && known.BelongsHere) return known;
        await Task.WhenAll(founding.Voters.Where(v => !IsHere(v)).Select(v => MeetAsync(v)));
        if (witness is not null && Own(founding.Id) is null && !await CanWitnessAsync(sites, witness, cancellation))
            throw new GroupException(GroupError.NotFounded, $"the group of {string.Join(", ", sites)} is not founded: {witness} is not reached, and was not met by both");
        if (await RenewAsync(founding.Id, cancellation) is { } reason)
            throw new GroupException(GroupError.NotFounded, $"the group of {string.Join(", ", sites)} is not founded: {reason}");
        var own = await BeginAsync(founding, cancellation);
        if (own.IsOpen && founding.Voters.Length == 1) return _groups[founding.Id];

        var others = own.Founding.Sites.Where(s => !IsHere(s)).ToArray();
        var accepted = await Task.WhenAll(others.Select(s => TellFoundingAsync(s, founding.Id, cancellation)));
        var group = _groups.GetValueOrDefault(founding.Id);
        // Two sites must both be there; of more, a majority.
        var enough = others.Length == 1 ? 1 : (others.Length + 1) / 2;
        if (group is null || !group.BelongsHere || accepted.Count(a => a is null) < enough)
        {
            throw new GroupException(
                GroupError.NotFounded, $"the group of {string.Join(", ", sites)} is not founded: {Reasons(group, accepted)}");
        }

        if (group.Founding.Witness is { } chosen && !IsHere(chosen)) _ = TellFoundingAsync(chosen, founding.Id, _site.Closing);
        return group;
    }

    private static string Reasons(ReplicaGroup? group, string?[] answers) => group is { BelongsHere: false }
        ? group.Status.Problem
        : string.Join("; ", answers.Where(a => a is not null));

    // This site accepts a record of its own, unless it has accepted one before.
    private async ValueTask<FoundingRecord> BeginAsync(GroupFounding founding, CancellationToken cancellation)
    {
        await _foundingGate.WaitAsync(cancellation);
        try
        {
            if (_accepted.TryGetValue(founding.Id, out var accepted)) return accepted;
            if (_groups.TryGetValue(founding.Id, out var group)) return group.Record;
            // Two sites must both be there. Their witness, or of more sites one, may be away: if it comes back with other data, the
            // others let these in.
            var members = founding.Voters.Select(v => new RosterEntry(v, MayBeAway(founding, v) ? _site.LastIncarnationOf(v) : _site.IncarnationOf(v))).ToArray();
            if (members.FirstOrDefault(m => m.Incarnation.IsUnknown) is { Site: { } stranger })
            {
                throw new GroupException(
                    GroupError.NotFounded,
                    $"the group of {string.Join(", ", founding.Voters)} is not founded: {stranger} {(MayBeAway(founding, stranger) ? "was never met" : "is not reached")}");
            }

            var record = FoundingRules.Begin(members, founding.Witness is not null, _site.Name);
            await AcceptAsync(record);
            return record;
        }
        finally
        {
            _foundingGate.Release();
        }
    }

    private static bool MayBeAway(GroupFounding founding, string voter) =>
        founding.Sites.Length > 2 || string.Equals(voter, founding.Witness, StringComparison.Ordinal);

    // What a member answers; null when it has accepted what this site has, else why not.
    private async Task<string?> TellFoundingAsync(string site, GroupId id, CancellationToken cancellation)
    {
        if (Own(id) is not { } record) return "nothing to tell";
        if (!_site.Post.IsUp(site)) return $"{site} is not reached";
        try
        {
            var answer = await AskFoundingAsync(site, record, cancellation);
            if (answer.Frame.Kind == GroupFrameKind.Refused) return $"{site} refuses ({(GroupRefusal)answer.Frame.A})";
            if (FoundingRecord.Read(answer.Body.Span) is not { } answered || answered.Founding.Id != id) return $"{site} answers with no record";
            return await TakeAnswerAsync(answered, cancellation) ? null : $"{site} has accepted another record";
        }
        catch (Exception e) when (e is TimeoutException or IOException)
        {
            return $"{site}: {e.Message}";
        }
    }

    private Task<GroupMessage> AskFoundingAsync(string site, FoundingRecord record, CancellationToken cancellation)
    {
        var question = new GroupFrame { Kind = GroupFrameKind.Found, Group = record.Founding.Id, Generation = (uint)record.Generation };
        return _site.Post.AskAsync(site, question, record.ToBytes(), _site.Options.ElectionTimeMin * 2, cancellation);
    }

    private async ValueTask<bool> TakeAnswerAsync(FoundingRecord answered, CancellationToken cancellation)
    {
        await _foundingGate.WaitAsync(cancellation);
        try
        {
            var own = Own(answered.Founding.Id)!;
            switch (Step(answered))
            {
                case FoundingStep.Accept:
                    // The other's record wins, and it has accepted it: with this acceptance there are both.
                    await AcceptAsync(answered with { IsOpen = true });
                    return true;
                case FoundingStep.Note:
                    await AcceptAsync(answered);
                    return false;
                default:
                    if (FoundingRules.Opens(own, answered)) await AcceptAsync(own with { IsOpen = true });
                    return Own(answered.Founding.Id)!.IsOpen;
            }
        }
        finally
        {
            _foundingGate.Release();
        }
    }

    private async ValueTask AnswerFoundAsync(string from, GroupMessage question)
    {
        if (FoundingRecord.Read(question.Body.Span) is not { } sent || sent.IncarnationOf(from) is not { } belongs)
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.NotMember);
            return;
        }

        if (belongs != question.Frame.Incarnation || !await TryTakeAsync(sent, IsSite(sent, from)))
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.Incarnation);
            return;
        }

        var own = Own(sent.Founding.Id)!;
        var answer = new GroupFrame { Kind = GroupFrameKind.Reply, Group = sent.Founding.Id, Generation = (uint)own.Generation };
        await _site.Post.AnswerAsync(from, question.Frame, answer, own.ToBytes());
        if (IsSite(own, _site.Name) && FoundingRules.IsOutdated(own, _site.IncarnationOf)) _ = RenewForAsync(from, own.Founding.Id);
    }

    private async ValueTask<bool> TryTakeAsync(FoundingRecord sent, bool isFromSite)
    {
        await _foundingGate.WaitAsync();
        try
        {
            switch (Step(sent))
            {
                case FoundingStep.Accept:
                    // A witness waits until the sites agree; a site that accepts the other's record completes it.
                    await AcceptAsync(sent with { IsOpen = sent.IsOpen || (isFromSite && IsSite(sent, _site.Name)) });
                    return true;
                case FoundingStep.Note:
                    await AcceptAsync(sent);
                    return true;
                case FoundingStep.Keep:
                    var own = Own(sent.Founding.Id)!;
                    if (isFromSite && IsSite(sent, _site.Name) && FoundingRules.Opens(own, sent)) await AcceptAsync(own with { IsOpen = true });
                    return true;
                default:
                    return false;
            }
        }
        finally
        {
            _foundingGate.Release();
        }
    }

    private FoundingStep Step(FoundingRecord sent)
    {
        var id = sent.Founding.Id;
        var isEmpty = !_groups.TryGetValue(id, out var group) || group.Log.LastIndex == 0;
        return FoundingRules.Take(Own(id), isEmpty, sent, _site.Name, _site.IncarnationOf);
    }

    // Durable before anything is done with it.
    private async ValueTask AcceptAsync(FoundingRecord record)
    {
        var founding = record.Founding;
        var own = Own(founding.Id);
        // Where its data were not the group's before, it votes only in what has come since.
        var wasThere = own is { IsOpen: true } && own.IncarnationOf(_site.Name) == _site.Post.Incarnation;
        record = record with { Since = wasThere ? own!.Since : record.Generation == 1 ? 0 : record.Generation };
        if (_groups.TryGetValue(founding.Id, out var known))
        {
            await known.Log.RecordFoundingAsync(record);
            known.Adopt(record);
            return;
        }

        if (_groups.Count + _accepted.Count >= Bounds.GroupCountMax)
            throw new GroupException(GroupError.Busy, $"{_site.Name} is a member of {Bounds.GroupCountMax} groups already");
        var recovered = new RecoveredGroup { Founding = record, OldestPosition = _site.Log.Tail };
        _site.Retention.Keep(founding.Id, recovered.OldestPosition);
        // Where the next record was to be none may be: one that does not fit on the rest of a page is on the next.
        _site.Retention.Keep(founding.Id, await new GroupLog(founding.Id, _site.Log, recovered, _site.Budget, 0).RecordFoundingAsync(record));
        if (!record.IsOpen)
        {
            _accepted[founding.Id] = record;
            return;
        }

        var group = new ReplicaGroup(_site, record, recovered, _machines(founding));
        Add(group);
        _accepted.TryRemove(founding.Id, out _);
        group.Replay();
    }

    private FoundingRecord? Own(GroupId id) =>
        _groups.TryGetValue(id, out var group) ? group.Record : _accepted.GetValueOrDefault(id);

    private bool IsHere(string site) => string.Equals(site, _site.Name, StringComparison.Ordinal);

    private static bool IsSite(FoundingRecord record, string site) => record.Founding.Sites.Contains(site);

    // It does not know the group, or not as it is by now; or it has other data, and is let in by the leader.
    private void OnStrangerMet(ReplicaGroup group, string site)
    {
        if (group.Record.IncarnationOf(site) == _site.IncarnationOf(site)) _ = TellFoundingAsync(site, group.Id, _site.Closing);
        else group.OnPeerChanged(site);
    }
}
