using System.Text;
using Cheops.Agent.Translation;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>The replicants that a person may mean.</summary>
/// <param name="Found">They, each once; at most <see cref="Replicants.NamedMax"/>.</param>
/// <param name="IsWhole">Whether there surely is no other: not when the search took too long.</param>
internal readonly record struct NamedReplicants(IReadOnlyList<ReplicantRecord> Found, bool IsWhole);

internal sealed partial class Replicants
{
    /// <summary>How many replicants of one name are looked for: to tell that there are several, no more are needed.</summary>
    public const int NamedMax = 10;

    /// <summary>
    /// Finds what a person calls by the path of its item, or by an id alone, each with the meta-id or the id of this site. A path
    /// is found in the index, and so is an id that nothing else can have, where a profile knows its kind. For a name, or a number
    /// of a service's own, all replicants are read, unless the index has all of them.
    /// </summary>
    /// <param name="name">A path from its slash, or an id; neither percent-encoded.</param>
    /// <param name="services">The services whose it may be.</param>
    /// <param name="goesOn">Asked from time to time whether all replicants are still to be read.</param>
    public NamedReplicants Named(string name, IReadOnlyCollection<string> services, Func<bool> goesOn)
    {
        var found = new Dictionary<(GroupId, ReplicantKey), ReplicantRecord>();
        var isWhole = true;
        foreach (var service in services) isWhole &= name.StartsWith('/') ? AddByPath(service, name, found) : AddById(service, name, found);
        var isUnique = found.Count > 0 && IsUnique(name);
        if (!isWhole && !isUnique) isWhole = AddFromAll(name, services, goesOn, found);
        return new NamedReplicants([.. found.Values.OrderBy(record => record.Key.ToString(), StringComparer.Ordinal)], isWhole || isUnique);
    }

    // A UUID, or a number as agents make them.
    private static bool IsUnique(string id) => IdShape.Of(id) is IdKind.Uuid or IdKind.CompactUuid || IdShape.IsMadeNumber(id);

    // Which part of it is the collection is not known: an id may have slashes too.
    private bool AddByPath(string service, string path, Dictionary<(GroupId, ReplicantKey), ReplicantRecord> found)
    {
        for (var slash = path.LastIndexOf('/'); slash > 0; slash = path.LastIndexOf('/', slash - 1))
            AddAtPath(service, path[..slash], path[(slash + 1)..], found);
        return true;
    }

    // Where a collection has variables, what has the same id everywhere is in the index by its path alone.
    private bool AddById(string service, string id, Dictionary<(GroupId, ReplicantKey), ReplicantRecord> found)
    {
        var isWhole = true;
        var bytes = Encoding.UTF8.GetBytes(id);
        foreach (var (resource, known) in profiles.For(service).Resources)
        {
            Add(ById(OfMetaIds, service, resource, bytes), found);
            Add(ById(OfLocalIds, service, resource, bytes), found);
            if (known.Collection.Variables.IsEmpty) AddAtPath(service, known.Collection.Text, id, found);
            else isWhole = false;
        }

        return isWhole;
    }

    // The id here of one may be the meta-id of another.
    private void AddAtPath(string service, string collection, string id, Dictionary<(GroupId, ReplicantKey), ReplicantRecord> found)
    {
        var item = ItemPath(new ReplicantKey(service, collection, ""), id);
        Add(AtPath(PathSpaces, service, item), found);
        Add(AtPath(MetaIdSpaces, service, item), found);
    }

    private bool AddFromAll(string name, IReadOnlyCollection<string> services, Func<bool> goesOn, Dictionary<(GroupId, ReplicantKey), ReplicantRecord> found)
    {
        var bytes = Encoding.UTF8.GetBytes(name);
        var (read, isWhole) = (0, true);
        table.Visit("R"u8, (_, value) =>
        {
            // Most are passed over without being decoded.
            if (value.IndexOf(bytes) >= 0 && ReplicantRecord.Decode(value.ToArray()) is { } record && services.Contains(record.Key.Service)
                && (record.Key.MetaId == name || record.LocalIds.GetValueOrDefault(site) == name)) Add(record, found);
            isWhole = ++read % 1024 != 0 || goesOn();
            return isWhole && found.Count < NamedMax;
        });
        return isWhole;
    }

    private static void Add(ReplicantRecord? record, Dictionary<(GroupId, ReplicantKey), ReplicantRecord> found)
    {
        if (record is not null && found.Count < NamedMax) found[(record.Group, record.Key)] = record;
    }
}
