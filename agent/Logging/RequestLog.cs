using System.Text;
using Cheops.Proto.Problems;
using Microsoft.Extensions.Logging;

namespace Cheops.Agent.Logging;

/// <summary>
/// The lines about requests: one for each that Cheops refused or failed, with the reason. What the application answers
/// is its own business and is not logged. Of a target only the path is written, since queries carry secrets.
/// </summary>
public static partial class RequestLog
{
    private const int PathLengthMax = 512;

    /// <summary>Writes the line for one request; a failure of the agent's own (5xx) is a warning, a refusal is information.</summary>
    /// <param name="log">Where.</param>
    /// <param name="problem">What was answered.</param>
    /// <param name="method">The method as sent.</param>
    /// <param name="target">The target as sent.</param>
    /// <param name="client">The client's address; empty when it is not known.</param>
    public static void Failed(ILogger log, Problem problem, ReadOnlySpan<byte> method, ReadOnlySpan<byte> target, string client)
    {
        var level = problem.Status >= 500 ? LogLevel.Warning : LogLevel.Information;
        if (!log.IsEnabled(level)) return;
        var reason = problem.Kind;
        Write(
            log, level, reason, problem.Status, problem.Service, Encoding.ASCII.GetString(method), PathOf(target), client,
            Problem.NameOf(problem.Stage), problem.RetrySafe, problem.Detail);
    }

    /// <summary>The path of a target, without its query, cut where it is long.</summary>
    internal static string PathOf(ReadOnlySpan<byte> target)
    {
        var query = target.IndexOf((byte)'?');
        var path = query < 0 ? target : target[..query];
        return path.Length <= PathLengthMax ? Encoding.ASCII.GetString(path) : Encoding.ASCII.GetString(path[..PathLengthMax]) + "...";
    }

    [LoggerMessage(EventId = 1001, EventName = "RequestFailed", Message = "request failed")]
    private static partial void Write(
        ILogger log, LogLevel level, string reason, int status, string service, string method, string path, string client,
        string stage, bool retrySafe, string detail);
}
