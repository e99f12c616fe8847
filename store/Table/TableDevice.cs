using FASTER.core;

namespace Cheops.Store.Table;

/// <summary>
/// FASTER's view of the table's segments. It works on the thread that asks, and never tells FASTER of an error, which
/// would wait for ever or read what is not there: a read that fails gives zeros, a write that fails is dropped, and the
/// table asks here what happened.
/// </summary>
internal sealed class TableDevice(CheckedSegmentFiles files)
    : StorageDeviceBase("table", sectorSize: CheckedSegmentFiles.BlockSize, Devices.CAPACITY_UNSPECIFIED)
{
    private int _readFailures;

    /// <summary>The first write that failed: after it nobody knows what is on the disk.</summary>
    public Exception? WriteFailure { get; private set; }

    /// <summary>The last read that failed.</summary>
    public Exception? ReadFailure { get; private set; }

    /// <summary>What is read waits until this has checked it, and fails when it will not; null when all is checked.</summary>
    public TableCheck? Check { get; set; }

    /// <summary>How many reads failed.</summary>
    public int ReadFailures => Volatile.Read(ref _readFailures);

    public override unsafe void WriteAsync(
        IntPtr sourceAddress, int segmentId, ulong destinationAddress, uint numBytesToWrite, DeviceIOCompletionCallback callback, object context)
    {
        try
        {
            if (WriteFailure is null) files.Write(segmentId, (long)destinationAddress, new ReadOnlySpan<byte>((void*)sourceAddress, (int)numBytesToWrite));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            WriteFailure = e;
        }

        callback(0, numBytesToWrite, context);
    }

    public override unsafe void ReadAsync(
        int segmentId, ulong sourceAddress, IntPtr destinationAddress, uint readLength, DeviceIOCompletionCallback callback, object context)
    {
        var bytes = new Span<byte>((void*)destinationAddress, (int)readLength);
        try
        {
            if (Check?.Reaches((segmentId * files.SegmentSize) + (long)sourceAddress + readLength) == false)
                throw new SegmentDamagedException("what is asked for comes after what is damaged");
            files.Read(segmentId, (long)sourceAddress, bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            bytes.Clear();
            ReadFailure = e;
            Interlocked.Increment(ref _readFailures);
        }

        callback(0, readLength, context);
    }

    public override void RemoveSegment(int segment)
    {
        // Segments go when a checkpoint that does not need them is durable.
    }

    public override void RemoveSegmentAsync(int segment, AsyncCallback callback, IAsyncResult result) => callback(result);

    public override void Dispose()
    {
        // The files belong to the table.
    }
}
