using System.Buffers;
using Cheops.Agent.Mesh;
using Cheops.Agent.Transport;
using Cheops.Proto;

namespace Cheops.Tests.Integration.Mesh;

/// <summary>What every mesh keeps, whatever carries it.</summary>
public abstract class MeshContract : IAsyncLifetime
{
    /// <summary>Starts the agents' meshes of these sites, each with all others as peers.</summary>
    protected abstract Task<Dictionary<string, MeshNode>> StartAsync(Func<InboundStream, Task> handler, params string[] sites);

    /// <summary>Ends one site, as when its machine is switched off in an orderly way.</summary>
    protected abstract Task StopAsync(string site);

    public virtual Task InitializeAsync() => Task.CompletedTask;

    public abstract Task DisposeAsync();

    protected static SiteStatus StatusOf(MeshNode at, string site) => at.Sites.First(status => status.Name == site);

    protected static async Task Until(Func<bool> condition, string what)
    {
        var end = DateTime.UtcNow + TimeSpan.FromSeconds(30);
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < end, $"within 30 s: {what}");
            await Task.Delay(20);
        }
    }

    protected async Task<Dictionary<string, MeshNode>> StartUpAsync(Func<InboundStream, Task> handler, params string[] sites)
    {
        var nodes = await StartAsync(handler, sites);
        await Until(() => nodes.Values.All(node => node.Sites.All(site => site.State == SiteState.Up)), "all sites see each other");
        return nodes;
    }

    internal static async Task EchoAsync(InboundStream inbound)
    {
        await using var channel = inbound.Channel;
        try
        {
            while (true)
            {
                var read = await channel.Input.ReadAsync();
                foreach (var piece in read.Buffer) await channel.Output.WriteAsync(piece);
                channel.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) break;
            }

            await channel.CompleteOutputAsync();
        }
        catch (IOException)
        {
            // The other end sees it too.
        }
    }

    internal static async Task<byte[]> ReadAllAsync(Channel channel)
    {
        var all = new ArrayBufferWriter<byte>();
        while (true)
        {
            var read = await channel.Input.ReadAsync();
            foreach (var piece in read.Buffer) all.Write(piece.Span);
            channel.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return all.WrittenSpan.ToArray();
        }
    }

    internal static async Task<bool> RoundTripAsync(MeshNode from, string to, int size)
    {
        var sent = new byte[size];
        new Random(size).NextBytes(sent);
        await using var channel = from.OpenStream(to, new StreamOpening { Service = "echo" });
        var reading = ReadAllAsync(channel);
        await channel.Output.WriteAsync(sent);
        await channel.CompleteOutputAsync();
        var echoed = await reading.WaitAsync(TimeSpan.FromSeconds(60));
        return sent.AsSpan().SequenceEqual(echoed);
    }

    [Fact]
    public async Task Streams_of_all_sizes_carry_bytes_between_every_pair_of_three_sites()
    {
        var nodes = await StartUpAsync(EchoAsync, "Site1", "Site2", "Site3");
        foreach (var (from, node) in nodes)
        {
            foreach (var to in nodes.Keys.Where(site => site != from))
            {
                foreach (var size in (int[])[0, 5, 65_536, 65_537, 2_000_000]) Assert.True(await RoundTripAsync(node, to, size), $"{from} to {to}, {size} bytes");
            }
        }

        Assert.True(StatusOf(nodes["Site1"], "Site2").RoundTrip > TimeSpan.Zero);
        Assert.All(nodes.Values, node => Assert.All(node.Traffic, link => Assert.Equal(0, link.Streams)));
    }

    [Fact]
    public async Task Hundreds_of_streams_go_at_once()
    {
        var nodes = await StartUpAsync(EchoAsync, "Site1", "Site2");
        var streams = Enumerable.Range(0, 300).Select(i => RoundTripAsync(nodes["Site1"], "Site2", 1 + i * 700));
        Assert.All(await Task.WhenAll(streams), Assert.True);
    }

    [Fact]
    public async Task Thousands_of_streams_are_open_at_once()
    {
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var open = 0;
        const int count = 3_000;
        var nodes = await StartUpAsync(
            async inbound =>
            {
                if (Interlocked.Increment(ref open) == count) all.SetResult();
                await all.Task;
                await EchoAsync(inbound);
            },
            "Site1",
            "Site2");
        var streams = Enumerable.Range(0, count).Select(i => RoundTripAsync(nodes["Site1"], "Site2", 1 + i % 100)).ToArray();
        await all.Task.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.All(await Task.WhenAll(streams).WaitAsync(TimeSpan.FromSeconds(60)), Assert.True);
        await Until(() => nodes.Values.All(node => node.Traffic.Single().Streams == 0), "no stream is left");
    }

    [Fact]
    public async Task Many_threads_open_and_use_streams_at_once()
    {
        var nodes = await StartUpAsync(EchoAsync, "Site1", "Site2");
        var workers = Enumerable.Range(0, 64).Select(worker => Task.Run(async () =>
        {
            for (var i = 0; i < 50; i++) Assert.True(await RoundTripAsync(nodes[worker % 2 == 0 ? "Site1" : "Site2"], worker % 2 == 0 ? "Site2" : "Site1", i * 7));
        }));
        await Task.WhenAll(workers).WaitAsync(TimeSpan.FromSeconds(120));
        await Until(() => nodes.Values.All(node => node.Traffic.Single().Streams == 0), "no stream is left");
    }

    [Fact]
    public async Task A_site_that_goes_is_down_and_what_was_open_is_lost()
    {
        var nodes = await StartUpAsync(EchoAsync, "Site1", "Site2");
        var one = nodes["Site1"];
        await using var channel = one.OpenStream("Site2", new StreamOpening { Service = "echo" });
        await channel.Output.WriteAsync("hello"u8.ToArray());
        var first = await channel.Input.ReadAsync();
        channel.Input.AdvanceTo(first.Buffer.End);
        var pending = channel.Input.ReadAsync();
        await StopAsync("Site2");
        var lost = await Assert.ThrowsAsync<LinkException>(async () => await pending.AsTask().WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(LinkError.LinkLost, lost.Error);
        await Until(() => StatusOf(one, "Site2").State == SiteState.Down, "the site is down");
        var refused = Assert.Throws<LinkException>(() => one.OpenStream("Site2", new StreamOpening { Service = "echo" }));
        Assert.Equal(LinkError.SiteDown, refused.Error);
        Assert.True(refused.NothingExecuted);
    }

    [Fact]
    public async Task An_opening_says_what_it_said_and_who_sent_it()
    {
        InboundStream? got = null;
        var nodes = await StartUpAsync(
            inbound =>
            {
                got = inbound;
                return EchoAsync(inbound);
            },
            "Site1",
            "Site2");
        var opening = new StreamOpening
        {
            Service = "glance",
            Workflow = new WorkflowOrigin("0123456789abcdef0123456789abcdef", "{glance: Site2, nova: Site1}"),
            User = new UserIdentity("jane", ["admins", "system:authenticated"]),
            ClientAddress = "192.0.2.7",
            Scheme = "https",
        };
        await using var channel = nodes["Site1"].OpenStream("Site2", opening);
        await channel.CompleteOutputAsync();
        Assert.Empty(await ReadAllAsync(channel));
        Assert.Equal("Site1", got!.FromSite);
        Assert.Equal(opening with { User = null }, got.Opening with { User = null });
        Assert.Equal("jane", got.Opening.User!.Name);
        Assert.Equal(opening.User.Groups.AsEnumerable(), got.Opening.User.Groups);
    }

    [Fact]
    public async Task Messages_and_draining_reach_the_other_site()
    {
        var nodes = await StartUpAsync(EchoAsync, "Site1", "Site2");
        var got = new TaskCompletionSource<(string, ulong, byte[])>();
        nodes["Site2"].MessageHandler = (site, channel, message) => got.TrySetResult((site, channel, message.ToArray()));
        var sent = new byte[Bounds.FramePayloadSizeMax];
        new Random(1).NextBytes(sent);
        await nodes["Site1"].SendMessageAsync("Site2", 7, sent, TimeSpan.FromSeconds(5));
        var (from, channel, message) = await got.Task.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(("Site1", 7UL), (from, channel));
        Assert.Equal(sent, message);
        nodes["Site2"].Drain();
        await Until(() => StatusOf(nodes["Site1"], "Site2").State == SiteState.Draining, "draining is known");
        Assert.Equal(LinkError.Draining, Assert.Throws<LinkException>(() => nodes["Site1"].OpenStream("Site2", new StreamOpening { Service = "echo" })).Error);
    }
}
