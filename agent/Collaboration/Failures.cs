using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Proto.Operations;
using Cheops.Proto.Problems;
using Cheops.Proto.Scopes;
using Cheops.Raft;
using Cheops.Store.Bodies;
using Cheops.Store.Contents;

namespace Cheops.Agent.Collaboration;

/// <summary>The failures that carrying out a request can end in: one place turns them into answers.</summary>
/// <param name="site">This site.</param>
internal sealed class Failures(string site)
{
    public Problem InvalidPrefix(string service) => new()
    {
        Kind = "invalid-scope",
        Title = "The scope is not valid",
        Status = 400,
        Detail = $"the path begins with '/@', but no scope of 1 to {Bounds.ScopeLengthMax} correctly percent-encoded ASCII characters follows",
        Site = site,
        Service = service,
        Stage = Stage.Scope,
        RetrySafe = true,
    };

    public Problem InvalidScope(string service, ScopeError error) => new()
    {
        Kind = "invalid-scope",
        Title = "The scope is not valid",
        Status = 400,
        Detail = error.Message,
        Site = site,
        Service = service,
        Stage = Stage.Scope,
        RetrySafe = true,
        Members = [("column", error.ColumnFromOne), ("found", error.Found), ("expected", error.Expected)],
    };

    public Problem TwoScopes(string service) => new()
    {
        Kind = "invalid-scope",
        Title = "The scope is not valid",
        Status = 400,
        Detail = "the request has more than one Scope field; say all of it in one, such as '{glance: Site2, nova: Site1}'",
        Site = site,
        Service = service,
        Stage = Stage.Scope,
        RetrySafe = true,
    };

    public Problem Ambiguous(string service, string detail) => new()
    {
        Kind = "ambiguous-workflow",
        Title = "The request's workflow cannot be told",
        Status = 409,
        Detail = detail,
        Site = site,
        Service = service,
        Stage = Stage.Scope,
        RetrySafe = true,
    };

    public Problem Refused(string service, PlanRefusal refusal, IEnumerable<string> sites) => new()
    {
        Kind = "scope-not-possible",
        Title = "The scope cannot be carried out",
        Status = refusal.Status,
        Detail = refusal.Detail,
        Site = site,
        Service = service,
        Stage = Stage.Plan,
        RetrySafe = true,
        Members = [("reason", refusal.Kind.ToString()), ("sites", sites)],
    };

    public Problem NotBuilt(string service, Plan plan, string operators) => new()
    {
        Kind = "not-implemented",
        Title = "The scope's operator is not built yet",
        Status = 501,
        Detail = $"'{operators}' is understood and planned ({plan}), but this version of Cheops does not carry it out",
        Site = site,
        Service = service,
        Stage = Stage.Plan,
        RetrySafe = true,
        Members = [("operator", operators), ("plan", plan.ToString())],
    };

    public Problem NotReplicable(string service, string detail) => new()
    {
        Kind = "not-replicable",
        Title = "The request cannot be replicated",
        Status = 422,
        Detail = detail,
        Site = site,
        Service = service,
        Stage = Stage.Plan,
        RetrySafe = true,
    };

    public Problem NotReplicated(string service, GroupException error, OperationId operation) => new()
    {
        Kind = !error.SurelyNotCommitted ? "operation-unknown" : error.Error switch
        {
            GroupError.Full => "disk-full",
            GroupError.Busy => "too-many-operations",
            _ => "group-unavailable",
        },
        Title = !error.SurelyNotCommitted ? "What became of the operation is not known yet" : error.Error switch
        {
            GroupError.Full => "There is no room to record the operation",
            GroupError.Busy => "Too many operations wait",
            _ => "The replicas' sites cannot agree now",
        },
        Status = error.SurelyNotCommitted ? (error.Error == GroupError.TooLarge ? 413 : error.Error == GroupError.Full ? 507 : 503) : 504,
        Detail = error.Message,
        Site = site,
        Service = service,
        Stage = Stage.Replicate,
        RetrySafe = error.SurelyNotCommitted,
        Members = [("operation", operation.ToString()), ("reason", error.Error.ToString())],
    };

    public Problem NotSettled(string service, string detail) => new()
    {
        Kind = "just-started",
        Title = "The agent has just started, and does not know yet which replicant this is",
        Status = 503,
        Detail = detail,
        Site = site,
        Service = service,
        Stage = Stage.Plan,
        RetrySafe = true,
    };

    public Problem Undecided(string service, OperationId operation, string detail, int status) => new()
    {
        Kind = "operation-undecided",
        Title = "The operation is not decided yet",
        Status = status,
        Detail = $"{detail}; GET /_cheops/v1/operations/{operation} at any site of the group's API tells what becomes of it",
        Site = site,
        Service = service,
        Stage = Stage.Apply,
        RetrySafe = false,
        Members = [("operation", operation.ToString())],
    };

    public Problem NotExecuted(string service, OperationId operation, ServiceResult result) => new()
    {
        Kind = "not-executed",
        Title = "The operation was not executed, at any site",
        Status = 503,
        Detail = result.Excerpt,
        Site = site,
        Service = service,
        Stage = Stage.Apply,
        RetrySafe = true,
        Members = [("operation", operation.ToString())],
    };

    public Problem DecidedElsewhere(string service, OperationId operation, Decision decision, string decider, int status, bool isNowhere) => new()
    {
        Kind = decision == Decision.Accepted ? "decided-elsewhere" : "refused-elsewhere",
        Title = decision == Decision.Accepted ? "Another site has carried the operation out" : "Another site's service has refused the operation",
        Status = decision == Decision.Accepted ? 502 : status is >= 400 and < 500 ? status : 502,
        Detail = $"{decider} decided it ({decision.ToString().ToLowerInvariant()}, status {status}), and the answer itself is not known here",
        Site = site,
        Service = service,
        Stage = Stage.Apply,
        RetrySafe = isNowhere,
        Members = [("operation", operation.ToString())],
    };

    public Problem BodyNotContent(string service, ContentException error) => new()
    {
        Kind = "body-not-kept",
        Title = "The request's body could not be kept",
        Status = error.Error == ContentError.TooLarge ? 413 : 507,
        Detail = error.Message,
        Site = site,
        Service = service,
        Stage = Stage.Replicate,
        RetrySafe = true,
    };

    public Problem BadBody(string service, HttpRefusalException error) => new()
    {
        Kind = "bad-request",
        Title = "The request's body is not acceptable HTTP",
        Status = 400,
        Detail = error.Message,
        Site = site,
        Service = service,
        Stage = Stage.Parse,
        RetrySafe = true,
    };

    public Problem NoContent(string hash) => new()
    {
        Kind = "no-content",
        Title = "The body is not here",
        Status = 404,
        Detail = $"no body {hash} is kept at {site}",
        Site = site,
        Stage = Stage.Apply,
        RetrySafe = true,
    };

    public Problem NoReplicant(string service) => new()
    {
        Kind = "no-replicant",
        Title = "The path names no replicant of the site",
        Status = 404,
        Detail = $"{site} has no replicant of that name; nothing was executed",
        Site = site,
        Service = service,
        Stage = Stage.Plan,
        RetrySafe = true,
    };

    public Problem Loop(string service) => new()
    {
        Kind = "loop",
        Title = "The request came back to the agent",
        Status = 508,
        Detail = $"the request has passed this agent before: is the address of {service}'s instance one of the agent's own listeners?",
        Site = site,
        Service = service,
        Stage = Stage.Plan,
        RetrySafe = true,
    };

    public Problem UnknownService(string service) => new()
    {
        Kind = "service-not-offered",
        Title = "The service is not offered here",
        Status = 503,
        Detail = $"{site} has no instance of {service}",
        Site = site,
        Service = service,
        Stage = Stage.Plan,
        RetrySafe = true,
    };

    public Problem NotConnected(string service, IOException error) => new()
    {
        Kind = "service-unreachable",
        Title = "The service instance was not reached",
        Status = 503,
        Detail = $"{service} at {site}: {error.Message}",
        Site = site,
        Service = service,
        Stage = Stage.Connect,
        RetrySafe = true,
    };

    public Problem NotForwarded(string service, LinkException error) => new()
    {
        Kind = error.Error == LinkError.LinkLost ? "link-lost" : "site-unreachable",
        Title = error.NothingExecuted ? "The site was not reached" : "The link to the site was lost",
        Status = error.NothingExecuted ? 503 : 502,
        Detail = error.Message,
        Site = site,
        Service = service,
        Stage = Stage.Forward,
        RetrySafe = error.NothingExecuted,
        Members = [("target", error.Site)],
    };

    public Problem IdentityUnknown(string service, string detail) => new()
    {
        Kind = "identity-unknown",
        Title = "The user could not be established",
        Status = 401,
        Detail = detail,
        Site = site,
        Service = service,
        Stage = Stage.Plan,
        RetrySafe = true,
    };

    public Problem BodyNotKept(string service, BodyStoreException error, bool retrySafe, string trail) => new()
    {
        Kind = "body-not-kept",
        Title = "The request's body could not be kept",
        Status = 507,
        Detail = $"the next location was not tried, since the body could not be kept to be sent again: {error.Message}",
        Site = site,
        Service = service,
        Stage = Stage.Forward,
        RetrySafe = retrySafe,
        Members = [("plan", trail)],
    };

    public Problem Lost(string service) => NoneReached(service, retrySafe: false, "");

    public Problem NoneReached(string service, bool retrySafe, string trail) => new()
    {
        Kind = retrySafe ? "no-location-reached" : "answer-lost",
        Title = retrySafe ? "No location was reached" : "The answer was lost",
        Status = retrySafe ? 503 : 502,
        Detail = retrySafe
            ? "every location of the scope was tried, and none was reached"
            : "a location may have carried the request out, and its answer was lost",
        Site = site,
        Service = service,
        Stage = Stage.Forward,
        RetrySafe = retrySafe,
        Members = [("plan", trail)],
    };

    /// <summary>How an exchange failed that was begun.</summary>
    public Problem? Of(CallFailure failure, string service, UpstreamConnection connection, HttpRefusal bodyRefusal) => failure switch
    {
        CallFailure.None or CallFailure.ClientGone => null,
        _ when connection.Error is LinkException link => NotForwarded(service, link),
        CallFailure.BodyRefused => BodyRefused(bodyRefusal),
        CallFailure.AnswerLate => Begun(
            "answer-late", "The service did not answer in time", 504, $"{service} did not answer within {Bounds.AnswerTimeMaxMs / 1000} s", Stage.Respond),
        CallFailure.AnswerInvalid => Begun(
            "answer-invalid", "The service's answer is not acceptable HTTP", 502, $"{service}: {connection.Detail}", Stage.Respond),
        _ => Begun("answer-lost", "The service's answer was lost", 502, $"{service}: {connection.Detail}", Stage.Respond),
    };

    private Problem BodyRefused(HttpRefusal refusal)
    {
        var begun = Begun("bad-request", "The request's body is not acceptable HTTP", refusal.Status(), refusal.Describe(), Stage.Parse);
        return begun with { Members = [("refusal", refusal.ToString())] };
    }

    private Problem Begun(string kind, string title, int status, string detail, Stage stage) => new()
    {
        Kind = kind,
        Title = title,
        Status = status,
        Detail = detail,
        Site = site,
        Stage = stage,
        RetrySafe = false,
    };
}
