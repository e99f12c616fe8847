using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Cheops.Tests.Mutation;

/// <summary>What a run of tests came to.</summary>
/// <param name="Ran">Whether the tests ran: else <paramref name="Detail"/> says why not.</param>
/// <param name="Failed">The first test that failed; empty when all passed.</param>
/// <param name="Detail">What else there is to say.</param>
internal sealed record TestRun(bool Ran, string Failed, string Detail);

/// <summary>A copy of the source in which mutations are made, built and tested, so that the source itself is never touched.</summary>
internal sealed partial class Workshop : IDisposable
{
    // Tests under a mutation that makes something wait for ever end here, and that counts as found. On a busy machine all
    // is slow, so that what a layer took without a mutation counts.
    private static readonly TimeSpan TestTimeLeast = TimeSpan.FromMinutes(4);
    private const int TestTimeFactor = 3;

    private static readonly TimeSpan UnmutatedTimeMax = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan BuildTimeMax = TimeSpan.FromMinutes(30);

    private const string SystemTests = "System";

    private static readonly string[] NotCopied = [".git", "bin", "obj", "out", "TestResults"];

    // What judges the style of the source costs time here and has nothing to say about a mutation.
    private static readonly string[] Unjudged =
        ["-p:RunAnalyzers=false", "-p:TreatWarningsAsErrors=false", "-p:MSBuildTreatWarningsAsErrors=false", "-p:GenerateDocumentationFile=false", "-p:EnforceCodeStyleInBuild=false"];

    private readonly Dictionary<string, TimeSpan> _timesMax = [];
    private readonly string _root = Directory.CreateTempSubdirectory("cheops-mutate-").FullName;

    /// <summary>Copies the source.</summary>
    public Workshop(string source) => Copy(new DirectoryInfo(source), _root);

    [GeneratedRegex(@"^\s+Failed (?<name>[^\s(]+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex FailedTest { get; }

    [GeneratedRegex(@"error [A-Z]+[0-9]+: [^\[\n]*")]
    private static partial Regex CompilerError { get; }

    private static void Copy(DirectoryInfo from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in from.EnumerateFiles()) file.CopyTo(Path.Combine(to, file.Name));
        foreach (var directory in from.EnumerateDirectories().Where(directory => !NotCopied.Contains(directory.Name)))
            Copy(directory, Path.Combine(to, directory.Name));
    }

    /// <summary>Makes a mutation; disposing of what it gives takes it back.</summary>
    public IDisposable Make(Mutation mutation)
    {
        var file = Path.Combine(_root, mutation.File);
        var original = File.ReadAllText(file);
        File.WriteAllText(file, mutation.Apply(original));
        return new Undo(file, original);
    }

    /// <summary>Builds a layer's project.</summary>
    /// <returns>Null when it builds, else what the compiler says.</returns>
    public string? Build(string project)
    {
        // The system tests run the agent as a program; they do not refer to it.
        if (project == SystemTests && BuildOne("agent") is { } error) return error;
        return BuildOne(Path.Combine("tests", project));
    }

    private string? BuildOne(string project)
    {
        var (code, output) = Run(BuildTimeMax, ["build", Path.Combine(_root, project), "-v", "quiet", "-nologo", "-nodeReuse:false", .. Unjudged]);
        return code == 0 ? null : CompilerError.Match(output) is { Success: true } found ? found.Value : Tail(output);
    }

    /// <summary>Runs a layer's tests until the first that fails; the first time, which is without a mutation, tells how long they may take.</summary>
    public TestRun Test(TestLayer layer)
    {
        var watch = Stopwatch.StartNew();
        var run = Test(layer, _timesMax.GetValueOrDefault(layer.ToString(), UnmutatedTimeMax));
        _timesMax.TryAdd(layer.ToString(), watch.Elapsed * TestTimeFactor > TestTimeLeast ? watch.Elapsed * TestTimeFactor : TestTimeLeast);
        return run;
    }

    private TestRun Test(TestLayer layer, TimeSpan timeMax)
    {
        var (code, output) = Run(timeMax, ["test", Path.Combine(_root, "tests", layer.Project), "--no-build", "--nologo", "--filter", layer.Filter, "--", "xUnit.StopOnFail=true"]);
        if (code == null) return new TestRun(true, "(they do not end)", "");
        if (FailedTest.Match(output) is { Success: true } failed) return new TestRun(true, failed.Groups["name"].Value, "");
        if (code != 0 && output.Contains("aborted", StringComparison.Ordinal)) return new TestRun(true, "(the test process ended)", "");
        return new TestRun(code == 0 && output.Contains("Passed!", StringComparison.Ordinal), "", Tail(output));
    }

    // Null for the code: it took too long.
    private (int? Code, string Output) Run(TimeSpan timeMax, string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["CHEOPS_BIN"] = Path.Combine(_root, "agent", "bin", "Debug", "net10.0", "cheops");
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        var ended = process.WaitForExit(timeMax);
        if (!ended) process.Kill(entireProcessTree: true);
        process.WaitForExit();
        return (ended ? process.ExitCode : null, output.Result + errors.Result);
    }

    private static string Tail(string output) => string.Join('\n', output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^Math.Min(8, output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length)..]);

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private sealed class Undo(string file, string original) : IDisposable
    {
        public void Dispose() => File.WriteAllText(file, original);
    }
}
