using System.Runtime.CompilerServices;
using Cheops.Proto;

namespace Cheops.Raft.Consensus;

/// <summary>A snapshot of a group's machine that is being written, of which the first piece has been asked for.</summary>
/// <param name="index">The last entry in it.</param>
/// <param name="pieces">Its pieces, at the first one.</param>
/// <param name="hasPiece">Whether there is a first one.</param>
internal sealed class MachineCapture(long index, IAsyncEnumerator<ReadOnlyMemory<byte>> pieces, bool hasPiece) : IAsyncDisposable
{
    /// <summary>Index of the last entry in it.</summary>
    public long Index => index;

    /// <summary>Begins a snapshot; nothing may be applied meanwhile.</summary>
    public static async ValueTask<MachineCapture> BeginAsync(IGroupMachine machine, long index, CancellationToken cancellation)
    {
        var pieces = machine.CaptureAsync(cancellation).GetAsyncEnumerator(cancellation);
        return new MachineCapture(index, pieces, await pieces.MoveNextAsync());
    }

    /// <summary>Its pieces with their numbers; the last one, perhaps empty, is told as such.</summary>
    public async IAsyncEnumerable<(ReadOnlyMemory<byte> Piece, long Number, bool IsLast)> PiecesAsync(
        [EnumeratorCancellation] CancellationToken cancellation)
    {
        var number = 0L;
        while (hasPiece)
        {
            cancellation.ThrowIfCancellationRequested();
            if (pieces.Current.Length > Bounds.GroupEntrySizeMax) throw new IOException("a piece of a snapshot is larger than it may be");
            yield return (pieces.Current, number++, false);
            hasPiece = await pieces.MoveNextAsync();
        }

        yield return (default, number, true);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => pieces.DisposeAsync();
}
