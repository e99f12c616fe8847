using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

internal sealed partial class Replicants
{
    // Paths by which the table may know replicants in a moment, after a start; each with its group.
    private ImmutableDictionary<string, GroupId> _expected = ImmutableDictionary<string, GroupId>.Empty.WithComparers(StringComparer.Ordinal);
    private volatile bool _isReplaying;

    /// <summary>Whether what was committed before the start is still being applied: any path of a kind that may be shared may name a replicant.</summary>
    public bool IsReplaying
    {
        get => _isReplaying;
        set => _isReplaying = value;
    }

    /// <summary>Whether the table knows all that it knew before the start.</summary>
    public bool IsSettled => !_isReplaying && Volatile.Read(ref _expected).IsEmpty;

    /// <summary>A replicant may be taken in soon.</summary>
    /// <param name="group">Its group.</param>
    /// <param name="key">Its name.</param>
    /// <param name="localId">Its replica's id here; empty when that is not known.</param>
    public void Expect(GroupId group, ReplicantKey key, string localId)
    {
        ImmutableInterlocked.AddOrUpdate(ref _expected, Expected(key.Service, ItemPath(key, key.MetaId)), group, (_, _) => group);
        if (localId.Length > 0) ImmutableInterlocked.AddOrUpdate(ref _expected, Expected(key.Service, ItemPath(key, localId)), group, (_, _) => group);
    }

    /// <summary>What was expected of a group is in the table, or will not come.</summary>
    public void ExpectNoMore(GroupId group) =>
        ImmutableInterlocked.Update(ref _expected, expected => expected.RemoveRange(expected.Where(one => one.Value == group).Select(one => one.Key)));

    /// <summary>The group of which a replicant of that path is expected; null for none.</summary>
    public GroupId? ExpectedAt(string service, ReadOnlySpan<byte> path)
    {
        var item = ItemOf(service, Normalized(path, stackalloc byte[KeyOnStackMax]));
        return !item.IsEmpty && Volatile.Read(ref _expected).TryGetValue(Expected(service, item), out var group) ? group : null;
    }

    private bool MayBeExpected(string service, ReadOnlySpan<byte> item) =>
        (_isReplaying && profiles.For(service).Paths.Match(item).Resource is { Visibility: Visibility.Global })
        || Volatile.Read(ref _expected).ContainsKey(Expected(service, item));

    private static string Expected(string service, ReadOnlySpan<byte> item) => $"{service}\0{Encoding.Latin1.GetString(item)}";
}
