using System.Buffers;
using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Replication;
using Cheops.Proto.Operations;
using Cheops.Store.Table;

namespace Cheops.Tests.Unit.Replication;

/// <summary>How a person's words find a replicant, and for which of them all replicants must be read.</summary>
public sealed class NamedReplicantsTests
{
    private const string Profile = """
        { "profile": "p", "services": {
            "shop": { "resources": { "orders": { "collection": "/v1/orders" }, "images": { "collection": "/v2/images", "idChosenBy": "client" } } },
            "kube": { "resources": { "pods": { "collection": "/api/v1/namespaces/{namespace}/pods", "id": "metadata.name", "idChosenBy": "client" } } } } }
        """;

    private const string Image = "0b9a3f6e-55a1-4a53-9d0f-0f6f3c1b2a77";
    private const string Order = "5000000000000000";

    private static readonly string[] Services = ["shop", "kube", "other"];

    private readonly WatchedTable _table = new();
    private readonly Replicants _replicants;

    public NamedReplicantsTests()
    {
        Assert.True(ProfileReader.TryRead(Encoding.UTF8.GetBytes(Profile), out var profile, out _));
        _replicants = new Replicants("Site1", ProfileSet.Combine([profile!], out _), _table, _ => ["Site1", "Site2"]);
        Add("shop", "orders", "/v1/orders", Order, "17");
        Add("shop", "images", "/v2/images", Image, Image);
        Add("shop", "images", "/v2/images", "a b/c", "a b/c");
        Add("kube", "pods", "/api/v1/namespaces/a/pods", "web", "web");
        Add("kube", "pods", "/api/v1/namespaces/a/pods", "db", "db");
        Add("kube", "pods", "/api/v1/namespaces/b/pods", "db", "db");
        Add("other", "resources", "/things", "5000000000000001", "18");
    }

    private void Add(string service, string resource, string collection, string metaId, string localId) => _replicants.Import(new ReplicantRecord
    {
        Key = new ReplicantKey(service, collection, metaId),
        Resource = resource,
        Group = GroupId.Of(["Site1", "Site2"]),
        LocalIds = new ReplicantRecord { Key = new ReplicantKey("", "", ""), Resource = "", Group = default }.LocalIds.Add("Site1", localId).Add("Site2", "99"),
    });

    private string[] Find(string name, string[]? services = null, Func<bool>? goesOn = null)
    {
        var named = _replicants.Named(name, services ?? Services, goesOn ?? (() => true));
        Assert.True(named.IsWhole);
        return [.. named.Found.Select(record => record.Key.ToString())];
    }

    [Theory]
    [InlineData("/v1/orders/" + Order, "shop /v1/orders/" + Order)]
    [InlineData("/v1/orders/17", "shop /v1/orders/" + Order)]
    [InlineData("/v2/images/a b/c", "shop /v2/images/a b/c")]
    [InlineData("/api/v1/namespaces/b/pods/db", "kube /api/v1/namespaces/b/pods/db")]
    [InlineData("/things/18", "other /things/5000000000000001")]
    [InlineData("/v1/orders/99")]
    [InlineData("/v1/orders")]
    [InlineData("/")]
    [InlineData(Order, "shop /v1/orders/" + Order)]
    [InlineData(Image, "shop /v2/images/" + Image)]
    public void A_path_and_an_id_that_nothing_else_can_have_are_found_without_reading_all(string name, params string[] found)
    {
        Assert.Equal(found, Find(name));
        Assert.Equal(0, _table.Visits);
    }

    [Theory]
    [InlineData("17", "shop /v1/orders/" + Order)]
    [InlineData("a b/c", "shop /v2/images/a b/c")]
    [InlineData("nothing")]
    [InlineData("99")]
    public void Where_no_collection_has_variables_nothing_else_is_either(string name, params string[] found)
    {
        Assert.Equal(found, Find(name, ["shop"]));
        Assert.Equal(0, _table.Visits);
    }

    [Theory]
    [InlineData("web", "kube /api/v1/namespaces/a/pods/web")]
    [InlineData("db", "kube /api/v1/namespaces/a/pods/db", "kube /api/v1/namespaces/b/pods/db")]
    [InlineData("17", "shop /v1/orders/" + Order)]
    [InlineData("18", "other /things/5000000000000001")]
    [InlineData("5000000000000001", "other /things/5000000000000001")]
    [InlineData("nothing")]
    [InlineData("99")]
    public void Other_words_are_looked_for_among_all(string name, params string[] found)
    {
        Assert.Equal(found, Find(name));
        Assert.Equal(1, _table.Visits);
    }

    [Fact]
    public void A_search_that_takes_too_long_is_not_whole()
    {
        for (var i = 0; i < 2_000; i++) Add("kube", "pods", "/api/v1/namespaces/c/pods", $"pod-{i}", $"pod-{i}");
        Assert.False(_replicants.Named("nothing", Services, () => false).IsWhole);
        Assert.Empty(Find("nothing"));
        Assert.Equal(["kube /api/v1/namespaces/c/pods/pod-1999"], Find("/api/v1/namespaces/c/pods/pod-1999", goesOn: () => false));
        Assert.Equal(["kube /api/v1/namespaces/c/pods/pod-1999"], Find("pod-1999"));
    }

    [Fact]
    public void What_cannot_be_a_name_is_found_nowhere()
    {
        Assert.Empty(Find('/' + new string('x', 100_000)));
        Assert.Empty(Find(new string('x', 100_000), ["shop"]));
        Assert.Equal(0, _table.Visits);
    }

    private sealed class WatchedTable : IReplicantTable
    {
        private readonly MemoryReplicantTable _table = new();

        public int Visits { get; private set; }

        public ReadOnlyMemory<byte> Mark => _table.Mark;

        public string? Damage => _table.Damage;

        public long Count => _table.Count;

        public long DiskBytes => _table.DiskBytes;

        public bool MayHold(ReadOnlySpan<byte> key) => _table.MayHold(key);

        public bool TryGet(ReadOnlySpan<byte> key, IBufferWriter<byte> value) => _table.TryGet(key, value);

        public void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value) => _table.Put(key, value);

        public void Remove(ReadOnlySpan<byte> key) => _table.Remove(key);

        public void Visit(ReadOnlySpan<byte> prefix, TableVisitor visitor)
        {
            Visits++;
            _table.Visit(prefix, visitor);
        }

        public ValueTask CheckpointAsync(ReadOnlyMemory<byte> mark, CancellationToken cancellation = default) => _table.CheckpointAsync(mark, cancellation);

        public ValueTask DisposeAsync() => _table.DisposeAsync();
    }
}
