using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Workflows;
using Cheops.Tests.Unit.Profiles;

namespace Cheops.Tests.Unit.Workflows;

/// <summary>The fields of a message, for tests.</summary>
internal sealed class Fields : IFieldSource
{
    private readonly Dictionary<string, byte[]> _values = [];

    public Fields(params IEnumerable<(string Name, string Value)> fields)
    {
        foreach (var (name, value) in fields)
            _values[name] = Encoding.Latin1.GetBytes(value);
    }

    public static Fields None { get; } = new();

    /// <summary>These fields with others set, as an agent sends a request on.</summary>
    public Fields With(IEnumerable<OutgoingField> set)
    {
        var fields = new Fields();
        foreach (var (name, value) in _values)
            fields._values[name] = value;
        foreach (var field in set)
            fields._values[field.Name] = Encoding.Latin1.GetBytes(field.Value);
        return fields;
    }

    /// <summary>Only some of these fields, as a service carries them on.</summary>
    public Fields Only(params string[] names) => new(names.Where(_values.ContainsKey).Select(name => (name, this[name])));

    public string this[string name] => Encoding.Latin1.GetString(Find(name));

    public ReadOnlySpan<byte> Find(string name) => _values.GetValueOrDefault(name);
}

/// <summary>Profiles as the tests of workflows use them.</summary>
internal static class TestProfiles
{
    public static readonly ProfileSet Set = Combine();

    public static readonly ServiceProfile Nova = Set.For("nova");

    public static readonly ServiceProfile Shop = Set.For("shop");

    public static readonly ServiceProfile Plain = Set.For("plain");

    private static ProfileSet Combine()
    {
        var shop = ProfileReaderTests.Read("""{"profile": "shop", "services": {"shop": {"propagate": "x-shop-trace", "correlate": {"keep": "10s"}}}}""");
        var set = ProfileSet.Combine([BuiltInProfiles.Find("openstack")!, shop], out var mistakes);
        Assert.Empty(mistakes);
        return set;
    }
}
