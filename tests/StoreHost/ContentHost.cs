using System.Globalization;
using Cheops.Store.Contents;

namespace Cheops.Tests.StoreHost;

/// <summary>A content store to kill and to starve.</summary>
public static class ContentHost
{
    private const int PieceSize = 50_000;

    /// <summary>The body with this number.</summary>
    public static byte[] Body(int number)
    {
        var bytes = new byte[300_000 + (number * 997 % 500_000)];
        new Random(number).NextBytes(bytes);
        return bytes;
    }

    /// <summary>Keeps body after body until it is killed, half of them with their hash known, and tells of each when it is durable.</summary>
    internal static async Task<int> KeepAsync(string directory)
    {
        await using var store = new FileContentStore(directory, TimeProvider.System);
        var next = 1;
        while (store.Open(ContentHash.Of(Body(next))) is { } reader)
        {
            await reader.DisposeAsync();
            next++;
        }

        await Console.Out.WriteLineAsync($"open {next - 1}");
        for (; ; next++)
        {
            var body = Body(next);
            await using var writer = next % 2 == 0 ? store.Create() : store.Resume(ContentHash.Of(body), body.Length);
            if (writer.Length > 0) await Console.Out.WriteLineAsync($"resumed {next} {writer.Length}");
            while (writer.Length < body.Length)
            {
                var at = (int)writer.Length;
                await writer.AppendAsync(body.AsMemory(at, Math.Min(PieceSize, body.Length - at)));
            }

            await writer.CompleteAsync();
            await Console.Out.WriteLineAsync($"ack {next.ToString(CultureInfo.InvariantCulture)}");
        }
    }

    /// <summary>Keeps bodies until the disk is full, forgets one and keeps another.</summary>
    internal static async Task<int> FillAsync(string directory)
    {
        await using var store = new FileContentStore(directory, TimeProvider.System);
        var kept = 0;
        try
        {
            for (; ; kept++) await KeepAsync(store, Body(kept + 1));
        }
        catch (ContentException e) when (e.Error == ContentError.Full)
        {
            await Console.Out.WriteLineAsync($"full {kept} {e.Message}");
        }

        for (var i = 1; i <= kept; i++)
        {
            var read = new byte[Body(i).Length];
            await using var reader = store.Open(ContentHash.Of(Body(i)))!;
            for (var at = 0; at < read.Length;) at += await reader.ReadAsync(at, read.AsMemory(at));
            if (!read.AsSpan().SequenceEqual(Body(i))) return 1;
        }

        for (var i = 1; i <= 2; i++) store.Remove(ContentHash.Of(Body(i)));
        await KeepAsync(store, Body(kept + 1));
        await Console.Out.WriteLineAsync("recovered");
        return 0;
    }

    private static async Task KeepAsync(FileContentStore store, byte[] body)
    {
        await using var writer = store.Create();
        for (var at = 0; at < body.Length; at += PieceSize) await writer.AppendAsync(body.AsMemory(at, Math.Min(PieceSize, body.Length - at)));
        await writer.CompleteAsync();
    }
}
