namespace Cheops.Agent.Settings;

/// <summary>One thing that is wrong with the settings.</summary>
/// <param name="Variable">The variable's name.</param>
/// <param name="Message">What was found, what is expected, what to do. Never a secret.</param>
public sealed record SettingMistake(string Variable, string Message)
{
    /// <summary>Name and message in one line.</summary>
    public override string ToString() => $"{Variable}: {Message}";
}
