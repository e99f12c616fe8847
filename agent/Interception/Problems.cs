using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Proto.Problems;

namespace Cheops.Agent.Interception;

/// <summary>The failures that interception itself answers: one place turns errors into answers.</summary>
internal static class Problems
{
    public static Problem Refused(HttpRefusal refusal) => new()
    {
        Kind = "bad-request",
        Title = "The request is not acceptable HTTP",
        Status = refusal.Status(),
        Detail = refusal.Describe(),
        Stage = Stage.Parse,
        RetrySafe = true,
        Members = [("refusal", refusal.ToString())],
    };

    public static Problem HeadTimeout() => new()
    {
        Kind = "request-timeout",
        Title = "The request did not arrive in time",
        Status = 408,
        Detail = $"the head of a request must arrive within {Bounds.HeadTimeMaxMs / 1000} s of its first byte",
        Stage = Stage.Parse,
        RetrySafe = true,
    };

    public static Problem TooBusy(string service) => new()
    {
        Kind = "too-busy",
        Title = "Too many requests are under way",
        Status = 503,
        Detail = $"{Bounds.ListenerRequestsMax} requests are under way for this service; try again shortly",
        Service = service,
        Stage = Stage.Plan,
        RetrySafe = true,
    };

    public static Problem Unexpected(string service) => new()
    {
        Kind = "internal",
        Title = "The agent failed",
        Status = 500,
        Detail = "the agent met an error it did not expect; its log says more",
        Service = service,
        Stage = Stage.Plan,
        RetrySafe = false,
    };
}
