using Cheops.Store.Log;

namespace Cheops.Tests.Unit.Store.Log;

public sealed class MemoryOperationLogTests : OperationLogContract
{
    protected override IOperationLog Make() => new MemoryOperationLog();

    protected override Task<IOperationLog> CrashAsync(IOperationLog log, Random chance, LogRecordVisitor visit) =>
        Task.FromResult<IOperationLog>(((MemoryOperationLog)log).Crash(chance, visit));

    protected override void Limit(IOperationLog log, long? bytes) =>
        ((MemoryOperationLog)log).Capacity = bytes is { } more ? log.DiskBytes + more : long.MaxValue;

    [Fact]
    public async Task Nothing_is_durable_before_it_is_synced()
    {
        await using var log = new MemoryOperationLog(syncsByItself: false);
        var first = await log.AppendAsync(Record(1));
        var waiting = log.WaitDurableAsync(first).AsTask();
        Assert.False(waiting.IsCompleted);
        log.Sync();
        await waiting;
        var second = log.WaitDurableAsync(await log.AppendAsync(Record(2))).AsTask();
        log.Fail();
        Assert.Equal(OperationLogError.Failed, (await Assert.ThrowsAsync<OperationLogException>(() => second)).Error);
        Assert.Equal(1UL, (await log.ReadAsync(first)).Index);
    }
}
