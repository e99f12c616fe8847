using System.Collections.Immutable;
using Cheops.Agent.Hosting;
using Cheops.Agent.Settings;

namespace Cheops.Agent.Cli;

/// <summary>Reads settings for commands: from the environment and the file that <c>--env-file</c> names.</summary>
internal static class SettingsLoader
{
    /// <summary>The variables, those of the environment before those of the file.</summary>
    /// <returns>Null when the file cannot be read or has a mistake, which <paramref name="mistake"/> tells.</returns>
    public static IReadOnlyDictionary<string, string>? Variables(Invocation invocation, out string mistake)
    {
        mistake = "";
        var environment = invocation.Context.Environment;
        if (invocation.Value(CommonOptions.EnvFile) is not { } file) return environment;
        string text;
        try
        {
            text = File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            mistake = $"--env-file: {e.Message}";
            return null;
        }

        if (!EnvironmentFile.TryParse(file, text, out var variables, out var mistakes))
        {
            mistake = string.Join('\n', mistakes);
            return null;
        }

        var merged = new Dictionary<string, string>(variables);
        foreach (var (name, value) in environment) merged[name] = value;
        return merged;
    }

    /// <summary>The settings, checked with all that they name on this machine.</summary>
    /// <param name="invocation">The command.</param>
    /// <param name="mistakes">Every mistake, one a line; empty when there is none.</param>
    public static AgentSettings? Load(Invocation invocation, out ImmutableArray<string> mistakes)
    {
        if (Variables(invocation, out var mistake) is not { } variables)
        {
            mistakes = [.. mistake.Split('\n')];
            return null;
        }

        // Files, programs and profiles are looked at also when there is a mistake elsewhere: whoever mends it must not find the next.
        var settings = SettingsReader.ReadWhatIsRight(variables, out var wrong);
        wrong = [.. wrong, .. SettingsFiles.Check(settings, wrong, invocation.Context.Time, invocation.Context.SearchPath)];
        _ = ProfileLoader.Load(settings.Profiles, out var inProfiles);
        wrong = [.. wrong, .. inProfiles];
        mistakes = [.. wrong.Select(one => one.ToString())];
        return mistakes.IsEmpty ? settings : null;
    }
}
