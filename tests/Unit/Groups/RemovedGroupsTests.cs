using Cheops.Raft;
using Cheops.Raft.Protocol;

namespace Cheops.Tests.Unit.Groups;

/// <summary>How one site tells another of groups from which a third was removed.</summary>
public sealed class RemovedGroupsTests
{
    [Fact]
    public void What_is_told_is_read_and_a_tooLongreason_is_cut_between_two_characters()
    {
        var tooLong = new string('x', RemovedGroups.ReasonSizeMax - 3) + "€€";
        var read = RemovedGroups.Read(RemovedGroups.ToBytes([new SiteRemoval(["A", "B"], ""), new SiteRemoval(["B"], tooLong), new SiteRemoval(["C"], "x" + tooLong)]))!.Value;
        Assert.Equal(["A & B ", $"B {tooLong[..^1]}", $"C x{tooLong[..^2]}"], read.Select(one => $"{string.Join(" & ", one.Sites)} {one.Reason}"));
        Assert.Equal([true, false, false], read.Select(one => one.IsDone));
    }

    [Fact]
    public void One_message_takes_no_more_than_fits_into_it()
    {
        var bytes = RemovedGroups.ToBytes(Enumerable.Repeat(new SiteRemoval(["A", "B"], new string('x', 1000)), 10_000));
        Assert.InRange(bytes.Length, Proto.Bounds.GroupMessageSizeMax - GroupFrame.HeaderSize - 300, Proto.Bounds.GroupMessageSizeMax - GroupFrame.HeaderSize);
        Assert.NotNull(RemovedGroups.Read(bytes));
    }
}
