using Cheops.Agent.Interception;

namespace Cheops.Agent.Api;

/// <summary>Serves the API behind a listener.</summary>
/// <param name="api">What it answers.</param>
public sealed class ApiHandler(AgentApi api) : IExchangeHandler
{
    /// <inheritdoc/>
    public ValueTask HandleAsync(Exchange exchange)
    {
        var answer = api.Answer(exchange.Request.Method, exchange.Target);
        return exchange.RespondAsync(answer.Status, answer.MediaType, answer.Body, answer.Fields);
    }
}
