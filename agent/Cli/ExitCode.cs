namespace Cheops.Agent.Cli;

/// <summary>How a command ended. <c>cheops run</c> ends as the command it ran.</summary>
internal static class ExitCode
{
    public const int Ok = 0;
    public const int Failed = 1;
    public const int Mistake = 2;
    public const int Unreachable = 3;

    // As shells have it.
    public const int CannotExecute = 126;
    public const int NotFound = 127;
}
