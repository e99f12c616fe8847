namespace Cheops.Proto;

/// <summary>
/// Every bound that a request, a frame, a scope or a queue meets, in one place. Sizes are in bytes, times in
/// milliseconds. How the bounds relate to one another is asserted by the unit test <c>BoundsTests</c>.
/// </summary>
public static class Bounds
{
    /// <summary>Largest head of a request or response: start line and all fields, with the blank line.</summary>
    public const int HeadSizeMax = 64 * 1024;

    /// <summary>Most field lines in one head, and most trailer fields of one message.</summary>
    public const int FieldCountMax = 200;

    /// <summary>Longest request target.</summary>
    public const int TargetSizeMax = 32 * 1024;

    /// <summary>Most bytes of chunk extensions in one chunk head.</summary>
    public const int ChunkExtensionSizeMax = 256;

    /// <summary>Most bytes of the whole trailer section of one message.</summary>
    public const int TrailerSizeMax = 8 * 1024;

    /// <summary>Longest scope, as text after percent-decoding.</summary>
    public const int ScopeLengthMax = 4096;

    /// <summary>Deepest nesting of parentheses in a scope.</summary>
    public const int ScopeDepthMax = 32;

    /// <summary>Longest round-trip time that <c>around</c> takes, in milliseconds.</summary>
    public const long ScopeDurationMaxMs = 3_600_000;

    /// <summary>Longest scope text whose tree is remembered for the next request.</summary>
    public const int ScopeCachedLengthMax = 512;

    /// <summary>Most scope trees remembered.</summary>
    public const int ScopeCacheCountMax = 4096;

    /// <summary>Most sites that one plan names, counted before what occurs twice is dropped.</summary>
    public const int PlanSiteCountMax = 4096;

    /// <summary>Most locations that the <c>Cheops-Plan</c> header tells of one by one.</summary>
    public const int PlanTrailCountMax = 32;

    /// <summary>Most sites in a mesh.</summary>
    public const int SiteCountMax = 1024;

    /// <summary>Longest name of a site (DESIGN.md section 2).</summary>
    public const int SiteNameLengthMax = 63;

    /// <summary>Longest name of a service.</summary>
    public const int ServiceNameLengthMax = 63;

    /// <summary>Bytes of one kept body (one that may have to be sent again) held in memory before it goes to disk.</summary>
    public const int BodyMemorySizeMax = 256 * 1024;

    /// <summary>Largest body that is kept.</summary>
    public const long BodySpillSizeMax = 16L * 1024 * 1024 * 1024;

    /// <summary>Disk that all kept bodies together may take.</summary>
    public const long BodySpillTotalMax = 32L * 1024 * 1024 * 1024;

    /// <summary>How long the answer of a token review is believed (the default of kube-apiserver's own webhook cache).</summary>
    public const int TokenReviewTtlMs = 10_000;

    /// <summary>Most reviewed tokens remembered.</summary>
    public const int TokenReviewCountMax = 4096;

    /// <summary>Longest name of a user or group that is asserted to a service.</summary>
    public const int UserNameLengthMax = 512;

    /// <summary>Most groups of one user.</summary>
    public const int UserGroupCountMax = 128;
}
