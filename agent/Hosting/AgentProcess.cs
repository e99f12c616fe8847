using Cheops.Agent.Logging;
using Cheops.Agent.Settings;
using Microsoft.Extensions.Logging;

namespace Cheops.Agent.Hosting;

/// <summary>
/// The life of <c>cheops agent</c>: settings are read, the data directory is locked, the agent starts, the service
/// manager is told, signals are obeyed, the agent drains.
/// </summary>
/// <param name="compose">Makes the agent.</param>
/// <param name="time">The clock.</param>
public sealed partial class AgentProcess(Func<AgentContext, IAgent> compose, TimeProvider time)
{
    /// <summary>Must run before the process makes its first socket: completions run on the thread that polls them (ARCHITECTURE.md).</summary>
    public static void PrepareSockets()
    {
        Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
        if (Environment.GetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT") is null)
            Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT", "1");
    }

    /// <summary>Runs an agent until it is asked to end.</summary>
    /// <param name="settings">The settings it starts with, checked.</param>
    /// <param name="readAgain">Reads the settings again; null when they have a mistake, which it has told of by itself.</param>
    /// <param name="environment">The process's environment.</param>
    /// <param name="logOutput">Where the log goes.</param>
    /// <returns>0 after an orderly end; 1 when it could not start, or was asked twice to end.</returns>
    public async Task<int> RunAsync(
        AgentSettings settings,
        Func<ILogger, AgentSettings?> readAgain,
        IReadOnlyDictionary<string, string> environment,
        TextWriter logOutput)
    {
        using var signals = new ProcessSignals();
        using var manager = ServiceManager.From(environment, Environment.ProcessId, time);
        var forJournal = environment.ContainsKey("JOURNAL_STREAM");
        using var logs = new LogFactory(logOutput, new LineFormat(forJournal), time, settings.LogLevel);
        var log = logs.CreateLogger("agent");
        try
        {
            using var data = DataDirectory.Open(settings.DataDirectory);
            await using var agent = compose(new AgentContext { Settings = settings, Log = logs, Time = time, Data = data });
            await agent.StartAsync(CancellationToken.None);
            Started(log, settings.Site, string.Join(",", settings.Services.Select(service => service.Name)), settings.Mesh.Peers.Length, AgentVersion.Text, data.Incarnation);
            return await ServeAsync(agent, settings.Site, signals, manager, logs, log, readAgain);
        }
        catch (IOException e)
        {
            NotStarted(log, e.Message);
            return 1;
        }
    }

    private async Task<int> ServeAsync(
        IAgent agent, string site, ProcessSignals signals, ServiceManager manager, LogFactory logs, ILogger log, Func<ILogger, AgentSettings?> readAgain)
    {
        var status = $"{site}: serving {string.Join(", ", agent.Status.Readiness.Services)}";
        manager.Ready(status);
        await using var started = time.CreateTimer(static _ => StartPages.GiveBack(), null, StartPages.After, Timeout.InfiniteTimeSpan);
        using var ending = new CancellationTokenSource();
        var watchdog = Watchdog.RunAsync(manager, agent.IsAliveAsync, time, ending.Token);
        var reloading = ReloadAsync(agent, status, signals, manager, logs, log, readAgain, ending.Token);
        await signals.Stop;

        manager.Stopping($"{site}: draining");
        Draining(log);
        var drained = agent.DrainAsync();
        var inTime = await Task.WhenAny(drained, signals.StopNow) == drained;
        if (inTime) await drained;
        await ending.CancelAsync();
        await Task.WhenAll(watchdog, reloading);
        Ended(log);
        return inTime ? 0 : 1;
    }

    private static async Task ReloadAsync(
        IAgent agent, string status, ProcessSignals signals, ServiceManager manager, LogFactory logs, ILogger log,
        Func<ILogger, AgentSettings?> readAgain, CancellationToken ending)
    {
        try
        {
            while (true)
            {
                await signals.ReloadAsync(ending);
                manager.Reloading();
                if (readAgain(log) is { } settings)
                {
                    logs.Level = settings.LogLevel;
                    await agent.ReloadAsync(settings);
                    Reloaded(log);
                }

                manager.Ready(status);
            }
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // The end that was asked for.
        }
    }

    [LoggerMessage(EventId = 1, EventName = "Started", Level = LogLevel.Information, Message = "the agent serves")]
    private static partial void Started(ILogger log, string site, string services, int peers, string version, string incarnation);

    [LoggerMessage(EventId = 2, EventName = "NotStarted", Level = LogLevel.Error, Message = "the agent cannot start: {Reason}")]
    private static partial void NotStarted(ILogger log, string reason);

    [LoggerMessage(EventId = 3, EventName = "Draining", Level = LogLevel.Information, Message = "asked to end: nothing new is taken, what is under way finishes")]
    private static partial void Draining(ILogger log);

    [LoggerMessage(EventId = 4, EventName = "Ended", Level = LogLevel.Information, Message = "the agent ended")]
    private static partial void Ended(ILogger log);

    [LoggerMessage(EventId = 5, EventName = "Reloaded", Level = LogLevel.Information, Message = "settings and certificates were read again")]
    private static partial void Reloaded(ILogger log);
}
