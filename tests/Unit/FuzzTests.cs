using Cheops.Tests.Fuzz;
using Xunit.Abstractions;

namespace Cheops.Tests.Unit;

/// <summary>A short run of every fuzz target; a longer one, guided by coverage, is <c>scripts/fuzz TARGET --seconds N</c>.</summary>
public sealed class FuzzTests(ITestOutputHelper output)
{
    public static TheoryData<string> Targets => [.. FuzzTargets.All.Select(target => target.Name)];

    [Theory, MemberData(nameof(Targets))]
    public void Holds_for_what_is_kept(string name)
    {
        var target = FuzzTargets.All.Single(target => target.Name == name);
        foreach (var input in Corpus.Of(target))
        {
            var broken = Record.Exception(() => target.Run(input));
            Assert.True(broken is null, $"{Corpus.NameOf(input)}: {broken}");
        }
    }

    [Theory, MemberData(nameof(Targets))]
    public void Holds_for_a_while(string name)
    {
        const int seed = 1;
        const long executions = 15_000;
        var report = new Fuzzer(FuzzTargets.All.Single(target => target.Name == name), seed).Run(executions);
        output.WriteLine($"{name}: seed {seed}, {report.Executions} executions, {report.Outcomes} different outcomes");
        Assert.True(report.Crash is null, $"seed {seed}, execution {report.Executions}: {report.Crash?.Message}\ninput (base64): {Convert.ToBase64String(report.CrashInput)}");
        Assert.True(report.Outcomes > 5, "the inputs reach too little");
    }
}
