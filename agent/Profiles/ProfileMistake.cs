namespace Cheops.Agent.Profiles;

/// <summary>One thing that is wrong with a profile.</summary>
/// <param name="Path">Where: the JSON path, from <c>$</c>.</param>
/// <param name="Message">What is wrong and what would be right.</param>
public sealed record ProfileMistake(string Path, string Message)
{
    /// <summary>Path and message in one line.</summary>
    public override string ToString() => $"{Path}: {Message}";
}
