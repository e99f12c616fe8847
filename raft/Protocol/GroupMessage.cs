namespace Cheops.Raft.Protocol;

/// <summary>A message from another site's host.</summary>
/// <param name="Frame">Its header.</param>
/// <param name="Body">What follows; nobody changes it any more.</param>
internal readonly record struct GroupMessage(GroupFrame Frame, ReadOnlyMemory<byte> Body)
{
    /// <summary>Whether it refuses, for the reason given, what was asked.</summary>
    public bool Refuses(GroupRefusal reason) => Frame.Kind == GroupFrameKind.Refused && Frame.A == (long)reason;
}
