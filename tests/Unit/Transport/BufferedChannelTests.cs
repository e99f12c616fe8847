using System.Buffers;
using Cheops.Agent.Transport;
using Cheops.Proto;

namespace Cheops.Tests.Unit.Transport;

/// <summary>How a channel uses its transport: how many sends, into which buffers, and when those may be used by others.</summary>
public sealed class BufferedChannelTests
{
    [Fact]
    public async Task A_head_and_a_small_body_are_one_send()
    {
        var transport = new ScriptedTransport();
        var channel = new BufferedChannel(transport);
        channel.Output.Write("head"u8);
        await channel.Output.WriteAsync("body"u8.ToArray());
        Assert.Equal(["headbody"], transport.SentTexts);
    }

    [Fact]
    public async Task A_large_block_is_sent_from_where_it_is()
    {
        var transport = new ScriptedTransport();
        var channel = new BufferedChannel(transport);
        var block = new byte[Bounds.LargeBufferSize];
        channel.Output.Write("head"u8);
        await channel.Output.WriteAsync(block);
        Assert.Equal(2, transport.Sent.Count);
        Assert.True(System.Runtime.InteropServices.MemoryMarshal.TryGetArray(transport.Sent[1], out var sent));
        Assert.Same(block, sent.Array);
    }

    [Fact]
    public async Task Nothing_gathered_is_nothing_sent()
    {
        var transport = new ScriptedTransport();
        var channel = new BufferedChannel(transport);
        await channel.Output.FlushAsync();
        await channel.Output.WriteAsync(ReadOnlyMemory<byte>.Empty);
        Assert.Empty(transport.Sent);
    }

    [Fact]
    public async Task What_a_lost_send_carried_is_not_sent_again()
    {
        var transport = new ScriptedTransport();
        var channel = new BufferedChannel(transport);
        channel.Output.Write("lost"u8);
        transport.FailSends = true;
        await Assert.ThrowsAsync<IOException>(async () => await channel.Output.FlushAsync());
        Assert.Equal(0, channel.Output.UnflushedBytes);
        transport.FailSends = false;
        await channel.Output.FlushAsync();
        Assert.Empty(transport.Sent);
    }

    [Fact]
    public async Task Reads_that_fill_their_buffer_get_a_large_one_and_idle_ones_a_small_one()
    {
        var transport = new ScriptedTransport();
        var channel = new BufferedChannel(transport);
        List<int> rooms = [];
        foreach (var given in new[] { int.MaxValue, int.MaxValue, 10, 10 })
        {
            var reading = channel.Input.ReadAsync();
            rooms.Add(transport.Receiving.Length);
            transport.Give(Math.Min(given, transport.Receiving.Length));
            channel.Input.AdvanceTo((await reading).Buffer.End);
        }

        Assert.Equal([Bounds.SmallBufferSize, Bounds.LargeBufferSize, Bounds.LargeBufferSize, Bounds.SmallBufferSize], rooms);
    }

    [Fact]
    public async Task A_buffer_that_is_still_received_into_is_not_given_to_others()
    {
        var transport = new ScriptedTransport();
        var channel = new BufferedChannel(transport);
        var reading = channel.Input.ReadAsync();
        var filled = transport.Receiving;
        await channel.DisposeAsync();
        var others = Enumerable.Range(0, Bounds.SmallBufferCountMax + 1).Select(_ => BufferPool.Rent(Bounds.SmallBufferSize)).ToList();
        Assert.True(System.Runtime.InteropServices.MemoryMarshal.TryGetArray<byte>(filled, out var array));
        Assert.DoesNotContain(others, other => ReferenceEquals(other, array.Array));
        others.ForEach(BufferPool.Return);

        // What comes after all is not shown: its buffer may be another's by then.
        transport.Give(5);
        await Assert.ThrowsAsync<IOException>(async () => await reading);
    }

    [Fact]
    public async Task A_buffer_that_is_still_sent_from_is_not_given_to_others()
    {
        var transport = new ScriptedTransport { HoldSends = true };
        var channel = new BufferedChannel(transport);
        channel.Output.Write("slow"u8);
        var sending = channel.Output.FlushAsync();
        await channel.DisposeAsync();
        var others = Enumerable.Range(0, Bounds.SmallBufferCountMax + 1).Select(_ => BufferPool.Rent(Bounds.SmallBufferSize)).ToList();
        Assert.True(System.Runtime.InteropServices.MemoryMarshal.TryGetArray(transport.Sent[0], out var array));
        Assert.DoesNotContain(others, other => ReferenceEquals(other, array.Array));
        others.ForEach(BufferPool.Return);
        transport.Release();
        await sending;
        Assert.Throws<IOException>(() => channel.Output.GetSpan(1));
    }

    [Fact]
    public async Task With_very_many_channels_those_that_wait_hold_no_buffer()
    {
        var many = Enumerable.Range(0, Bounds.BufferedIdleChannelsMax + 1).Select(_ => new BufferedChannel(new ScriptedTransport())).ToList();
        var transport = new ScriptedTransport();
        var lean = new BufferedChannel(transport);
        var reading = lean.Input.ReadAsync();
        Assert.Equal(0, transport.Receiving.Length);
        transport.Give(0);
        Assert.Equal(Bounds.SmallBufferSize, transport.Receiving.Length);
        transport.Give(3);
        Assert.Equal(3, (await reading).Buffer.Length);
        foreach (var channel in many) await channel.DisposeAsync();
        await lean.DisposeAsync();
    }

    [Fact]
    public async Task Positions_that_were_not_read_are_refused()
    {
        var transport = new ScriptedTransport();
        var channel = new BufferedChannel(transport);
        var reading = channel.Input.ReadAsync();
        transport.Give(10);
        var buffer = (await reading).Buffer;
        channel.Input.AdvanceTo(buffer.GetPosition(5));
        Assert.Throws<ArgumentOutOfRangeException>(() => channel.Input.AdvanceTo(buffer.GetPosition(4)));
        Assert.Throws<ArgumentOutOfRangeException>(() => channel.Input.AdvanceTo(buffer.GetPosition(7), buffer.GetPosition(6)));
    }
}

/// <summary>A transport whose receives end when the test says so, and whose sends can be seen.</summary>
internal sealed class ScriptedTransport : ByteTransport
{
    private TaskCompletionSource<int>? _receive;
    private TaskCompletionSource? _send;

    public List<ReadOnlyMemory<byte>> Sent { get; } = [];

    public List<string> SentTexts { get; } = [];

    public bool FailSends { get; set; }

    public bool HoldSends { get; set; }

    /// <summary>The buffer of the receive that waits.</summary>
    public Memory<byte> Receiving { get; private set; }

    public void Give(int count)
    {
        var receive = _receive!;
        _receive = null;
        receive.SetResult(count);
    }

    public void Release() => _send!.SetResult();

    public override ValueTask<int> ReceiveAsync(Memory<byte> buffer)
    {
        Receiving = buffer;
        _receive = new TaskCompletionSource<int>();
        return new ValueTask<int>(_receive.Task);
    }

    public override ValueTask SendAsync(ReadOnlyMemory<byte> data)
    {
        if (FailSends) throw new IOException("lost");
        Sent.Add(data);
        SentTexts.Add(System.Text.Encoding.ASCII.GetString(data.Span));
        if (!HoldSends) return ValueTask.CompletedTask;
        _send = new TaskCompletionSource();
        return new ValueTask(_send.Task);
    }

    public override ValueTask EndSendAsync() => ValueTask.CompletedTask;

    public override void Abort()
    {
        // The system takes a moment until the calls under way fail: the test says when.
    }

    protected override void Dispose(bool disposing)
    {
    }
}
