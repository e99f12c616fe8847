using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Proto.Problems;

namespace Cheops.Agent.Interception;

/// <summary>The failures that interception itself answers, or ends a connection for: one place turns errors into answers. The exchange adds site and service.</summary>
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

    public static Problem TooBusy() => new()
    {
        Kind = "too-busy",
        Title = "Too many requests are under way",
        Status = 503,
        Detail = $"{Bounds.ListenerRequestsMax} requests are under way for this service; try again shortly",
        Stage = Stage.Plan,
        RetrySafe = true,
    };

    public static Problem Unexpected() => new()
    {
        Kind = "internal",
        Title = "The agent failed",
        Status = 500,
        Detail = "the agent met an error it did not expect; its log says more",
        Stage = Stage.Plan,
        RetrySafe = false,
    };

    // ---- what cannot be answered any more: for the log alone ------------------------------------------------------

    public static Problem BodyStalled() => new()
    {
        Kind = "client-stalled",
        Title = "The client was too slow with its request's body",
        Status = 408,
        Detail = $"nothing of the body came for {Bounds.BodyStallTimeMaxMs / 1000} s, or for long less than {Bounds.BodyRateMin} bytes per second",
        Stage = Stage.Parse,
        RetrySafe = false,
    };

    public static Problem ReaderStalled() => new()
    {
        Kind = "client-stalled",
        Title = "The client took no more of its answer",
        Status = 408,
        Detail = $"nothing of the answer was taken for {Bounds.WriteStallTimeMaxMs / 1000} s",
        Stage = Stage.Respond,
        RetrySafe = false,
    };

    public static Problem TunnelIdle() => new()
    {
        Kind = "tunnel-idle",
        Title = "Nothing passed after the upgrade",
        Status = 408,
        Detail = $"no byte passed either way for {Bounds.TunnelIdleTimeMaxMs / 60_000} min",
        Stage = Stage.Respond,
        RetrySafe = false,
    };

    public static Problem Cut(string detail) => new()
    {
        Kind = "answer-cut",
        Title = "The answer broke off",
        Status = 502,
        Detail = detail,
        Stage = Stage.Respond,
        RetrySafe = false,
    };

    public static Problem AgentEnds() => new()
    {
        Kind = "agent-ends",
        Title = "The agent ended before the request did",
        Status = 503,
        Detail = "the request was under way when the time to drain was over",
        Stage = Stage.Respond,
        RetrySafe = false,
    };
}
