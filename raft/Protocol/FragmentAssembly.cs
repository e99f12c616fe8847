using Cheops.Proto;

namespace Cheops.Raft.Protocol;

/// <summary>
/// Puts the messages of one site together that were too large for one frame. A fragment tells the message's number (A),
/// its own place (B) and the message's size (C); all but the last have <see cref="PieceSize"/> bytes. What is incomplete is
/// bounded: the oldest is given up. Called by one caller at a time.
/// </summary>
internal sealed class FragmentAssembly
{
    /// <summary>Bytes of each fragment's piece but the last.</summary>
    public const int PieceSize = Bounds.FramePayloadSizeMax - GroupFrame.HeaderSize;

    private readonly Queue<Partial> _partials = new();

    /// <summary>Bytes held for messages that are not complete.</summary>
    public int HeldSize { get; private set; }

    /// <summary>How many fragments a message takes.</summary>
    public static int CountOf(int size) => (size + PieceSize - 1) / PieceSize;

    /// <summary>Takes a fragment; gives the message when it is complete.</summary>
    public byte[]? Take(in GroupFrame fragment, ReadOnlySpan<byte> piece)
    {
        if (fragment.C is <= Bounds.FramePayloadSizeMax or > Bounds.GroupMessageSizeMax) return null;
        var size = (int)fragment.C;
        if (fragment.B >= CountOf(size)) return null;
        var offset = (int)fragment.B * PieceSize;
        if (piece.Length != Math.Min(PieceSize, size - offset)) return null;

        var partial = Find(fragment.A, size);
        if (partial.Message.Length != size || (partial.Taken & (1L << (int)fragment.B)) != 0) return null;
        piece.CopyTo(partial.Message.AsSpan(offset));
        partial.Taken |= 1L << (int)fragment.B;
        if (partial.Taken != (1L << CountOf(size)) - 1) return null;
        Remove(partial);
        return partial.Message;
    }

    private Partial Find(long number, int size)
    {
        foreach (var known in _partials)
        {
            if (known.Number == number) return known;
        }

        while (HeldSize + size > Bounds.GroupPartialSizeMax) HeldSize -= _partials.Dequeue().Message.Length;
        var partial = new Partial(number, new byte[size]);
        _partials.Enqueue(partial);
        HeldSize += size;
        return partial;
    }

    private void Remove(Partial complete)
    {
        HeldSize -= complete.Message.Length;
        for (var i = _partials.Count; i > 0; i--)
        {
            var partial = _partials.Dequeue();
            if (partial != complete) _partials.Enqueue(partial);
        }
    }

    private sealed class Partial(long number, byte[] message)
    {
        public long Number { get; } = number;

        public byte[] Message { get; } = message;

        public long Taken { get; set; }
    }
}
