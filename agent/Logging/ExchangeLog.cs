using Cheops.Agent.Interception;
using Microsoft.Extensions.Logging;

namespace Cheops.Agent.Logging;

/// <summary>Writes what interception tells of requests to the log.</summary>
/// <param name="log">Where.</param>
public sealed partial class ExchangeLog(ILogger log) : IRequestLog
{
    /// <inheritdoc/>
    public void Failed(Exchange exchange)
    {
        if (exchange.Failure is { } problem)
            RequestLog.Failed(log, problem, exchange.Request.MethodBytes, exchange.Target, exchange.Origin.ClientAddress);
    }

    /// <inheritdoc/>
    public void Unexpected(Exchange exchange, Exception error) => Unexpected(exchange.Origin.Service, error);

    [LoggerMessage(EventId = 1002, EventName = "RequestUnexpected", Level = LogLevel.Error, Message = "an error that nobody expected")]
    private partial void Unexpected(string service, Exception error);
}
