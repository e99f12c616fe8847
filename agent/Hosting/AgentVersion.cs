using System.Reflection;

namespace Cheops.Agent.Hosting;

/// <summary>Which agent this is.</summary>
public static class AgentVersion
{
    private static readonly string[] Parts =
        (typeof(AgentVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0.0.0").Split('+', 2);

    /// <summary>Its version, <c>major.minor.patch</c>.</summary>
    public static string Text => Parts[0];

    /// <summary>The commit it was built from; empty when it is not known.</summary>
    public static string Commit => Parts.Length > 1 ? Parts[1] : "";
}
