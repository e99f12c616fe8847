using System.Buffers;
using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Planning;
using Cheops.Agent.Profiles;
using Cheops.Agent.Replication.State;
using Cheops.Agent.Translation;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Proto.Scopes;
using Cheops.Store.Table;

namespace Cheops.Agent.Replication;

/// <summary>
/// The replicants that this site knows, over its table: by name under <c>R</c>, and by the path of their item, which holds the key
/// of the record under <c>R</c>: under <c>I</c> where the replica here has no other id than the meta-id; else under <c>M</c> with the
/// meta-id and under <c>L</c> with this site's local id, with the service noted under <c>T</c> and the collection under <c>C</c>. Each
/// key costs memory, so there is no other for ids without a path, but where a resource does not tell its collection
/// (<see cref="CollectionOf"/>).
/// </summary>
/// <remarks>What is here has its name: a path is first that of a local id. A path leaves <c>I</c> only when it is under <c>M</c>, and is
/// looked for in that order, so that it is never missed in between.</remarks>
/// <param name="site">This site.</param>
/// <param name="profiles">What is known of the services.</param>
/// <param name="table">The table.</param>
/// <param name="sitesOf">The sites of a group.</param>
internal sealed partial class Replicants(string site, ProfileSet profiles, IReplicantTable table, Func<GroupId, ImmutableArray<string>> sitesOf) : IReplicantIndex
{
    private const int KeyOnStackMax = 512;

    // In the order in which a path is looked for.
    private static ReadOnlySpan<byte> PathSpaces => "LIM"u8;

    private static ReadOnlySpan<byte> MetaIdSpaces => "IM"u8;

    // Groups apply their entries in parallel, and a replicant that moves is known to two of them.
    private readonly Lock _gate = new();

    // Services and collections that stand in the table under T and C, as far as this process knows; they are never removed.
    private readonly ConcurrentDictionary<(string Service, string Collection), bool> _noted = new();

    // ---- look-ups ---------------------------------------------------------------------------------------------------

    /// <inheritdoc/>
    public bool MayName(string service, ReadOnlySpan<byte> path)
    {
        var isSettled = IsSettled;
        if (table.Count == 0 && isSettled) return false;
        Span<byte> buffer = stackalloc byte[KeyOnStackMax];
        var item = ItemOf(service, Normalized(path, buffer));
        if (item.IsEmpty) return false;
        if (!isSettled && MayBeExpected(service, item)) return true;
        var size = 2 + service.Length + item.Length;
        if (size > Bounds.TableKeySizeMax) return false;
        var rented = size > KeyOnStackMax ? ArrayPool<byte>.Shared.Rent(size) : null;
        var key = rented is null ? stackalloc byte[KeyOnStackMax] : rented;
        WritePathKey(key, 'I', service, item);
        var may = HasAny(service) ? table.MayHoldAny(key[..size], PathSpaces) : table.MayHold(key[..size]);
        if (rented is not null) ArrayPool<byte>.Shared.Return(rented);
        return may;
    }

    /// <inheritdoc/>
    public Replicant? Find(string service, ReadOnlySpan<byte> path)
    {
        Span<byte> buffer = stackalloc byte[KeyOnStackMax];
        var item = ItemOf(service, Normalized(path, buffer));
        if (item.IsEmpty || AtPath(PathSpaces, service, item) is not { } record) return null;
        return new Replicant(record.Key.MetaId, (ReplicationOperator)record.Operator, sitesOf(record.Group), record);
    }

    /// <summary>The replicant of that name; null when it is not known.</summary>
    public ReplicantRecord? Find(GroupId group, ReplicantKey key) => Read(ReplicantRecord.TableKey(group, key));

    /// <summary>Whether there may be any.</summary>
    public bool Any => table.Count > 0;

    /// <summary>The replicant that a path names by its meta-id; null when there is none: a local id is known at its site alone.</summary>
    public ReplicantRecord? FindByMetaId(string service, ReadOnlySpan<byte> path)
    {
        var item = ItemOf(service, Normalized(path, stackalloc byte[KeyOnStackMax]));
        return !item.IsEmpty && AtPath(MetaIdSpaces, service, item) is { } record && item.SequenceEqual(ItemPath(record.Key, record.Key.MetaId)) ? record : null;
    }

    /// <summary>Visits all replicants until the visitor says false.</summary>
    public void Visit(Func<ReplicantRecord, bool> visitor) => table.Visit(
        "R"u8, (_, value) => ReplicantRecord.Decode(value.ToArray()) is not { } record || visitor(record));

    private static ReadOnlySpan<byte> Normalized(ReadOnlySpan<byte> path, Span<byte> buffer)
    {
        if (PathNormalizer.IsPlain(path)) return path;
        var size = PathNormalizer.SizeMax(path.Length);
        return PathNormalizer.Normalize(path, size <= buffer.Length ? buffer : new byte[size]);
    }

    // The path up to the item's id, without what follows below it.
    private ReadOnlySpan<byte> ItemOf(string service, ReadOnlySpan<byte> path)
    {
        var match = profiles.For(service).Paths.Match(path);
        return match.Kind switch
        {
            PathKind.Item or PathKind.Convention => path.Length > 1 && path[^1] == '/' ? path[..^1] : path,
            PathKind.Action => path[..(path.Length - match.Action.Length - (path[^1] == '/' && match.Action[^1] != '/' ? 1 : 0))],
            _ => default,
        };
    }

    private ReplicantRecord? AtPath(ReadOnlySpan<byte> spaces, string service, ReadOnlySpan<byte> item)
    {
        var key = PathKey(' ', service, item);
        if (key.Length > Bounds.TableKeySizeMax) return null;
        foreach (var space in spaces)
        {
            key[0] = space;
            if (table.MayHold(key) && RecordBehind(key) is { } record) return record;
        }

        return null;
    }

    private ReplicantRecord? RecordBehind(ReadOnlySpan<byte> key)
    {
        var name = new ArrayBufferWriter<byte>(128);
        if (!table.TryGet(key, name)) return null;
        if (Read(name.WrittenSpan) is { } record) return record;

        // It was just taken in by another group, or is gone.
        lock (_gate)
        {
            name.Clear();
            return table.TryGet(key, name) ? Read(name.WrittenSpan) : null;
        }
    }

    private ReplicantRecord? Read(ReadOnlySpan<byte> key)
    {
        var value = new ArrayBufferWriter<byte>(256);
        return table.TryGet(key, value) ? ReplicantRecord.Decode(value.WrittenMemory) : null;
    }

    // ---- changes, each as good as once when repeated -----------------------------------------------------------------

    /// <summary>Takes a new replicant in.</summary>
    public void Made(GroupId group, OperationState create, string atSite, string localId)
    {
        lock (_gate) Make(group, create, atSite, localId);
    }

    private void Make(GroupId group, OperationState create, string atSite, string localId)
    {
        var key = ReplicantRecord.TableKey(group, create.Key);
        var before = Read(key);
        if (Newest(group, create.Key) is { Moves: > 0 } moved && moved.CreatedBy == create.Id) return;

        // A PUT that came in where the replicant was not known yet has made nothing: the replicas keep their ids.
        if (before is not null && create.Method != "POST")
        {
            Write(key, before with { LocalIds = before.LocalIds.SetItem(atSite, localId) }, namesChange: atSite == site);
            return;
        }

        var ids = before is not null && before.CreatedBy == create.Id ? before.LocalIds : ImmutableSortedDictionary<string, string>.Empty.WithComparers(StringComparer.Ordinal);
        Write(key, new ReplicantRecord
        {
            Key = create.Key,
            Resource = create.Resource,
            Group = group,
            Operator = create.Operator,
            CreatedBy = create.Id,
            CreatedUnixMs = create.AtUnixMs,
            Method = create.Method,
            User = create.User,
            UserGroups = create.UserGroups,
            LocalIds = ids.SetItem(atSite, localId),
        }, namesChange: true);
    }

    /// <summary>Notes the id of a site's replica.</summary>
    public void ReplicaMade(GroupId group, OperationState create, string atSite, string localId)
    {
        // What a site made late belongs to the group that the replicant has moved to by now, if the site is of it.
        lock (_gate)
        {
            if (Newest(group, create.Key) is { } record && record.CreatedBy == create.Makes && (record.Group == group || MayBeOf(record.Group, atSite, group, create.Key)))
                Write(ReplicantRecord.TableKey(record.Group, record.Key), record with { LocalIds = record.LocalIds.SetItem(atSite, localId) }, namesChange: atSite == site);
        }
    }

    /// <summary>Lets go of a replicant.</summary>
    public void Gone(GroupId group, ReplicantKey name)
    {
        lock (_gate) LetGo(group, name);
    }

    private void LetGo(GroupId group, ReplicantKey name)
    {
        var key = ReplicantRecord.TableKey(group, name);
        if (Read(key) is not { } record) return;
        foreach (var alias in AliasesOf(record)) Release(alias, key);

        // It may have had another id here for a while, or none.
        foreach (var space in MetaIdSpaces) Release(PathKey((char)space, name.Service, ItemPath(name, name.MetaId)), key);
        table.Remove(key);
    }

    // Another group may have a replicant of the same name, and the path may be its by now.
    private void Release(byte[] alias, byte[] key)
    {
        var target = new ArrayBufferWriter<byte>(128);
        if (table.TryGet(alias, target) && target.WrittenSpan.SequenceEqual(key)) table.Remove(alias);
    }

    /// <summary>Takes in a record from a snapshot.</summary>
    public void Import(ReplicantRecord record)
    {
        lock (_gate) Write(ReplicantRecord.TableKey(record.Group, record.Key), record, namesChange: true);
    }

    // By which names it is found here depends on this site's local id alone.
    private void Write(byte[] key, ReplicantRecord record, bool namesChange)
    {
        table.Put(key, record.Encode().Span);
        if (!namesChange) return;
        if (HasOtherId(record)) Note(record, key);
        foreach (var alias in AliasesOf(record)) table.Put(alias, key);
        if (HasOtherId(record)) Release(PathKey('I', record.Key.Service, ItemPath(record.Key, record.Key.MetaId)), key);
    }

    private void Note(ReplicantRecord record, byte[] key)
    {
        if (_noted.ContainsKey((record.Key.Service, record.Key.Collection))) return;
        table.Put(ServiceKey(record.Key.Service), key);
        table.Put(CollectionKey(record.Key.Service, Encoding.ASCII.GetBytes(record.Key.Collection)), key);

        // Only now: on a full disk the entry is taken in again.
        _noted.TryAdd((record.Key.Service, record.Key.Collection), true);
    }

    private bool HasOtherId(ReplicantRecord record) => record.LocalIds.TryGetValue(site, out var local) && local != record.Key.MetaId;

    private IEnumerable<byte[]> AliasesOf(ReplicantRecord record)
    {
        var (service, metaId) = (record.Key.Service, record.Key.MetaId);
        if (!HasOtherId(record))
        {
            yield return PathKey('I', service, ItemPath(record.Key, metaId));
            yield break;
        }

        var local = record.LocalIds[site];
        yield return PathKey('M', service, ItemPath(record.Key, metaId));
        yield return PathKey('L', service, ItemPath(record.Key, local));
        var resource = ResourceOf(record);
        if (CollectionOf(service, resource) == record.Key.Collection) yield break;
        yield return IdKey('m', service, resource, Encoding.UTF8.GetBytes(metaId));
        yield return IdKey('l', service, resource, Encoding.UTF8.GetBytes(local));
    }

    /// <summary>The path of a replicant's item with an id, percent-encoded.</summary>
    public static byte[] ItemPath(ReplicantKey key, string id)
    {
        var path = Encoding.UTF8.GetBytes($"{key.Collection}/{Uri.EscapeDataString(id)}");
        return PathNormalizer.Normalize(path, new byte[PathNormalizer.SizeMax(path.Length)]).ToArray();
    }

    private static byte[] PathKey(char space, string service, ReadOnlySpan<byte> item)
    {
        var key = new byte[2 + service.Length + item.Length];
        WritePathKey(key, space, service, item);
        return key;
    }

    private static void WritePathKey(Span<byte> key, char space, string service, ReadOnlySpan<byte> item)
    {
        key[0] = (byte)space;
        Encoding.ASCII.GetBytes(service, key[1..]);
        key[1 + service.Length] = 0;
        item.CopyTo(key[(2 + service.Length)..]);
    }
}
