using System.Buffers;
using Cheops.Proto;

namespace Cheops.Agent.Mesh.Protocol;

/// <summary>What the receiving side of a stream makes of a piece.</summary>
internal enum PieceVerdict : byte
{
    /// <summary>Taken.</summary>
    Taken,
    /// <summary>Past the window, at the wrong place, or after the end: no agent that keeps the protocol sends it.</summary>
    Breach,
    /// <summary>This site holds all it may hold.</summary>
    Full,
}

/// <summary>
/// The received bytes of one stream, in order. Each lane delivers its part without gaps (the link sees to that), but
/// one lane may be ahead of the other: two queues, of which the bulk one is read when the control one is complete.
/// </summary>
internal sealed class ReceiveBuffer(WindowBudget budget)
{
    private readonly Chain _control = new();
    private readonly Chain _bulk = new();
    private long _controlReceived;
    private long _bulkReceived = Bounds.StreamControlSizeMax;
    private long _end = -1;

    /// <summary>Bytes read.</summary>
    public long Consumed { get; private set; }

    /// <summary>Whether the peer has ended its direction, and where is known.</summary>
    public bool IsEnded => _end >= 0;

    /// <summary>Whether everything up to the peer's end has been read.</summary>
    public bool IsFinished => _end >= 0 && Consumed == _end;

    /// <summary>Bytes that could be read now.</summary>
    public long Readable => _control.Length + (_controlReceived == Bounds.StreamControlSizeMax ? _bulk.Length : 0);

    private long Held => _control.Length + _bulk.Length;

    /// <summary>Adds a piece.</summary>
    /// <param name="lane">The lane it came on.</param>
    /// <param name="offset">Where it begins.</param>
    /// <param name="piece">Its bytes, copied.</param>
    /// <param name="end">Whether the direction ends after it.</param>
    /// <param name="limit">Where the window ends.</param>
    public PieceVerdict Add(LinkLane lane, long offset, ReadOnlySpan<byte> piece, bool end, long limit)
    {
        var upTo = offset + piece.Length;
        var isControl = lane == LinkLane.Control;
        if (IsEnded && (end || upTo > _end)) return PieceVerdict.Breach;
        if (end && isControl && _bulkReceived > Bounds.StreamControlSizeMax) return PieceVerdict.Breach;
        if (upTo > limit || offset != (isControl ? _controlReceived : _bulkReceived)) return PieceVerdict.Breach;
        if (isControl && upTo > Bounds.StreamControlSizeMax) return PieceVerdict.Breach;
        if (!budget.TryHold(piece.Length)) return PieceVerdict.Full;
        if (isControl)
        {
            _control.Append(piece);
            _controlReceived = upTo;
        }
        else
        {
            _bulk.Append(piece);
            _bulkReceived = upTo;
        }

        if (end) _end = upTo;
        return PieceVerdict.Taken;
    }

    /// <summary>Takes what can be read.</summary>
    public int Read(Span<byte> to)
    {
        var count = _control.Read(to);
        if (_controlReceived == Bounds.StreamControlSizeMax && _control.Length == 0) count += _bulk.Read(to[count..]);
        Consumed += count;
        budget.Release(count);
        return count;
    }

    /// <summary>Gives up what was not read.</summary>
    public void Clear()
    {
        budget.Release(Held);
        _control.Clear();
        _bulk.Clear();
    }

    // Pieces in pooled arrays; small ones are gathered, so that many single bytes do not each cost an array.
    private sealed class Chain
    {
        private readonly Queue<byte[]> _full = new();
        private readonly Queue<int> _sizes = new();
        private byte[]? _last;
        private int _lastSize;
        private int _taken;

        public long Length { get; private set; }

        public void Append(ReadOnlySpan<byte> piece)
        {
            if (piece.Length == 0) return;
            Length += piece.Length;
            if (_last is not null)
            {
                var fits = Math.Min(piece.Length, _last.Length - _lastSize);
                piece[..fits].CopyTo(_last.AsSpan(_lastSize));
                _lastSize += fits;
                piece = piece[fits..];
                if (piece.Length == 0) return;
                _full.Enqueue(_last);
                _sizes.Enqueue(_lastSize);
            }

            _last = ArrayPool<byte>.Shared.Rent(Math.Max(piece.Length, Bounds.StreamGatherSize));
            piece.CopyTo(_last);
            _lastSize = piece.Length;
        }

        public int Read(Span<byte> to)
        {
            var total = 0;
            while (total < to.Length && Length > 0)
            {
                var isLast = _full.Count == 0;
                var array = isLast ? _last! : _full.Peek();
                var size = isLast ? _lastSize : _sizes.Peek();
                var count = Math.Min(size - _taken, to.Length - total);
                array.AsSpan(_taken, count).CopyTo(to[total..]);
                total += count;
                _taken += count;
                Length -= count;
                if (_taken == size) Drop(isLast);
            }

            return total;
        }

        private void Drop(bool isLast)
        {
            _taken = 0;
            if (isLast)
            {
                ArrayPool<byte>.Shared.Return(_last!);
                _last = null;
                _lastSize = 0;
                return;
            }

            ArrayPool<byte>.Shared.Return(_full.Dequeue());
            _sizes.Dequeue();
        }

        public void Clear()
        {
            while (_full.Count > 0) Drop(isLast: false);
            if (_last is not null) Drop(isLast: true);
            Length = 0;
        }
    }
}
