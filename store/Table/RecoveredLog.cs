using FASTER.core;

namespace Cheops.Store.Table;

/// <summary>
/// Tells FASTER where the log of a table lies that it recovers. Checkpoints are ours (<see cref="TableCheckpoints"/>):
/// all that was written before one is flushed, so FASTER needs nothing but the positions.
/// </summary>
internal sealed class RecoveredLog(TableExtent at) : ICheckpointManager
{
    private static readonly Guid Token = new(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

    public IEnumerable<Guid> GetLogCheckpointTokens() => [Token];

    public byte[] GetLogCheckpointMetadata(Guid logToken, DeltaLog deltaLog, bool scanDelta = false, long recoverTo = -1)
    {
        var info = new HybridLogRecoveryInfo();
        info.Initialize(Token, 1);
        info.nextVersion = 2;
        info.beginAddress = info.headAddress = at.Begin;
        info.startLogicalAddress = info.finalLogicalAddress = info.flushedLogicalAddress = at.Until;
        return info.ToByteArray();
    }

    public IEnumerable<Guid> GetIndexCheckpointTokens() => [];

    public IDevice GetDeltaLogDevice(Guid token) => null!;

    public void OnRecovery(Guid indexToken, Guid logToken)
    {
        // Nothing is left over to tidy.
    }

    public byte[] GetIndexCheckpointMetadata(Guid indexToken) => throw Unused();

    public IDevice GetIndexDevice(Guid indexToken) => throw Unused();

    public IDevice GetSnapshotLogDevice(Guid token) => throw Unused();

    public IDevice GetSnapshotObjectLogDevice(Guid token) => throw Unused();

    public void InitializeIndexCheckpoint(Guid indexToken) => throw Unused();

    public void InitializeLogCheckpoint(Guid logToken) => throw Unused();

    public void CommitIndexCheckpoint(Guid indexToken, byte[] commitMetadata) => throw Unused();

    public void CommitLogCheckpoint(Guid logToken, byte[] commitMetadata) => throw Unused();

    public void CommitLogIncrementalCheckpoint(Guid logToken, long version, byte[] commitMetadata, DeltaLog deltaLog) => throw Unused();

    public void CheckpointVersionShift(long oldVersion, long newVersion) => throw Unused();

    public void Purge(Guid token) => throw Unused();

    public void PurgeAll() => throw Unused();

    private static NotSupportedException Unused() => new("FASTER takes no checkpoints of the table");

    public void Dispose()
    {
        // Holds nothing.
    }
}
