using System.Globalization;
using Cheops.Proto.Http;

namespace Cheops.Agent.Interception;

/// <summary>The encoded <c>Date</c> field of the present second, made once a second and shared by all connections.</summary>
internal sealed class DateLine(TimeProvider time)
{
    private Second _last = new(-1, []);

    /// <summary>The line, with its CR LF.</summary>
    public ReadOnlySpan<byte> Now
    {
        get
        {
            var now = time.GetUtcNow();
            var number = now.UtcTicks / TimeSpan.TicksPerSecond;
            var last = Volatile.Read(ref _last);
            if (last.Number == number) return last.Line;
            var line = FieldLines.Encode("Date", now.ToString("R", CultureInfo.InvariantCulture));
            Volatile.Write(ref _last, new Second(number, line));
            return line;
        }
    }

    private sealed record Second(long Number, byte[] Line);
}
