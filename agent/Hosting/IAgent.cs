using Cheops.Agent.Api;
using Cheops.Agent.Settings;
using Microsoft.Extensions.Logging;

namespace Cheops.Agent.Hosting;

/// <summary>One agent, composed and not yet started. Whole agents can run in one process, each with its own context.</summary>
public interface IAgent : IAsyncDisposable
{
    /// <summary>What it tells of itself.</summary>
    IAgentStatus Status { get; }

    /// <summary>Binds all listeners and begins to serve.</summary>
    /// <exception cref="IOException">An address cannot be bound, or the mesh cannot be started; the message says what to do.</exception>
    Task StartAsync(CancellationToken cancellation);

    /// <summary>Takes over what can change while it runs; says in the log what cannot.</summary>
    /// <param name="settings">The settings as they are now, checked.</param>
    Task ReloadAsync(AgentSettings settings);

    /// <summary>Takes nothing new and lets what is under way finish, within <see cref="Proto.Bounds.DrainTimeMaxMs"/>.</summary>
    Task DrainAsync();

    /// <summary>Tries, within a moment, whether it really serves.</summary>
    Task<bool> IsAliveAsync(CancellationToken cancellation);
}

/// <summary>What an agent is composed from.</summary>
public sealed record AgentContext
{
    /// <summary>The settings, checked.</summary>
    public required AgentSettings Settings { get; init; }

    /// <summary>Makes its loggers.</summary>
    public required ILoggerFactory Log { get; init; }

    /// <summary>The clock.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>Its durable state.</summary>
    public required DataDirectory Data { get; init; }
}
