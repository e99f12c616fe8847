using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using Cheops.Tests.Unit.Profiles;

namespace Cheops.Tests.Unit.Translation;

/// <summary>Ids in memory: (service, resource, meta-id, local id).</summary>
internal sealed class IdPairs : IIdMap
{
    private readonly Dictionary<(string, string, string), string> _toLocal = [];
    private readonly Dictionary<(string, string, string), string> _toMeta = [];
    private readonly HashSet<string> _services = [];

    public IdPairs(params IEnumerable<(string Service, string Resource, string Meta, string Local)> pairs)
    {
        foreach (var (service, resource, meta, local) in pairs)
        {
            _toLocal[(service, resource, meta)] = local;
            _toMeta[(service, resource, local)] = meta;
            _services.Add(service);
        }
    }

    public bool TryToLocal(string service, string resource, ReadOnlySpan<byte> metaId, out string localId) =>
        _toLocal.TryGetValue((service, resource, Encoding.UTF8.GetString(metaId)), out localId!);

    public bool TryToMeta(string service, string resource, ReadOnlySpan<byte> localId, out string metaId) =>
        _toMeta.TryGetValue((service, resource, Encoding.UTF8.GetString(localId)), out metaId!);

    public bool HasAny(string service) => _services.Contains(service);

    /// <summary>An application with every kind of id that translation meets.</summary>
    public static ServiceProfile Shop { get; } = ProfileReaderTests.Read(
        """
        {"profile": "p", "services": {
          "shop": {"resources": {
            "orders": {"collection": "/v1/orders", "id": "order.id", "naturalKey": "order.key",
                       "references": {"order.item": {"resource": "items", "dependency": "reliance"},
                                      "order.parts[].item_id": {"resource": "items", "dependency": "reliance"},
                                      "order.image": {"resource": "pictures/images", "dependency": "reliance"}}},
            "items": {"collection": "/v1/items", "id": "id", "references": {"tags[]": {"resource": "tags", "dependency": "reliance"}}},
            "tags": {"collection": "/v1/tags"},
            "pods": {"collection": "/ns/{space}/pods", "id": "metadata.name", "naturalKey": ["metadata.name"]},
            "lines": {"collection": "/v1/orders/{order}/lines"} }},
          "pictures": {"resources": {"images": {"collection": "/v2/images"}}} }}
        """).Services["shop"];

    /// <summary>Some ids of it: numbers, UUIDs and names.</summary>
    public static IdPairs Some { get; } = new(
        ("shop", "orders", "1099511627777", "7"), ("shop", "orders", "1099511627778", "8"),
        ("shop", "items", "11111111-1111-4111-8111-111111111111", "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"),
        ("shop", "tags", "red/blue", "a \"b\""), ("shop", "pods", "web", "web-site1"), ("shop", "lines", "1099511627779", "3"),
        ("pictures", "images", "22222222-2222-4222-8222-222222222222", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"));
}
