using System.Collections.Concurrent;
using Cheops.Proto.Operations;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;
using Cheops.Store.Log;

namespace Cheops.Raft;

/// <summary>
/// Two sites that meet tell each other how the groups stand that they share. Whoever lacks entries is given them, although
/// the groups are asleep; whoever does not know a group, or has other data than belong to it, learns that before it votes.
/// </summary>
public sealed partial class GroupHost
{
    private readonly ConcurrentDictionary<string, Task> _meetings = new(StringComparer.Ordinal);

    // How far another site has come in telling of its groups.
    private readonly ConcurrentDictionary<string, long> _told = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _metGate = new(1, 1);

    // One meeting with a site at a time; it ends early when the site is not there.
    private Task MeetAsync(string site)
    {
        if (_site.IsClosing || !_site.Post.IsUp(site)) return Task.CompletedTask;
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var running = _meetings.GetOrAdd(site, begun.Task);
        if (running != begun.Task) return running;
        _ = Task.Run(async () =>
        {
            for (var attempt = 0; attempt < 5 && !await TryTellGroupsAsync(site); attempt++)
            {
                // A message was lost.
            }

            _meetings.TryRemove(site, out _);
            begun.SetResult();
        });
        return begun.Task;
    }

    // False when it is worth another attempt.
    private async Task<bool> TryTellGroupsAsync(string site)
    {
        try
        {
            await TellGroupsAsync(site);
            return true;
        }
        catch (TimeoutException)
        {
            return _site.IsClosing;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or OperationLogException or ObjectDisposedException)
        {
            // Again when the site comes back, or asks.
            return true;
        }
    }

    // Sites whose meeting failed are met again.
    private void MeetStrangers()
    {
        foreach (var site in _groups.Values.SelectMany(g => g.Record.Voters).Where(v => !IsHere(v) && !_site.Met.ContainsKey(v)).Distinct())
            _ = MeetAsync(site);
    }

    private async Task TellGroupsAsync(string site)
    {
        var shared = _groups.Values.Where(g => g.Founding.Voters.Contains(site)).ToArray();
        var frames = shared.Chunk(ComparedGroup.CountMax).Append([]).ToArray();
        for (var i = 0; i < frames.Length; i++)
        {
            // The last one, which is empty, comes when all that was asked for has been told.
            var question = new GroupFrame { Kind = GroupFrameKind.Compare, A = i, B = i == frames.Length - 1 ? 1 : 0, C = _site.Met.ContainsKey(site) ? 1 : 0 };
            var body = ComparedGroup.ToBytes(frames[i].Select(g => Compare(g, site)).ToArray());
            var answer = await _site.Post.AskAsync(site, question, body, _site.Options.ElectionTimeMin * 2, _site.Closing);
            if (answer.Frame.Kind != GroupFrameKind.Reply || answer.Body.Length % GroupId.Size != 0) return;
            for (var rest = answer.Body; rest.Length > 0; rest = rest[GroupId.Size..])
            {
                if (Own(GroupId.Read(rest.Span)) is { } record && record.Founding.Voters.Contains(site))
                    await TellFoundingAsync(site, record.Founding.Id, _site.Closing);
            }
        }
    }

    private static ComparedGroup Compare(ReplicaGroup group, string site)
    {
        var (index, term) = group.Log.Last;
        return new ComparedGroup(
            group.Id, group.Record.Generation, group.Record.IncarnationOf(site) ?? default, term, index, group.Log.CommitIndex);
    }

    private async ValueTask AnswerCompareAsync(string from, GroupMessage question)
    {
        var frame = question.Frame;
        if (ComparedGroup.Read(question.Body.Span) is not { } groups || frame.Incarnation != _site.IncarnationOf(from))
        {
            await RefuseAsync(from, frame, GroupRefusal.Incarnation);
            return;
        }

        var asked = new List<GroupId>();
        foreach (var group in groups)
        {
            if (WantsToKnow(group)) asked.Add(group.Group);
            else if (_groups.TryGetValue(group.Group, out var own)) _ = own.CompareAsync(group);
        }

        await NoteTellingAsync(from, frame);
        var body = new byte[asked.Count * GroupId.Size];
        for (var i = 0; i < asked.Count; i++) asked[i].Write(body.AsSpan(i * GroupId.Size));
        await _site.Post.AnswerAsync(from, frame, new GroupFrame { Kind = GroupFrameKind.Reply }, body);
        // Whoever was not met here yet, or has not met this site, is met from this side too.
        if (frame.B == 1 && (frame.C == 0 || !_site.Met.ContainsKey(from))) _ = MeetAsync(from);
    }

    private bool WantsToKnow(ComparedGroup told)
    {
        if (Own(told.Group) is not { IsOpen: true } own) return true;
        return told.Generation > own.Generation || (told.Generation == own.Generation && told.Yours != own.IncarnationOf(_site.Name));
    }

    // A site is met when it has told of all its groups, one frame after the other.
    private async ValueTask NoteTellingAsync(string from, GroupFrame frame)
    {
        if (frame.A > 0 && _told.GetValueOrDefault(from) != frame.A) return;
        _told[from] = frame.A + 1;
        if (frame.B != 1 || (_site.Met.TryGetValue(from, out var known) && known == frame.Incarnation)) return;
        await _metGate.WaitAsync(_site.Closing);
        try
        {
            await RecordMetAsync([.. _site.Met.Where(m => m.Key != from), new(from, frame.Incarnation)]);
            _site.Met[from] = frame.Incarnation;
        }
        finally
        {
            _metGate.Release();
        }

        foreach (var group in _groups.Values.Where(g => g.Record.Voters.Contains(from))) _ = group.OnMetAsync();
    }

    private async ValueTask RecordMetAsync(List<KeyValuePair<string, Incarnation>> met, RoomFor room = RoomFor.Record)
    {
        var record = new LogRecord { Group = default, Kind = (byte)GroupRecordKind.Met, Payload = MetSites.ToBytes(met) };
        var position = await _site.Log.AppendAsync(record, room);
        await _site.Log.WaitDurableAsync(position);
        _site.Retention.Keep(default, position);
    }
}
