using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Cheops.Agent.Hosting;

namespace Cheops.Agent.Cli.Running;

/// <summary>Runs any command behind a proxy of its own that adds the scope to its plain requests.</summary>
internal static class ProxyRun
{
    private static readonly string[] ProxyVariables = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

    public static async Task<int> RunAsync(Invocation invocation, string scope)
    {
        await using var proxy = new ScopeProxy(scope, note => invocation.Error.WriteLine($"cheops run: {note}"), invocation.Context.Time);
        proxy.Start();
        var start = new ProcessStartInfo(invocation.Rest[0], invocation.Rest[1..]) { UseShellExecute = false };
        foreach (var name in ProxyVariables) start.Environment[name] = $"http://{proxy.Address}";

        // What is not to go through a proxy would go without the scope.
        start.Environment.Remove("no_proxy");
        start.Environment.Remove("NO_PROXY");
        try
        {
            using var process = Process.Start(start)!;
            using var signals = new PassedSignals(process.Id);
            await process.WaitForExitAsync();
            return process.ExitCode;
        }
        catch (Win32Exception e)
        {
            return RunCommand.NotStarted(invocation, invocation.Rest[0], e.NativeErrorCode);
        }
    }

    // Signals to us are meant for the command. What the terminal's keys send goes to both at once, and is passed on only
    // where there is no terminal.
    private sealed class PassedSignals : IDisposable
    {
        private readonly List<PosixSignalRegistration> _registrations = [];

        public PassedSignals(int process)
        {
            var hasTerminal = Native.IsTerminal(0) == 1;
            Pass(PosixSignal.SIGTERM, process, Native.SignalTerminate);
            Pass(PosixSignal.SIGHUP, process, Native.SignalHangUp);
            Pass(PosixSignal.SIGINT, process, hasTerminal ? 0 : Native.SignalInterrupt);
            Pass(PosixSignal.SIGQUIT, process, hasTerminal ? 0 : Native.SignalQuit);
        }

        private void Pass(PosixSignal signal, int process, int number) => _registrations.Add(PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            if (number != 0) _ = Native.Kill(process, number);
        }));

        public void Dispose() => _registrations.ForEach(registration => registration.Dispose());
    }
}
