using System.Collections.Immutable;
using System.Threading.Channels;
using Cheops.Raft.Consensus;
using Cheops.Store.Log;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Cheops.Raft;

internal sealed partial class ReplicaGroup
{
    // Held while the node is started or stopped.
    private readonly SemaphoreSlim _lifecycle = new(1, 1);
    private RaftNode? _node;
    private Channel<byte>? _pumpSignal;
    private string _failure = "";
    private long _lastUse;
    private bool _sleepsTogether;

    /// <summary>Whether it exchanges messages.</summary>
    public bool IsAwake => Volatile.Read(ref _node) is not null;

    /// <summary>How long nobody has used it.</summary>
    public TimeSpan Unused => _site.Time.GetElapsedTime(Volatile.Read(ref _lastUse));

    /// <summary>The node; started when the group is asleep.</summary>
    /// <param name="campaigns">Whether a node that is started campaigns at once.</param>
    /// <param name="cancellation">Cancels the waiting.</param>
    /// <exception cref="GroupException">The host is closing, this site's data do not belong to the group, or the disk is full.</exception>
    public async ValueTask<RaftNode> WakeAsync(bool campaigns, CancellationToken cancellation)
    {
        if (Volatile.Read(ref _node) is { } awake) return awake;
        await _lifecycle.WaitAsync(cancellation);
        try
        {
            if (_node is { } node) return node;
            if (_site.IsClosing) throw new GroupException(GroupError.Closed, $"the host of group {Id} is closing");
            if (!BelongsHere) throw new GroupException(GroupError.NotFounded, ReasonNotToBelong());
            Touch();
            return await StartNodeAsync(campaigns, cancellation);
        }
        finally
        {
            _lifecycle.Release();
        }
    }

    /// <summary>Stops the node; the group is asleep.</summary>
    /// <param name="only">Only when this is the node; null for any.</param>
    /// <param name="together">Whether the others are asleep too, and hold what this site holds.</param>
    public async Task StopAsync(RaftNode? only = null, bool together = false)
    {
        await _lifecycle.WaitAsync();
        try
        {
            if (_node is not { } node || (only is not null && node != only)) return;
            Volatile.Write(ref _node, null);
            _sleepsTogether = together;
            _pumpSignal!.Writer.TryComplete();
            await node.StopAsync(CancellationToken.None);
            node.Dispose();
            _log.Forget();
        }
        finally
        {
            _lifecycle.Release();
        }
    }

    private async ValueTask<RaftNode> StartNodeAsync(bool campaigns, CancellationToken cancellation)
    {
        ImmutableArray<string> voters = _isAlone ? [_site.Name] : Record.Voters;
        if (voters.Length == 1) await CampaignAloneAsync();
        RaftNode? started = null;
        var settings = new RaftSettings { ElectionTimeout = CampaignTime, Standby = !MayCampaign };
        var node = started = new RaftNode(settings)
        {
            AuditTrail = AuditTrail.Make(_log, _applier, _voters, reason => OnFailed(started, reason)),
        };
        var signal = Channel.CreateBounded<byte>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        node.LeaderChanged += (_, leader) =>
        {
            if (leader is not { IsRemote: false }) return;
            if (!IsWitness) _choice.Stay(Now);
            signal.Writer.TryWrite(0);
        };
        var grantsPreVote = _sleepsTogether && campaigns;
        await node.StartAsync(
            voters.Select(v => new RaftMember(this, v, !IsHere(v)) { GrantsPreVote = grantsPreVote }), campaigns && MayCampaign && voters.Length > 1, cancellation);
        _pumpSignal = signal;
        _ = PumpAsync(node, signal.Reader);
        _failure = "";
        Volatile.Write(ref _node, node);
        return node;
    }

    // A voter alone leads without an election: it needs a term of its own all the same.
    private async ValueTask CampaignAloneAsync()
    {
        try
        {
            await _log.CampaignAsync(_site.Name);
        }
        catch (OperationLogException e)
        {
            throw new GroupException(ErrorOf(e), e.Message, cause: e);
        }
    }

    // DotNext could not write what it must, and is stuck: whoever needs the group next starts it anew.
    private void OnFailed(RaftNode? node, Exception reason)
    {
        _failure = reason.Message;
        _ = Task.Run(() => StopAsync(node));
    }

    // Replicates as long as there is something: what is proposed during a round shares the next.
    private async Task PumpAsync(RaftNode node, ChannelReader<byte> signal)
    {
        while (await signal.WaitToReadAsync())
        {
            signal.TryRead(out _);
            try
            {
                // A new leader's first round is always rejected, and its first entry must be committed before others are.
                do await node.ForceReplicationAsync(_site.Closing);
                while (node.IsLeader && !IsLive(node));
            }
            catch (Exception e) when (e is NotLeaderException or OperationCanceledException or ObjectDisposedException)
            {
                // Another one leads, or none.
            }
        }
    }

    private static bool IsLive(RaftNode node)
    {
        try
        {
            return !node.LeadershipToken.IsCancellationRequested;
        }
        catch (System.Diagnostics.UnreachableException)
        {
            return false;
        }
    }

    private void Touch() => Volatile.Write(ref _lastUse, _site.Time.GetTimestamp());

    // A witness leads only where it alone has what was committed, until a site has that from it: sites go first.
    private ElectionTimeout CampaignTime => IsWitness
        ? new ElectionTimeout { LowerValue = 2 * ElectionTime.LowerValue, UpperValue = 2 * ElectionTime.UpperValue }
        : ElectionTime;

    private ElectionTimeout ElectionTime
    {
        get
        {
            var roundTrip = _others.Length == 0 ? TimeSpan.Zero : _others.Max(v => _site.Transport.Peer(v)?.RoundTrip ?? TimeSpan.Zero);
            var lower = Math.Max(_site.Options.ElectionTimeMin.TotalMilliseconds, 10 * roundTrip.TotalMilliseconds);
            return new ElectionTimeout { LowerValue = (int)lower, UpperValue = (int)(2 * lower) };
        }
    }
}
