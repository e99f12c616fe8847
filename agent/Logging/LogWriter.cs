using System.Collections.Concurrent;
using System.Globalization;
using Cheops.Proto;

namespace Cheops.Agent.Logging;

/// <summary>
/// Writes lines to a stream from a thread of its own. Whoever logs never waits: when the stream is slower than the
/// lines come, lines are dropped, counted, and the count is told in the next line that gets through.
/// </summary>
public sealed class LogWriter : IDisposable
{
    private const int DisposeTimeMaxMs = 2_000;

    private readonly BlockingCollection<string> _lines;
    private readonly TextWriter _output;
    private readonly Func<long, string> _dropLine;
    private readonly Thread _thread;
    private long _dropped;
    private long _told;

    /// <summary>Starts the writer.</summary>
    /// <param name="output">Where lines go.</param>
    /// <param name="dropLine">The line, with its line feed, that tells of a number of dropped ones.</param>
    /// <param name="capacity">Lines that may wait.</param>
    public LogWriter(TextWriter output, Func<long, string> dropLine, int capacity = Bounds.LogQueueCountMax)
    {
        _lines = new BlockingCollection<string>(capacity);
        (_output, _dropLine) = (output, dropLine);
        _thread = new Thread(Run) { IsBackground = true, Name = "log" };
        _thread.Start();
    }

    /// <summary>Lines dropped since the start.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>Hands over a line, with its line feed.</summary>
    public void Write(string line)
    {
        try
        {
            if (_lines.TryAdd(line)) return;
        }
        catch (InvalidOperationException)
        {
            // The writer has ended.
        }

        Interlocked.Increment(ref _dropped);
    }

    /// <summary>Writes what waits, for at most two seconds, and ends.</summary>
    public void Dispose()
    {
        if (_lines.IsAddingCompleted) return;
        _lines.CompleteAdding();
        _ = _thread.Join(DisposeTimeMaxMs);
    }

    private void Run()
    {
        foreach (var line in _lines.GetConsumingEnumerable())
        {
            try
            {
                _output.Write(line);
                var dropped = Dropped;
                if (dropped > _told)
                {
                    _output.Write(_dropLine(dropped - _told));
                    _told = dropped;
                }

                if (_lines.Count == 0) _output.Flush();
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                // A log that nobody reads any more must not stop the agent.
                Interlocked.Increment(ref _dropped);
            }
        }
    }

    /// <summary>A number for a line, the same everywhere.</summary>
    internal static string Print(long number) => number.ToString(CultureInfo.InvariantCulture);
}
