using System.Threading.Channels;
using Cheops.Proto;
using Cheops.Raft.Protocol;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Cheops.Raft;

internal sealed partial class ReplicaGroup
{
    private readonly Lock _restoreGate = new();
    private Restore? _restore;

    // Pieces come one after the other; the last is answered when the machine is replaced.
    private async ValueTask AnswerSnapshotAsync(string from, GroupMessage question)
    {
        var frame = question.Frame;
        if (frame.A < _log.Term || frame.B <= _log.CommitIndex || question.Body.Length > Bounds.GroupEntrySizeMax)
        {
            await ReplyAsync(from, frame, _log.Term, (long)HeartbeatResult.Rejected);
            return;
        }

        Touch();
        if (Find(from, frame) is not { } restore)
        {
            await ReplyAsync(from, frame, _log.Term, (long)HeartbeatResult.Rejected);
            return;
        }

        var isLast = (frame.D & 1) != 0;
        var isTaken = isLast ? await restore.CompleteAsync() : await restore.TakeAsync(question.Body, _site.Closing);
        if (isLast || !isTaken) Forget(restore);
        await ReplyAsync(from, frame, _log.Term, (long)(isTaken ? HeartbeatResult.Replicated : HeartbeatResult.Rejected));
    }

    // The first piece begins a restore; what does not follow the one before ends it.
    private Restore? Find(string from, GroupFrame frame)
    {
        var number = frame.D >> 1;
        lock (_restoreGate)
        {
            if (number == 0)
            {
                _restore?.Abandon();
                _restore = new Restore(from, frame.A, frame.B);
                _restore.Begin(pieces => _applier.RestoreAsync(frame.B, frame.C, pieces, _site.Closing));
            }

            if (_restore is null || !_restore.Follows(from, frame, number)) return null;
            return _restore;
        }
    }

    private void Forget(Restore restore)
    {
        lock (_restoreGate)
        {
            if (_restore == restore) _restore = null;
        }

        restore.Abandon();
    }

    private sealed class Restore(string from, long term, long index)
    {
        private readonly Channel<ReadOnlyMemory<byte>> _pieces = Channel.CreateBounded<ReadOnlyMemory<byte>>(2);
        private Task<bool> _restored = Task.FromResult(false);
        private long _next;

        public void Begin(Func<IAsyncEnumerable<ReadOnlyMemory<byte>>, ValueTask<bool>> restore) =>
            _restored = Task.Run(async () => await restore(_pieces.Reader.ReadAllAsync()));

        public bool Follows(string sender, GroupFrame frame, long number) =>
            string.Equals(from, sender, StringComparison.Ordinal) && frame.A == term && frame.B == index && number == _next++;

        // False when the machine has given up.
        public async ValueTask<bool> TakeAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellation)
        {
            while (!_pieces.Writer.TryWrite(piece))
            {
                var room = _pieces.Writer.WaitToWriteAsync(cancellation).AsTask();
                if (await Task.WhenAny(room, _restored) == _restored || !await room) return false;
            }

            return true;
        }

        public async ValueTask<bool> CompleteAsync()
        {
            _pieces.Writer.TryComplete();
            return await _restored;
        }

        public void Abandon() => _pieces.Writer.TryComplete(new IOException("the snapshot was not sent to its end"));
    }
}
