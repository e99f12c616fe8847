using Microsoft.Extensions.Logging;

namespace Cheops.Agent.Logging;

/// <summary>Makes the loggers of an agent: all write through one <see cref="LogWriter"/> and obey one level.</summary>
public sealed class LogFactory : ILoggerFactory
{
    private readonly LogWriter _writer;
    private readonly LineFormat _format;
    private readonly TimeProvider _time;

    /// <summary>A factory.</summary>
    /// <param name="output">Where lines go; standard error in an agent.</param>
    /// <param name="format">How they look.</param>
    /// <param name="time">Their times.</param>
    /// <param name="level">The least important that are written.</param>
    public LogFactory(TextWriter output, LineFormat format, TimeProvider time, LogLevel level)
    {
        (_format, _time, Level) = (format, time, level);
        _writer = new LogWriter(output, DropLine);
    }

    /// <summary>The least important lines that are written; may be set while the agent runs.</summary>
    public LogLevel Level { get; set; }

    /// <summary>Lines that were dropped, since what reads them was too slow.</summary>
    public long Dropped => _writer.Dropped;

    /// <summary>The logger of a part of the agent.</summary>
    /// <param name="categoryName">The part, such as <c>mesh</c>; of a type's full name, its last word.</param>
    public ILogger CreateLogger(string categoryName) => new PartLogger(this, categoryName[(categoryName.LastIndexOf('.') + 1)..]);

    /// <summary>Not for a program of one provider.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("An agent's log has one provider.");

    /// <summary>Writes what waits and ends.</summary>
    public void Dispose() => _writer.Dispose();

    private string DropLine(long count) => _format.Format(
        _time.GetUtcNow(), LogLevel.Warning, "log", "LinesDropped", $"{LogWriter.Print(count)} lines were dropped: what reads them is too slow", null, null);

    private sealed class PartLogger(LogFactory factory, string part) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= factory.Level && logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel)) return;
            var line = factory._format.Format(
                factory._time.GetUtcNow(),
                logLevel,
                part,
                eventId.Name ?? "",
                formatter(state, exception),
                state as IEnumerable<KeyValuePair<string, object?>>,
                exception);
            factory._writer.Write(line);
        }
    }
}
