using Cheops.Agent.Replication;
using Cheops.Proto.Operations;
using Cheops.Raft;
using Cheops.Store.Contents;
using Cheops.Store.Log;
using Cheops.Store.Table;

namespace Cheops.Agent.Hosting;

/// <summary>What replication keeps under the data directory: the log of all groups, the replicant table, large bodies.</summary>
internal sealed class ReplicationStores : IAsyncDisposable
{
    private readonly FasterOperationLog _log;
    private readonly GroupLogRecovery _groups;
    private readonly LogRetention _retention = new();

    private ReplicationStores(FasterOperationLog log, GroupLogRecovery groups, Journal.Recovery journal, FasterReplicantTable table, FileContentStore contents)
    {
        (_log, _groups, Table, Contents) = (log, groups, table, contents);
        Journal = journal.Open(log, _retention);
    }

    /// <summary>The replicant table; whoever replicates disposes of it.</summary>
    public FasterReplicantTable Table { get; }

    /// <summary>Large bodies.</summary>
    public FileContentStore Contents { get; }

    /// <summary>This site's own notes.</summary>
    public Journal Journal { get; }

    /// <summary>Opens everything; what a crash left is repaired. Data that have lost what others were told of get a new incarnation.</summary>
    /// <param name="data">The data directory.</param>
    /// <param name="time">The clock.</param>
    /// <param name="tell">Told what was recovered.</param>
    /// <param name="warn">Told what was found damaged.</param>
    /// <exception cref="IOException">Something cannot be opened; the message says what and what to do.</exception>
    public static async ValueTask<ReplicationStores> OpenAsync(DataDirectory data, TimeProvider time, Action<string> tell, Action<string> warn)
    {
        var begun = time.GetTimestamp();
        var (log, groups, journal) = OpenLog();
        var table = FasterReplicantTable.Open(data.PathOf("table"));
        if (table.Damage is { } damage) warn($"the replicant table was begun anew, and is filled from the groups' logs: {damage}");
        var marks = CheckpointMark.Read(table.Mark);
        if (groups.Lacks(group => marks.GetValueOrDefault(group, 1)))
        {
            // Only the other sites have it still, and give it to data that begin anew. A crash after this finds no log, or a damaged one.
            warn("the operation log does not go back to where the replicant table would have to be filled from: it is begun anew too");
            await log.DisposeAsync();
            Directory.Delete(data.PathOf("log"), recursive: true);
            (log, groups, journal) = OpenLog();
        }

        var stores = new ReplicationStores(log, groups, journal, table, new FileContentStore(data.PathOf("contents"), time));
        tell(
            $"recovered {log.Recovery.Records} records of the operation log ({log.DiskBytes >> 20} MiB), groups: {groups.GroupCount}, "
            + $"and {table.Count} entries of the replicant table ({table.DiskBytes >> 20} MiB) in {time.GetElapsedTime(begun).TotalMilliseconds:F0} ms");
        return stores;

        (FasterOperationLog Log, GroupLogRecovery Groups, Journal.Recovery Journal) OpenLog()
        {
            var (found, notes) = (new GroupLogRecovery(), new Journal.Recovery());
            return (FasterOperationLog.Open(data.PathOf("log"), Visit, beforeRepair: Renew), found, notes);

            void Visit(long position, in LogRecord record, ReadOnlySpan<byte> payload)
            {
                found.Visit(position, record, payload);
                notes.Visit(position, record, payload);
            }
        }

        // Votes and acknowledgements may be among what is lost: these are other data now, and the others let the site in again. Known
        // before the log looks whole again: a crash in between finds the same.
        void Renew(LogDamage? lost)
        {
            if (lost is null && data.IsNew) return;
            var hadLog = lost is not null || Directory.Exists(data.PathOf("table"));
            data.Renew();
            if (hadLog) warn($"{lost?.ToString() ?? "the operation log is gone"}; this site has a new incarnation and votes in no group before the others have let it in again");
        }
    }

    /// <summary>Opens the groups.</summary>
    public ValueTask<IGroupHost> OpenHost(IGroupTransport transport, Func<GroupFounding, IGroupMachine> machines, TimeProvider time) =>
        new(new GroupHost(_log, _groups, transport, machines, _retention, time, Random.Shared));

    /// <summary>Bytes that the log takes on disk.</summary>
    public long LogDiskBytes => _log.DiskBytes;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _log.DisposeAsync();
        await Contents.DisposeAsync();
    }
}
