using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Applications;

/// <summary>A real application at two sites, run by its script; its state is in a directory of the test's own.</summary>
internal sealed class Application(string script, IReadOnlyDictionary<string, string> environment) : IAsyncDisposable
{
    private readonly Dictionary<string, string> _environment = new(environment);

    public IReadOnlyDictionary<string, string> Environment => _environment;

    /// <summary>Runs the script, which must succeed.</summary>
    public async Task<string> RunAsync(TimeSpan most, params string[] arguments)
    {
        // To a file: what the script starts keeps its standard streams open, and a pipe would not end.
        var output = Path.GetTempFileName();
        try
        {
            var words = string.Join(' ', arguments.Select(word => $"'{word}'"));
            var ran = await Commands.ShellAsync($"'{script}' {words} >'{output}' 2>&1 </dev/null", _environment, most);
            var text = await File.ReadAllTextAsync(output);
            Assert.True(ran.ExitCode == 0, $"{script} {words}: exit {ran.ExitCode}\n{text}\n{ran.Error}");
            return text;
        }
        finally
        {
            File.Delete(output);
        }
    }

    public async ValueTask DisposeAsync() => await RunAsync(TimeSpan.FromMinutes(2), "down", "--purge");
}
