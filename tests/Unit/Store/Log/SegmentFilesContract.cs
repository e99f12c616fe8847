using Cheops.Store.Log.Segments;
using CsCheck;

namespace Cheops.Tests.Unit.Store.Log;

/// <summary>What the files under an operation log promise.</summary>
public abstract class SegmentFilesContract
{
    protected const int SegmentSize = 1 << 13;

    /// <summary>Files without a segment.</summary>
    protected abstract ISegmentFiles Make();

    /// <summary>The same files, as the next start finds them.</summary>
    protected abstract ISegmentFiles Reopen(ISegmentFiles files);

    [Fact]
    public void What_is_written_and_synced_is_read_by_the_next_start() =>
        Gen.Select(Gen.Int[0, 2], Gen.Int[0, SegmentSize - 1], Gen.Byte.Array[0, 700]).Array[0, 12].Sample(
            writes =>
            {
                var model = new byte[3][];
                var files = Make();
                for (var i = 0; i < 3; i++)
                {
                    model[i] = new byte[SegmentSize];
                    files.Reserve(i);
                }

                foreach (var (segment, offset, written) in writes)
                {
                    var bytes = written.AsSpan(0, Math.Min(written.Length, SegmentSize - offset));
                    files.Write(segment, offset, bytes);
                    bytes.CopyTo(model[segment].AsSpan(offset));
                }

                files.Sync();
                files.Reserve(1);
                using var next = Reopen(files);
                for (var i = 0; i < 3; i++)
                {
                    var read = new byte[SegmentSize];
                    next.Read(i, 0, read);
                    Assert.True(read.AsSpan().SequenceEqual(model[i]));
                    next.Remove(i);
                }
            },
            iter: 30,
            threads: 1);

    [Fact]
    public void What_is_not_there_reads_as_zeros_and_cannot_be_written()
    {
        using var files = Make();
        var read = Enumerable.Repeat((byte)9, 100).ToArray();
        files.Read(4, 0, read);
        Assert.Equal(new byte[100], read);
        Assert.Throws<IOException>(() => files.Write(4, 0, [1]));
        Array.Fill(read, (byte)9);
        files.Reserve(4);
        files.Write(4, SegmentSize - 2, [1, 2]);
        files.Read(4, SegmentSize - 2, read);
        Assert.Equal([1, 2, .. new byte[98]], read);
    }

    [Fact]
    public void Segments_are_listed_in_order_and_removed()
    {
        using var files = Make();
        Assert.Empty(files.List());
        foreach (var segment in new[] { 10, 2, 9 }) files.Reserve(segment);
        Assert.Equal([2, 9, 10], files.List());
        files.Write(9, 0, [1]);
        files.Remove(9);
        files.Remove(9);
        files.Sync();
        Assert.Equal([2, 10], files.List());
        files.Reserve(9);
        var read = new byte[1];
        files.Read(9, 0, read);
        Assert.Equal(0, read[0]);
    }

    [Fact]
    public void Slots_are_apart_and_stay()
    {
        var files = Make();
        var read = Enumerable.Repeat((byte)9, ISegmentFiles.SlotSize).ToArray();
        files.ReadSlot(1, read);
        Assert.Equal(new byte[ISegmentFiles.SlotSize], read);
        byte[] first = [.. Enumerable.Repeat((byte)1, ISegmentFiles.SlotSize)], second = [.. Enumerable.Repeat((byte)2, ISegmentFiles.SlotSize)];
        files.WriteSlot(0, first);
        files.WriteSlot(1, second);
        using var next = Reopen(files);
        next.ReadSlot(0, read);
        Assert.Equal(first, read);
        next.ReadSlot(1, read);
        Assert.Equal(second, read);
    }
}

public sealed class MemorySegmentFilesTests : SegmentFilesContract
{
    protected override ISegmentFiles Make() => new MemorySegmentFiles(SegmentSize);

    protected override ISegmentFiles Reopen(ISegmentFiles files) => ((MemorySegmentFiles)files).Crash(new Random(1));

    [Fact]
    public void A_crash_keeps_or_drops_whole_sectors_of_what_was_not_synced()
    {
        using var files = new MemorySegmentFiles(SegmentSize);
        files.Reserve(0);
        files.Write(0, 0, Enumerable.Repeat((byte)1, SegmentSize).ToArray());
        files.Sync();
        files.Write(0, 0, Enumerable.Repeat((byte)2, SegmentSize).ToArray());
        using var after = files.Crash(new Random(3));
        var read = new byte[SegmentSize];
        after.Read(0, 0, read);
        var sectors = read.Chunk(512).ToArray();
        Assert.All(sectors, s => Assert.Single(s.Distinct()));
        Assert.Equal([1, 2], sectors.Select(s => (int)s[0]).Distinct().Order());
        Assert.Throws<IOException>(() => files.Write(0, 0, [1]));
    }
}

public sealed class DiskSegmentFilesTests : SegmentFilesContract, IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-segments-").FullName;

    protected override ISegmentFiles Make() => new DiskSegmentFiles(_directory, SegmentSize);

    protected override ISegmentFiles Reopen(ISegmentFiles files)
    {
        files.Dispose();
        return Make();
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}
