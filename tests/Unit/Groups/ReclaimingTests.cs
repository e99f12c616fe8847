using Cheops.Proto;
using Cheops.Raft;
using Cheops.Store.Log;
using Cheops.Store.Log.Segments;

namespace Cheops.Tests.Unit.Groups;

/// <summary>The log is given back as it fills a small disk, and when it has become idle; what is needed stays.</summary>
public sealed class ReclaimingTests : IAsyncLifetime
{
    private const int SegmentSizeBits = 16;

    private static readonly OperationLogOptions SmallLog = new()
    {
        PageSizeBits = 14,
        MemorySizeBits = 17,
        SegmentSizeBits = SegmentSizeBits,
        InFlightSizeMax = 48 * 1024,
        ReserveSize = 32 * 1024,
    };

    private readonly RaftCluster _cluster = new(7)
    {
        Options = new GroupOptions
        {
            ElectionTimeMin = TimeSpan.FromMilliseconds(300),
            IdleTime = TimeSpan.FromMilliseconds(1000),
            ProposeTimeMax = TimeSpan.FromSeconds(4),
            LogSizeKept = 256 * 1024,
        },
    };

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _cluster.DisposeAsync();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_disk_takes_many_times_its_size(bool isFaster)
    {
        // The log that would be kept on a large disk is larger than this one.
        var options = new GroupOptions { LogSizeKept = 16 * 1024 * 1024 };
        const int EntrySize = 12_000;
        using var disk = new MemorySegmentFiles(1 << SegmentSizeBits) { SegmentsMax = 16 };
        var capacity = isFaster ? 16L << SegmentSizeBits : Bounds.LogReserveSize + (2 << Bounds.LogPageSizeBits) + (1 << 20);
        await using IOperationLog log = isFaster ? FasterOperationLog.Open(disk, null, SmallLog) : new MemoryOperationLog { Capacity = capacity };
        var machine = new ListMachine();
        await using var host = HostOf(log, new GroupLogRecovery(), _ => machine, options);
        var group = await host.FoundAsync(["A"], null);

        var refused = 0;
        for (var written = 0L; written < 6 * capacity; written += EntrySize)
        {
            for (var tries = 0; !await TryProposeAsync(group, EntrySize); tries++)
            {
                refused++;
                Assert.True(tries < 3, $"after {written} bytes nothing is taken any more: {host.DiskProblem}");
                await GiveRoomAsync();
            }

            if (host.IsRoomShort) await GiveRoomAsync();
        }

        Assert.Equal("", host.DiskProblem);
        Assert.InRange(refused, 0, 60);
        Assert.InRange(log.DiskBytes, 1, capacity);

        async Task GiveRoomAsync()
        {
            // As the table's checkpoint does.
            machine.ReplayFrom = machine.Applied[^1].Index + 1;
            await host.ReclaimAsync();
        }
    }

    [Fact]
    public async Task What_a_small_disk_was_given_back_is_not_missed_after_a_crash()
    {
        var options = new GroupOptions { LogSizeKept = 16 * 1024 * 1024 };
        var disk = new MemorySegmentFiles(1 << SegmentSizeBits) { SegmentsMax = 16 };
        var log = FasterOperationLog.Open(disk, null, SmallLog);
        var machine = new ListMachine();
        var host = HostOf(log, new GroupLogRecovery(), _ => machine, options);
        var group = await host.FoundAsync(["A"], null);
        for (var i = 0; i < 300; i++)
        {
            if (host.IsRoomShort && machine.Applied.Count > 0)
            {
                machine.ReplayFrom = machine.Applied[^1].Index + 1;
                await host.ReclaimAsync();
            }

            await group.ProposeAsync(new byte[12_000], drawsLead: true);
        }

        var (checkpoint, all) = (machine.Applied.Where(one => one.Index < machine.ReplayFrom).ToList(), machine.Applied);
        Assert.NotEmpty(checkpoint);
        using var after = disk.Crash(new Random(1));
        await host.DisposeAsync();
        await log.DisposeAsync();

        var recovery = new GroupLogRecovery();
        await using var again = FasterOperationLog.Open(after, recovery.Visit, SmallLog);
        Assert.Null(again.Recovery.Damage);
        var restarted = new ListMachine(checkpoint);
        await using var next = HostOf(again, recovery, _ => restarted, options);
        await next.Find(group.Founding.Id)!.BarrierAsync();
        Assert.Equal(all, restarted.Applied);
    }

    [Fact]
    public async Task A_follower_whose_disk_is_full_to_the_brim_gives_back_and_catches_up()
    {
        var group = await _cluster.FoundAsync("A", "B", "C");
        var id = group.Founding.Id;
        await _cluster.RunAsync(group.LeadAsync("A").AsTask());
        await _cluster.FindAsync("B", id);
        _cluster.Log("B").Capacity = 4 << 20;
        for (var i = 0; i < 60; i++) await _cluster.InsistAsync(() => group, new string('x', 100_000));
        await _cluster.UntilAsync(() => _cluster.Log("B").Room < 1_150_000, "B takes no more");
        Assert.True(_cluster.Machine("B", id).Entries.Count < 60);
        await _cluster.UntilAsync(
            () =>
            {
                if (_cluster.Machine("B", id).Applied is [.., var last]) _cluster.Machine("B", id).ReplayFrom = last.Index + 1;
                return _cluster.Machine("B", id).Applied.Count == _cluster.Machine("A", id).Applied.Count;
            },
            "B has all");
        Assert.Equal(_cluster.Machine("A", id).Applied, _cluster.Machine("B", id).Applied);
    }

    [Fact]
    public async Task What_a_burst_has_left_is_given_back_although_nobody_writes()
    {
        var group = await _cluster.FoundAsync("A");
        var machine = _cluster.Machine("A", group.Founding.Id);
        var log = _cluster.Log("A");
        for (var i = 0; i < 20; i++) await _cluster.ProposeAsync(group, new string('x', 100_000));
        await _cluster.Host("A").ReclaimAsync();
        Assert.True(log.DiskBytes > 2_000_000, "all of it is needed");
        machine.ReplayFrom = machine.Applied[^1].Index + 1;
        await _cluster.UntilAsync(() => log.DiskBytes <= 2 * _cluster.Options.LogSizeKept, "the log is given back");
        Assert.InRange(log.Tail, 2_000_000, 2_100_000);
    }

    [Fact]
    public async Task A_little_that_is_needed_holds_back_nothing_of_what_others_have_written_since()
    {
        var quiet = await _cluster.FoundAsync("A");
        var index = await _cluster.RunAsync(quiet.ProposeAsync("open"u8.ToArray()).AsTask());
        var busy = await _cluster.FoundAsync("A", "B");
        var machine = _cluster.Machine("A", busy.Founding.Id);
        for (var i = 0; i < 20; i++) await _cluster.ProposeAsync(busy, new string('x', 100_000));
        machine.ReplayFrom = machine.Applied[^1].Index + 1;
        await _cluster.Host("A").ReclaimAsync();
        Assert.InRange(_cluster.Log("A").DiskBytes, 0, 300_000);
        Assert.Equal("open"u8.ToArray(), (await quiet.ReadAsync(index)).ToArray());
    }

    [Fact]
    public async Task Who_keeps_a_full_disk_full_is_told_until_it_does_not()
    {
        var group = await _cluster.FoundAsync("A");
        var (host, log, machine) = (_cluster.Host("A"), _cluster.Log("A"), _cluster.Machine("A", group.Founding.Id));
        log.Capacity = Bounds.LogReserveSize + (2 << Bounds.LogPageSizeBits) + (1 << 20);
        var taken = 0;
        while (taken < 100 && await TryProposeAsync(group, 100_000)) taken++;
        Assert.InRange(taken, 5, 20);
        var tail = log.Tail;
        await host.ReclaimAsync();
        Assert.Contains("the group of A ", host.DiskProblem, StringComparison.Ordinal);
        Assert.Equal(tail, log.Tail);
        machine.ReplayFrom = machine.Applied[^1].Index + 1;
        await host.ReclaimAsync();
        Assert.Equal("", host.DiskProblem);
        Assert.True(await TryProposeAsync(group, 100_000));
    }

    private GroupHost HostOf(IOperationLog log, GroupLogRecovery recovery, Func<GroupFounding, IGroupMachine> machines, GroupOptions options) => new(
        log, recovery, _cluster.Network.Join("A", "A-1"), machines, new LogRetention(), TimeProvider.System, new Random(1), options);

    private static async Task<bool> TryProposeAsync(IReplicaGroup group, int size)
    {
        try
        {
            await group.ProposeAsync(new byte[size], drawsLead: true);
            return true;
        }
        catch (GroupException e) when (e.Error == GroupError.Full)
        {
            return false;
        }
    }
}
