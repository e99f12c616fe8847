using System.Reflection;

namespace Cheops.Tests.Unit.Conformance;

/// <summary>
/// What RFC 9110 and 9112 ask of a proxy, and what proxies got wrong, case by case from the files in <c>Cases</c>: judged by
/// what the client saw and by what the service received.
/// </summary>
public sealed class ConformanceTests
{
    private static readonly Dictionary<string, Script> Scripts = Load();

    public static TheoryData<string> Names => [.. Scripts.Keys];

    private static Dictionary<string, Script> Load()
    {
        var assembly = Assembly.GetExecutingAssembly();
        var scripts = new Dictionary<string, Script>();
        foreach (var file in assembly.GetManifestResourceNames().Where(name => name.EndsWith(".http", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(file)!);
            foreach (var script in Script.Read(reader.ReadToEnd())) scripts.Add(script.Name, script);
        }

        return scripts;
    }

    [Theory, MemberData(nameof(Names))]
    public Task Holds(string name) => Play.RunAsync(Scripts[name], byteByByte: false);

    [Theory, MemberData(nameof(Names))]
    public Task Holds_byte_by_byte(string name) => Play.RunAsync(Scripts[name], byteByByte: true);

    [Fact]
    public void There_are_cases_of_every_kind()
    {
        Assert.True(Scripts.Count >= 150, $"only {Scripts.Count} cases were found");
        Assert.All(Scripts.Values, script => Assert.True(
            script.Steps.Any(step => step.Act is Act.ClientGot or Act.ServiceGot), $"'{script.Name}' looks at nothing"));
    }
}
