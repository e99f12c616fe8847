using System.Buffers;
using Cheops.Agent.Transport;
using Cheops.Proto;
using CsCheck;

namespace Cheops.Tests.Integration.Transport;

/// <summary>
/// What every <see cref="Channel"/> promises, whatever carries it. Inherited once for each carrier: memory, sockets,
/// TLS, streams over links.
/// </summary>
public abstract class ChannelContract
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Makes two channels that are the two ends of one stream.</summary>
    protected abstract Task<(Channel Left, Channel Right)> ConnectAsync();

    /// <summary>The most bytes that may be under way while nobody reads: what the carrier and the systems below it hold.</summary>
    protected virtual int HeldSizeMax => 24 * 1024 * 1024;

    private async Task WithPairAsync(Func<Channel, Channel, Task> test)
    {
        var (left, right) = await ConnectAsync();
        try
        {
            await test(left, right).WaitAsync(Patience);
        }
        finally
        {
            await left.DisposeAsync();
            await right.DisposeAsync();
        }
    }

    // ---- ends -------------------------------------------------------------------------------------------------

    [Fact]
    public Task Each_direction_ends_in_order_after_its_last_byte() => WithPairAsync(async (left, right) =>
    {
        await left.Output.WriteAsync("question"u8.ToArray());
        await left.CompleteOutputAsync();
        Assert.Equal("question"u8.ToArray(), await Bytes.ReadAllAsync(right));
        await right.Output.WriteAsync("answer"u8.ToArray());
        await right.CompleteOutputAsync();
        Assert.Equal("answer"u8.ToArray(), await Bytes.ReadAllAsync(left));
    });

    [Fact]
    public Task An_end_without_a_byte_is_an_end() => WithPairAsync(async (left, right) =>
    {
        // A stream over a link exists once its opener has said something.
        await left.CompleteOutputAsync();
        Assert.Empty(await Bytes.ReadAllAsync(right));
        await right.CompleteOutputAsync();
        Assert.Empty(await Bytes.ReadAllAsync(left));
    });

    [Fact]
    public Task The_end_is_told_again_and_again() => WithPairAsync(async (left, right) =>
    {
        await left.Output.WriteAsync("x"u8.ToArray());
        await left.CompleteOutputAsync();
        Assert.Equal("x"u8.ToArray(), await Bytes.ReadAllAsync(right));
        for (var i = 0; i < 3; i++)
        {
            var read = await right.Input.ReadAsync();
            Assert.True(read.IsCompleted && read.Buffer.IsEmpty);
            right.Input.AdvanceTo(read.Buffer.End);
        }
    });

    [Fact]
    public Task After_one_direction_has_ended_the_other_goes_on() => WithPairAsync(async (left, right) =>
    {
        var sent = Bytes.Make(1_000_000, seed: 1);
        await left.Output.WriteAsync("no more from here"u8.ToArray());
        await left.CompleteOutputAsync();
        await Bytes.ReadAllAsync(right);
        var reading = Bytes.ReadAllAsync(left);
        for (var at = 0; at < sent.Length; at += 100_000) await right.Output.WriteAsync(sent.AsMemory(at, 100_000));
        await right.CompleteOutputAsync();
        Bytes.AssertSame(sent, await reading);
    });

    [Fact]
    public Task What_was_gathered_goes_before_the_end() => WithPairAsync(async (left, right) =>
    {
        var sent = "not flushed"u8.ToArray();
        sent.CopyTo(left.Output.GetMemory(sent.Length));
        left.Output.Advance(sent.Length);
        await left.CompleteOutputAsync();
        Assert.Equal(sent, await Bytes.ReadAllAsync(right));
    });

    [Fact]
    public Task Nothing_can_be_sent_after_our_end() => WithPairAsync(async (left, right) =>
    {
        await left.CompleteOutputAsync();
        await Assert.ThrowsAnyAsync<IOException>(async () => await left.Output.WriteAsync(new byte[10]));
        Assert.Empty(await Bytes.ReadAllAsync(right));
    });

    // ---- resets -----------------------------------------------------------------------------------------------

    [Fact]
    public Task An_abort_fails_the_reads_that_wait_at_both_ends() => WithPairAsync(async (left, right) =>
    {
        await left.Output.WriteAsync("hello"u8.ToArray());
        await Bytes.ReadExactlyAsync(right, 5);
        var (here, there) = (left.Input.ReadAsync().AsTask(), right.Input.ReadAsync().AsTask());
        left.Abort();
        await Assert.ThrowsAnyAsync<IOException>(() => here);
        await Assert.ThrowsAnyAsync<IOException>(() => there);
    });

    [Fact]
    public Task After_an_abort_every_call_fails_at_once() => WithPairAsync(async (left, right) =>
    {
        await left.Output.WriteAsync("hello"u8.ToArray());
        await Bytes.ReadExactlyAsync(right, 5);
        left.Abort();
        await Assert.ThrowsAnyAsync<IOException>(async () => await left.Input.ReadAsync());
        await Assert.ThrowsAnyAsync<IOException>(async () => await left.Output.WriteAsync(new byte[10]));
        await Assert.ThrowsAnyAsync<IOException>(async () => await left.CompleteOutputAsync());
    });

    [Theory]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(4_096, false)]
    [InlineData(4_096, true)]
    [InlineData(40_000, false)]
    [InlineData(300_000, true)]
    public async Task A_reset_never_looks_like_an_end(int size, bool byDisposing)
    {
        for (var round = 0; round < 5; round++)
        {
            await WithPairAsync(async (left, right) =>
            {
                var reading = Bytes.ReadUntilLostAsync(right);
                try
                {
                    await left.Output.WriteAsync(Bytes.Make(size, seed: size));
                }
                finally
                {
                    if (byDisposing) await left.DisposeAsync();
                    else left.Abort();
                }

                var (received, lost) = await reading;
                Assert.True(lost, $"{received} of {size} bytes came, and then an orderly end");
            });
        }
    }

    [Fact]
    public Task An_abort_fails_a_write_that_waits_here() => WithPairAsync(async (left, right) =>
    {
        await left.Output.WriteAsync("hello"u8.ToArray());
        await Bytes.ReadExactlyAsync(right, 5);
        var writing = WriteUntilLostAsync(left);
        await StalledAsync(writing.Progress);
        left.Abort();
        await Assert.ThrowsAnyAsync<IOException>(() => writing.Task);
    });

    [Fact]
    public Task An_abort_fails_a_write_that_waits_there() => WithPairAsync(async (left, right) =>
    {
        await left.Output.WriteAsync("hello"u8.ToArray());
        await Bytes.ReadExactlyAsync(right, 5);
        var writing = WriteUntilLostAsync(left);
        await StalledAsync(writing.Progress);
        right.Abort();
        await Assert.ThrowsAnyAsync<IOException>(() => writing.Task);
    });

    [Fact]
    public Task Who_writes_to_an_end_that_was_disposed_of_learns_it() => WithPairAsync(async (left, right) =>
    {
        await left.Output.WriteAsync("hello"u8.ToArray());
        await Bytes.ReadExactlyAsync(right, 5);
        await right.CompleteOutputAsync();
        await right.DisposeAsync();
        await Assert.ThrowsAnyAsync<IOException>(() => WriteUntilLostAsync(left).Task);
    });

    [Fact]
    public Task Aborting_and_disposing_can_be_repeated_in_any_order() => WithPairAsync(async (left, right) =>
    {
        await left.Output.WriteAsync("hello"u8.ToArray());
        await Bytes.ReadExactlyAsync(right, 5);
        left.Abort();
        left.Abort();
        await left.DisposeAsync();
        left.Abort();
        await left.DisposeAsync();
        await right.DisposeAsync();
        await right.DisposeAsync();
        right.Abort();
    });

    [Fact]
    public async Task Aborts_from_another_thread_meet_reads_and_writes_at_any_moment()
    {
        for (var round = 0; round < 20; round++)
        {
            await WithPairAsync(async (left, right) =>
            {
                var writing = WriteUntilLostAsync(left).Task;
                var reading = Bytes.ReadUntilLostAsync(right);
                await Task.WhenAll(Task.Run(left.Abort), Task.Run(right.Abort));
                await Assert.ThrowsAnyAsync<IOException>(() => writing);
                Assert.True((await reading).Lost);
            });
        }
    }

    // ---- back-pressure ----------------------------------------------------------------------------------------

    [Fact]
    public Task Who_writes_waits_for_who_reads() => WithPairAsync(async (left, right) =>
    {
        var total = 2 * HeldSizeMax;
        long written = 0, read = 0;
        async Task WriteAsync()
        {
            for (var piece = new byte[64 * 1024]; written < total;)
            {
                await left.Output.WriteAsync(piece);
                Interlocked.Add(ref written, piece.Length);
            }

            await left.CompleteOutputAsync();
        }

        var writing = WriteAsync();
        await StalledAsync(() => Interlocked.Read(ref written));
        Assert.InRange(Interlocked.Read(ref written), 0, HeldSizeMax);
        while (true)
        {
            var result = await right.Input.ReadAsync();
            read += result.Buffer.Length;
            Assert.InRange(Interlocked.Read(ref written) - read, -64 * 1024, HeldSizeMax);
            right.Input.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted) break;
        }

        await writing;
        Assert.Equal(total, read);
    });

    // ---- bytes ------------------------------------------------------------------------------------------------

    [Fact]
    public Task Every_size_around_the_borders_of_buffers_arrives_whole() => WithPairAsync(async (left, right) =>
    {
        int[] borders = [1, 16, Bounds.SmallBufferSize, Bounds.JoinedSendSizeMax, Bounds.LargeBufferSize, Bounds.FramePayloadSizeMax];
        foreach (var border in borders)
        {
            foreach (var size in Enumerable.Range(border - 2, 5).Where(s => s > 0))
            {
                var sent = Bytes.Make(size, seed: size);
                var writing = left.Output.WriteAsync(sent).AsTask();
                Bytes.AssertSame(sent, await Bytes.ReadExactlyAsync(right, size));
                await writing;

                // The same through the writer's own memory, in two parts, and back.
                var half = size / 2;
                right.Output.Write(sent.AsSpan(0, half));
                right.Output.Write(sent.AsSpan(half));
                var flushing = right.Output.FlushAsync().AsTask();
                Bytes.AssertSame(sent, await Bytes.ReadExactlyAsync(left, size));
                await flushing;
            }
        }
    });

    [Fact]
    public Task Large_bodies_cross_each_other_byte_for_byte() => WithPairAsync(async (left, right) =>
    {
        async Task SendAsync(Channel channel, byte[] bytes)
        {
            for (var at = 0; at < bytes.Length;)
            {
                var count = Math.Min(bytes.Length - at, 1 + (at * 7 + 3) % 200_000);
                await channel.Output.WriteAsync(bytes.AsMemory(at, count));
                at += count;
            }

            await channel.CompleteOutputAsync();
        }

        var (there, back) = (Bytes.Make(6_000_000, seed: 2), Bytes.Make(5_000_000, seed: 3));
        await left.Output.WriteAsync("!"u8.ToArray());
        await Bytes.ReadExactlyAsync(right, 1);
        var reads = Task.WhenAll(Bytes.ReadAllAsync(right), Bytes.ReadAllAsync(left));
        await Task.WhenAll(SendAsync(left, there), SendAsync(right, back));
        var received = await reads;
        Bytes.AssertSame(there, received[0]);
        Bytes.AssertSame(back, received[1]);
    });

    [Fact]
    public Task What_was_looked_at_and_not_taken_stays() => WithPairAsync(async (left, right) =>
    {
        await left.Output.WriteAsync("abc"u8.ToArray());
        var read = await right.Input.ReadAsync();
        while (read.Buffer.Length < 3)
        {
            right.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            read = await right.Input.ReadAsync();
        }

        right.Input.AdvanceTo(read.Buffer.GetPosition(1));
        Assert.True(right.Input.TryRead(out read));
        Assert.Equal("bc"u8.ToArray(), read.Buffer.ToArray());
        right.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        Assert.False(right.Input.TryRead(out _));
        var more = right.Input.ReadAsync().AsTask();
        Assert.False(more.IsCompleted);
        await left.Output.WriteAsync("d"u8.ToArray());
        Assert.Equal("bcd"u8.ToArray(), (await more).Buffer.ToArray());
        right.Input.AdvanceTo((await more).Buffer.End);
    });

    [Fact]
    public Task A_head_of_the_largest_size_can_be_held_whole() => WithPairAsync(async (left, right) =>
    {
        var head = Bytes.Make(Bounds.HeadSizeMax + Bounds.HeadAddedSizeMax, seed: 4);
        var writing = left.Output.WriteAsync(head).AsTask();
        while (true)
        {
            var read = await right.Input.ReadAsync();
            if (read.Buffer.Length == head.Length)
            {
                Bytes.AssertSame(head, read.Buffer.ToArray());
                right.Input.AdvanceTo(read.Buffer.End);
                break;
            }

            right.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }

        await writing;
    });

    [Fact]
    public async Task Any_pattern_of_writes_and_reads_carries_the_same_bytes()
    {
        var writes = Gen.Select(Gen.Int[0, 9_000], Gen.Int[0, 3]).List[1, 30];
        var takes = Gen.Int[1, 7_000].List[1, 10];
        await Gen.Select(writes, takes).SampleAsync(
            async pattern => await WithPairAsync(async (left, right) =>
            {
                var (writes, takes) = pattern;
                var sent = Bytes.Make(writes.Sum(w => w.Item1), seed: writes.Count);
                var writing = WritePatternAsync(left, sent, writes);
                var received = await ReadPatternAsync(right, takes);
                await writing;
                Bytes.AssertSame(sent, received);
            }),
            iter: 40,
            threads: 1);
    }

    private static async Task WritePatternAsync(Channel channel, byte[] bytes, List<(int Size, int Way)> writes)
    {
        var at = 0;
        foreach (var (size, way) in writes)
        {
            var piece = bytes.AsMemory(at, size);
            at += size;
            if (way == 0)
            {
                await channel.Output.WriteAsync(piece);
                continue;
            }

            piece.Span.CopyTo(channel.Output.GetSpan(size));
            channel.Output.Advance(size);
            if (way == 1) await channel.Output.FlushAsync();
        }

        await channel.CompleteOutputAsync();
    }

    // Takes at most so many bytes of each read; when that is none of it, waits for more.
    private static async Task<byte[]> ReadPatternAsync(Channel channel, List<int> takes)
    {
        var all = new ArrayBufferWriter<byte>();
        for (var i = 0; ; i++)
        {
            var read = await channel.Input.ReadAsync();
            var take = takes[i % takes.Count];
            if (i % 3 == 2 && !read.IsCompleted && read.Buffer.Length < 4_096)
            {
                channel.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                continue;
            }

            var taken = read.Buffer.Slice(0, Math.Min(take, read.Buffer.Length));
            foreach (var piece in taken) all.Write(piece.Span);
            var allTaken = taken.Length == read.Buffer.Length;
            channel.Input.AdvanceTo(taken.End);
            if (read.IsCompleted && allTaken) return all.WrittenSpan.ToArray();
        }
    }

    // ---- helpers ----------------------------------------------------------------------------------------------

    private static (Task Task, Func<long> Progress) WriteUntilLostAsync(Channel channel)
    {
        long written = 0;
        async Task WriteAsync()
        {
            await Task.Yield();
            for (var piece = new byte[64 * 1024]; ;)
            {
                await channel.Output.WriteAsync(piece);
                Interlocked.Add(ref written, piece.Length);
            }
        }

        return (WriteAsync(), () => Interlocked.Read(ref written));
    }

    // A writer that makes no progress for a while is taken to be waiting. If it was only slow, the test is weaker, not wrong.
    private static async Task StalledAsync(Func<long> progress)
    {
        for (var (last, same) = (-1L, 0); same < 10;)
        {
            await Task.Delay(20);
            var now = progress();
            same = now == last ? same + 1 : 0;
            last = now;
        }
    }
}
