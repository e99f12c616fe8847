using Cheops.Proto.Http;

namespace Cheops.Agent.Interception;

/// <summary>What a request becomes for one place, and its answer on the way back, where ids differ there. Immutable.</summary>
/// <param name="Target">The target that the place gets.</param>
/// <param name="Body">Gives the body that the place gets, from its start each time.</param>
/// <param name="BodyLength">The length of that body in bytes, where it is delimited by its length.</param>
/// <param name="Answer">Given the answer's head and body when it is relayed, another body, or null for the same; it may edit the answer's head.</param>
internal sealed record Rewriting(byte[] Target, Func<BodySource> Body, long BodyLength, Func<ResponseHead, BodySource, BodySource?> Answer);
