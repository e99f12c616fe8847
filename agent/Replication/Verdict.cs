using Cheops.Agent.Interception;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>What came of carrying an operation out at this site.</summary>
internal enum VerdictKind
{
    /// <summary>The application did it.</summary>
    Done,
    /// <summary>The application refused it.</summary>
    Refused,
    /// <summary>It surely was not executed.</summary>
    NotExecuted,
    /// <summary>It may have been executed, and looking does not tell.</summary>
    InDoubt,
}

/// <summary>What came of carrying an operation out at this site.</summary>
/// <param name="Kind">What.</param>
/// <param name="Result">What the group remembers of the answer.</param>
/// <param name="MetaId">The meta-id of what was made, where the operation did not have one; else empty.</param>
/// <param name="Answer">The answer, for the client that waits; null when there was none.</param>
/// <param name="Detail">Why there was no answer, for a person; else empty.</param>
internal sealed record Verdict(VerdictKind Kind, ServiceResult Result, string MetaId, KeptAnswer? Answer, string Detail)
{
    /// <summary>As the deciding site's decision; null when in doubt.</summary>
    public Decision? Decision => Kind switch
    {
        VerdictKind.Done => Proto.Operations.Decision.Accepted,
        VerdictKind.Refused => Proto.Operations.Decision.Refused,
        VerdictKind.NotExecuted => Proto.Operations.Decision.NotExecuted,
        _ => null,
    };

    /// <summary>As a following site's result.</summary>
    public SiteResult SiteResult => Kind switch
    {
        VerdictKind.Done => SiteResult.Applied,
        VerdictKind.InDoubt => SiteResult.InDoubt,
        _ => SiteResult.Failed,
    };
}
