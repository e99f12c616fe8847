using System.Net;
using Cheops.Agent.Interception;

namespace Cheops.Agent.Api;

/// <summary>Serves the API behind a listener.</summary>
/// <param name="api">What it answers.</param>
/// <param name="listen">The listener's address: a client that comes from there is on this machine.</param>
public sealed class ApiHandler(AgentApi api, IPAddress listen) : IExchangeHandler
{
    /// <inheritdoc/>
    public ValueTask HandleAsync(Exchange exchange)
    {
        var isLocal = IPAddress.TryParse(exchange.Origin.ClientAddress, out var client) && (IPAddress.IsLoopback(client) || client.Equals(listen));
        var answering = api.AnswerAsync(exchange.Request.Method, exchange.Target, isLocal);
        return answering.IsCompletedSuccessfully ? RespondAsync(exchange, answering.Result) : WaitAsync(exchange, answering);
    }

    private static async ValueTask WaitAsync(Exchange exchange, ValueTask<ApiAnswer> answering) => await RespondAsync(exchange, await answering);

    private static ValueTask RespondAsync(Exchange exchange, ApiAnswer answer) =>
        exchange.RespondAsync(answer.Status, answer.MediaType, answer.Body, answer.Fields);
}
