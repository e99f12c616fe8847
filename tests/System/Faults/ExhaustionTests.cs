using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Faults;

/// <summary>Attacks on memory: whatever is sent, how much an agent holds has a bound, and others are served meanwhile.</summary>
public sealed class ExhaustionTests
{
    private const long Megabyte = 1024 * 1024;

    private static async Task AssertServedAsync(ApiSites sites, long memoryMax)
    {
        Assert.Equal("Site1", (await Client.GetAsync(sites.At1, "/")).Body);
        Assert.Equal("Site2", (await Client.GetAsync(sites.At1, "/", "Site2")).Body);
        Assert.All(sites.Mesh.Sites, site => Assert.InRange(site.Agent.Memory(), 1, memoryMax));
    }

    [Fact]
    public async Task ClientsThatAskForMuchAndReadNothingHoldLittle()
    {
        const long size = 64 * Megabyte;
        await using var sites = await ApiSites.StartAsync(2, async (site, call) =>
        {
            if (call.Target != "/large")
            {
                await call.AnswerAsync(200, site);
                return;
            }

            await call.WriteAsync($"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            var part = new byte[64 * 1024];
            for (long sent = 0; sent < size; sent += part.Length) await call.Stream.WriteAsync(part);
        });
        var clients = new List<RawClient>();
        try
        {
            for (var i = 0; i < 200; i++)
            {
                var client = await RawClient.ConnectAsync(sites.At1);
                clients.Add(client);
                await client.SendAsync($"GET /large HTTP/1.1\r\nHost: a\r\nScope: Site{1 + i % 2}\r\n\r\n");
            }

            // 12 GB were asked for.
            foreach (var client in clients) Assert.Equal(200, (await client.AnswerAsync()).Status);
            await AssertServedAsync(sites, 200 * Megabyte);
        }
        finally
        {
            foreach (var client in clients) await client.DisposeAsync();
        }
    }

    [Fact]
    public async Task AMillionDistinctFieldNamesAreForgotten()
    {
        await using var sites = await ApiSites.StartAsync(2, ApiSites.Hello);
        await using var client = await RawClient.ConnectAsync(sites.At1);
        for (var request = 0; request < 10_000; request++)
        {
            var head = new StringBuilder("GET / HTTP/1.1\r\nHost: a\r\n");
            for (var field = 0; field < 100; field++) head.Append(CultureInfo.InvariantCulture, $"X-{request}-{field}: y\r\n");
            await client.SendAsync(head.Append("\r\n").ToString());
            var answer = await client.AnswerAsync();
            Assert.Equal((200, "Site1"), (answer.Status, await client.BodyAsync(answer)));
        }

        await AssertServedAsync(sites, 96 * Megabyte);
    }

    [Fact]
    public async Task BodiesOfCountlessTinyChunksAreHeldByNobody()
    {
        const int bytes = 4_000_000;
        long received = 0;
        await using var sites = await ApiSites.StartAsync(2, async (site, call) =>
        {
            if (call.Target == "/tiny") await call.SkipBodyAsync(part => Interlocked.Add(ref received, part.Length));
            await call.AnswerAsync(200, site);
        });
        await using var client = await RawClient.ConnectAsync(sites.At1);
        await client.SendAsync("POST /tiny HTTP/1.1\r\nHost: a\r\nScope: Site2\r\nTransfer-Encoding: chunked\r\n\r\n");

        // Twelve bytes for each one of the body; it might go on for ever.
        var thousand = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("1;ext=a\r\nx\r\n", 1000)));
        for (var sent = 0; sent < bytes; sent += 1000) await client.Stream.WriteAsync(thousand);
        await AssertServedAsync(sites, 96 * Megabyte);
        await client.SendAsync("0\r\n\r\n");
        var answer = await client.AnswerAsync();
        Assert.Equal((200, "Site2"), (answer.Status, await client.BodyAsync(answer)));
        Assert.Equal(bytes, Interlocked.Read(ref received));
    }

    [Fact]
    public async Task AHundredThousandWorkflowsAreForgottenInTime()
    {
        const int connections = 10;
        const int each = 10_000;
        await using var sites = await ApiSites.StartAsync(2, ApiSites.Hello);
        await Task.WhenAll(Enumerable.Range(0, connections).Select(async _ =>
        {
            await using var client = await RawClient.ConnectAsync(sites.At1);
            for (var i = 0; i < each; i += 50)
            {
                await client.SendAsync(string.Concat(Enumerable.Repeat("GET / HTTP/1.1\r\nHost: a\r\nScope: api: Site1\r\n\r\n", 50)));
                for (var answered = 0; answered < 50; answered++)
                {
                    var answer = await client.AnswerAsync();
                    Assert.Equal((200, "Site1"), (answer.Status, await client.BodyAsync(answer)));
                }
            }
        }));
        await AssertServedAsync(sites, 200 * Megabyte);
    }

    [Fact]
    public async Task AFloodUnderAMembersCredentialsHarmsNobodyElse()
    {
        await using var sites = await ApiSites.StartAsync(2, ApiSites.Hello);
        await using (var intruder = await HostileLeaf.JoinAsync(sites.Site1, "Site2"))
        {
            var random = new Random(1);

            // The agent does hear it: a frame of another version is told of.
            var newer = Frame(random, 0);
            newer[1] = 2;
            await intruder.SendAsync(sites.Site1, newer);
            await Wait.UntilAsync("the intruder is heard", () => Task.FromResult(sites.Site1.Log.Contains("Site2 is refused", StringComparison.Ordinal)), more: () => sites.Site1.Log);
            try
            {
                for (var i = 0; i < 40_000; i++)
                {
                    await intruder.SendAsync(sites.Site1, Frame(random, i % 400 == 0 ? 900_000 : random.Next(2_000)));
                    if (i % 4_000 == 0) Assert.Equal("Site1", (await Client.GetAsync(sites.At1, "/")).Body);
                }
            }
            catch (IOException)
            {
                // nats-server has cut the intruder off, which is as good.
            }

            Assert.Equal("Site1", (await Client.GetAsync(sites.At1, "/")).Body);
            Assert.InRange(sites.Site1.Agent.Memory(), 1, 200 * Megabyte);
        }

        // Whose credentials they were is itself again when the intruder is gone.
        await sites.Site1.SeesAsync("Site2", "up");
        await AssertServedAsync(sites, 200 * Megabyte);
    }

    // A frame between agents (proto/Links/LAYOUT.md) of any kind, from and to sessions that there are not, with rubbish in it.
    private static byte[] Frame(Random random, int size)
    {
        var frame = new byte[48 + size];
        random.NextBytes(frame);
        (frame[0], frame[1], frame[2], frame[3], frame[4], frame[5]) = (0xC5, 1, 0, (byte)random.Next(1, 9), (byte)random.Next(2), 48);
        BinaryPrimitives.WriteUInt64LittleEndian(frame.AsSpan(24), (ulong)random.Next(1000));
        BinaryPrimitives.WriteUInt64LittleEndian(frame.AsSpan(32), (ulong)random.Next(100_000));
        return frame;
    }
}
