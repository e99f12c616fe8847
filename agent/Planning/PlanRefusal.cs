namespace Cheops.Agent.Planning;

/// <summary>Every reason why a scope cannot be planned.</summary>
public enum PlanRefusalKind
{
    /// <summary>The scope names a site that is not configured.</summary>
    UnknownSite,
    /// <summary>The scope names a service that neither this site's settings and profiles nor any site knows.</summary>
    UnknownService,
    /// <summary>The site was heard from and does not offer the service.</summary>
    NotOffered,
    /// <summary>The service there has another major version: collaboration assumes the same API.</summary>
    VersionMismatch,
    /// <summary>The plan would name more than <see cref="Proto.Bounds.PlanSiteCountMax"/> sites.</summary>
    TooLarge,
    /// <summary>The scope of a change names other sites than those that hold the replicant.</summary>
    OtherSites,
}

/// <summary>Why a scope cannot be carried out. Answered before anything is executed, stage <c>plan</c>, safe to retry.</summary>
/// <param name="Kind">The reason.</param>
/// <param name="Detail">A sentence for the user: what, where, and what to do.</param>
/// <param name="Status">The status that tells it: 422, since the scope was understood and cannot be carried out; 409 for <see cref="PlanRefusalKind.OtherSites"/>.</param>
public sealed record PlanRefusal(PlanRefusalKind Kind, string Detail, int Status = 422);
