using System.Collections.Immutable;
using Cheops.Proto.Operations;

namespace Cheops.Raft;

/// <summary>
/// What a group is: the sites that hold its replicants and, where two sites alone could not outvote a partition, a
/// third that votes and keeps the log but carries nothing out. All members accept the same founding durably before the
/// first entry.
/// </summary>
public sealed record GroupFounding
{
    /// <summary>The sites, in ordinal order, each once; at least one.</summary>
    public required ImmutableArray<string> Sites
    {
        get;
        init => (field, Id) = (value, GroupId.Of(value.AsSpan()));
    }

    /// <summary>The witness, which is none of the sites; null for none.</summary>
    public string? Witness { get; init; }

    /// <summary>
    /// The group's id: the first half of the SHA-256 of its sites' names. The witness is no part of it, so that two
    /// foundings of the same set with different witnesses meet and one of them wins.
    /// </summary>
    public GroupId Id { get; private init; }

    /// <summary>Sites and witness.</summary>
    public ImmutableArray<string> Voters => Witness is null ? Sites : Sites.Add(Witness);
}
