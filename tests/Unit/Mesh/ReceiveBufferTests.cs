using Cheops.Agent.Mesh.Protocol;
using Cheops.Proto;

namespace Cheops.Tests.Unit.Mesh;

/// <summary>What the receiving side of a stream takes: to the byte.</summary>
public sealed class ReceiveBufferTests
{
    private const long Window = 100;

    private readonly WindowBudget _budget = new();
    private readonly ReceiveBuffer _buffer;

    public ReceiveBufferTests() => _buffer = new ReceiveBuffer(_budget);

    private PieceVerdict Add(long offset, int size, bool end = false, long limit = Window, LinkLane lane = LinkLane.Control) =>
        _buffer.Add(lane, offset, new byte[size], end, limit);

    [Fact]
    public void A_window_is_filled_to_its_last_byte_and_no_further()
    {
        Assert.Equal(PieceVerdict.Breach, Add(0, 101));
        Assert.Equal(PieceVerdict.Taken, Add(0, 99));
        Assert.Equal(PieceVerdict.Breach, Add(99, 2));
        Assert.Equal(PieceVerdict.Taken, Add(99, 1));
        Assert.Equal(PieceVerdict.Breach, Add(100, 1));
        Assert.Equal(100, _buffer.Readable);
    }

    [Theory]
    [InlineData(9, 5)]
    [InlineData(11, 5)]
    [InlineData(0, 10)]
    [InlineData(0, 0)]
    public void A_piece_is_taken_where_the_one_before_ended_and_nowhere_else(long offset, int size)
    {
        Assert.Equal(PieceVerdict.Taken, Add(0, 10));
        Assert.Equal(PieceVerdict.Breach, Add(offset, size));
        Assert.Equal(10, _buffer.Readable);
    }

    [Fact]
    public void Nothing_comes_behind_the_end()
    {
        Assert.Equal(PieceVerdict.Taken, Add(0, 10, end: true));
        Assert.Equal(PieceVerdict.Breach, Add(10, 1));
        Assert.Equal(PieceVerdict.Breach, Add(10, 0, end: true));
        Assert.False(_buffer.IsFinished);
        Assert.Equal(10, _buffer.Read(new byte[50]));
        Assert.True(_buffer.IsFinished);
    }

    [Fact]
    public void The_bulk_lane_waits_for_the_control_lane()
    {
        const int border = Bounds.StreamControlSizeMax;
        Assert.Equal(PieceVerdict.Breach, Add(border - 1, 10, limit: 2 * border, lane: LinkLane.Bulk));
        Assert.Equal(PieceVerdict.Taken, Add(border, 10, limit: 2 * border, lane: LinkLane.Bulk));
        Assert.Equal(0, _buffer.Readable);
        Assert.Equal(PieceVerdict.Breach, Add(0, border + 1, limit: 2 * border));
        Assert.Equal(PieceVerdict.Taken, Add(0, border, limit: 2 * border));
        Assert.Equal(border + 10, _buffer.Readable);
    }

    [Fact]
    public void What_is_read_or_given_up_is_no_longer_held()
    {
        Assert.Equal(PieceVerdict.Taken, Add(0, 60));
        Assert.Equal(60, _budget.Held);
        Assert.Equal(25, _buffer.Read(new byte[25]));
        Assert.Equal(35, _budget.Held);
        _buffer.Clear();
        Assert.Equal(0, _budget.Held);
        Assert.Equal(0, _buffer.Readable);
    }

    [Fact]
    public void A_site_that_holds_all_it_may_takes_no_more()
    {
        Assert.True(_budget.TryHold(Bounds.LinkReceivedHeldMax - 10));
        Assert.Equal(PieceVerdict.Full, Add(0, 11));
        Assert.Equal(PieceVerdict.Taken, Add(0, 10));
    }
}
