using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;
using Cheops.Proto;

namespace Cheops.Agent.Transport;

/// <summary>
/// A <see cref="PipeReader"/> that reads from its transport only when asked, into one contiguous buffer: no loop fills a
/// pipe behind it, so nothing is handed from thread to thread, and a head is nearly always one span.
/// </summary>
/// <remarks>
/// The buffer starts small, grows fourfold to <see cref="Bounds.LargeBufferSize"/> while reads fill it, and is small
/// again when a connection falls idle.
/// </remarks>
internal sealed class PullReader(ByteTransport transport) : PipeReader, IValueTaskSource<ReadResult>
{
    private byte[] _buffer = [];
    private int _start;
    private int _end;
    private int _examined;
    private bool _completed;
    private bool _wantsLarge;
    private BufferUse _use;
    private ManualResetValueTaskSourceCore<ReadResult> _source;
    private ValueTaskAwaiter<int> _receiving;
    private Action? _onReceived;
    private bool _waitsForAny;

    // Past this many channels, one that waits for its next message holds no buffer at all.
    private static int OpenCount;

    private bool Lean { get; } = Interlocked.Increment(ref OpenCount) > Bounds.BufferedIdleChannelsMax;

    public override bool TryRead(out ReadResult result)
    {
        if (_end > _examined || _completed)
        {
            result = Result();
            return true;
        }

        result = default;
        return false;
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) =>
        _end > _examined || _completed ? new(Result()) : Fill();

    // By hand, not by async: a connection waits here nearly all its life, and a state machine for each of its waits
    // would be allocated whenever more connections wait than the runtime caches machines for.
    [SuppressMessage("Reliability", "CA2012", Justification = "The awaiter is kept until its one completion, and its result taken once.")]
    private ValueTask<ReadResult> Fill()
    {
        if (!_use.TryBegin()) return ValueTask.FromException<ReadResult>(Closed());
        _waitsForAny = _start == _end && Lean;
        if (_waitsForAny) ReturnBuffer();
        else MakeRoom();
        _receiving = transport.ReceiveAsync(_waitsForAny ? Memory<byte>.Empty : _buffer.AsMemory(_end)).GetAwaiter();
        if (_receiving.IsCompleted && !_waitsForAny) return Finish();
        _source.Reset();
        if (_receiving.IsCompleted) OnReceived();
        else _receiving.UnsafeOnCompleted(_onReceived ??= OnReceived);
        return new ValueTask<ReadResult>(this, _source.Version);
    }

    private ValueTask<ReadResult> Finish()
    {
        try
        {
            var result = Take(_receiving.GetResult());
            return IsStillOwned() ? new(result) : ValueTask.FromException<ReadResult>(Closed());
        }
        catch (IOException e)
        {
            IsStillOwned();
            return ValueTask.FromException<ReadResult>(e);
        }
    }

    // A channel that was disposed of while it received: its bytes are nobody's any more.
    private bool IsStillOwned()
    {
        if (!_use.End()) return true;
        ReturnBuffer();
        return false;
    }

    private static IOException Closed() => new("the channel was closed");

    [SuppressMessage("Reliability", "CA2012", Justification = "The awaiter is kept until its one completion, and its result taken once.")]
    private void OnReceived()
    {
        ReadResult result;
        try
        {
            var count = _receiving.GetResult();
            if (_waitsForAny)
            {
                // Something is there now: a buffer is taken only for that.
                _waitsForAny = false;
                MakeRoom();
                _receiving = transport.ReceiveAsync(_buffer.AsMemory(_end)).GetAwaiter();
                if (!_receiving.IsCompleted)
                {
                    _receiving.UnsafeOnCompleted(_onReceived ??= OnReceived);
                    return;
                }

                count = _receiving.GetResult();
            }

            result = Take(count);
        }
        catch (IOException e)
        {
            IsStillOwned();
            _source.SetException(e);
            return;
        }

        if (IsStillOwned()) _source.SetResult(result);
        else _source.SetException(Closed());
    }

    private ReadResult Take(int received)
    {
        _wantsLarge = received == _buffer.Length - _end;
        if (received == 0) _completed = true;
        else _end += received;
        return Result();
    }

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private ReadResult Result() => new(new ReadOnlySequence<byte>(_buffer, _start, _end - _start), isCanceled: false, _completed);

    private void MakeRoom()
    {
        if (_start == _end)
        {
            _start = _end = _examined = 0;
            var size = _wantsLarge ? Bounds.LargeBufferSize : Bounds.SmallBufferSize;
            if (_buffer.Length != size)
            {
                ReturnBuffer();
                _buffer = BufferPool.Rent(size);
            }

            return;
        }

        if (_end < _buffer.Length) return;
        var held = _end - _start;
        var target = held > _buffer.Length / 2 || _wantsLarge && _buffer.Length < Bounds.LargeBufferSize
            ? BufferPool.Rent(Math.Max(Bounds.LargeBufferSize, held * 2))
            : _buffer;
        Buffer.BlockCopy(_buffer, _start, target, 0, held);
        if (target != _buffer)
        {
            BufferPool.Return(_buffer);
            _buffer = target;
        }

        _examined -= _start;
        _start = 0;
        _end = held;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        // An array's position is its index; the highest bit only tells an end from a start.
        const int IndexMask = int.MaxValue;
        Advance(consumed.GetInteger() & IndexMask, examined.GetInteger() & IndexMask);
    }

    private void Advance(int consumed, int examined)
    {
        if (consumed < _start || examined < consumed || examined > _end) throw new ArgumentOutOfRangeException(nameof(consumed));
        _start = consumed;
        _examined = examined;
    }

    /// <summary>Consumes bytes of what the last read gave, without a position.</summary>
    public void Consume(int count) => Advance(_start + count, _start + count);

    public override void CancelPendingRead() => throw new NotSupportedException("abort the channel instead");

    public override void Complete(Exception? exception = null) => Release();

    /// <summary>Gives the buffer back, as soon as no receive fills it. The reader must not be used any more.</summary>
    public void Release()
    {
        if (!_use.TryRelease(out var idle)) return;
        Interlocked.Decrement(ref OpenCount);
        if (idle) ReturnBuffer();
    }

    private void ReturnBuffer()
    {
        BufferPool.Return(_buffer);
        _buffer = [];
        _start = _end = _examined = 0;
    }
}
