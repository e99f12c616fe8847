using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Cheops.Agent.Mesh.Nats;

/// <summary>
/// Runs this site's nats-server as a child: writes and checks its configuration, starts it, and starts it again with
/// growing pauses whenever it ends. The child cannot outlive the agent, however the agent ends.
/// </summary>
internal sealed partial class NatsServerProcess : IDisposable
{
    private const int Hangup = 1;
    private const string ConfigurationFile = "nats-server.conf";

    private readonly Lock _writing = new();
    private readonly Action<string, bool> _log;
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _stopping = new();
    private readonly TaskCompletionSource _firstStart = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _password = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));
    private volatile MeshOptions _options;
    private volatile NatsAccess? _access;
    private volatile bool _restarting;
    private bool _portTaken;
    private volatile Process? _process;

    /// <summary>Prepares to run the server.</summary>
    /// <param name="options">What to configure it for.</param>
    /// <param name="log">Takes the server's lines; the flag says that a person should read it.</param>
    public NatsServerProcess(MeshOptions options, Action<string, bool> log)
    {
        _options = options;
        _log = log;

        // The kernel ends the child when the thread that started it ends, so that thread lives as long as the agent.
        _thread = new Thread(Supervise) { IsBackground = true, Name = "nats-server" };
    }

    /// <summary>How to sign in; null until the server first started.</summary>
    public NatsAccess? Access => _access;

    /// <summary>How often the server was started.</summary>
    public int Starts { get; private set; }

    /// <summary>Its process number; null when it does not run.</summary>
    public int? ProcessId { get; private set; }

    /// <summary>Starts it and waits until it was started once.</summary>
    /// <exception cref="IOException">It cannot be started at all.</exception>
    public Task StartAsync()
    {
        _thread.Start();
        return _firstStart.Task;
    }

    private void Supervise()
    {
        var pause = new RestartPause();
        while (!_stopping.IsSet)
        {
            var started = TimeProvider.System.GetTimestamp();
            try
            {
                // The same port as before, so that the agent's connections find the server again by themselves.
                if (_access is null || _portTaken) _access = new NatsAccess(FreePort(), _password);
                _portTaken = false;
                _restarting = false;
                var file = WriteConfiguration(_options, _access, ConfigurationFile);
                Check(file);
                Run(file);
                if (_restarting) continue;
            }
            catch (Win32Exception e)
            {
                var message = $"{_options.NatsServer} or setpriv cannot be started ({e.Message}): install nats-server and util-linux, or set CHEOPS_NATS_SERVER";
                _log(message, true);
                _firstStart.TrySetException(new IOException(message, e));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidOperationException)
            {
                _log(e.Message, true);
                _firstStart.TrySetException(new IOException(e.Message, e));
            }

            _stopping.Wait(pause.AfterMs(TimeProvider.System.GetElapsedTime(started)));
        }
    }

    private string WriteConfiguration(MeshOptions options, NatsAccess access, string name)
    {
        lock (_writing)
        {
            Directory.CreateDirectory(options.Directory);
            var path = Path.Combine(options.Directory, name);
            var temporary = path + ".new";
            var ownersAlone = new FileStreamOptions
            {
                Mode = FileMode.Create,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            };
            using (var writer = new StreamWriter(temporary, ownersAlone)) writer.Write(NatsConfiguration.Generate(options, access));
            File.Move(temporary, path, overwrite: true);
            return path;
        }
    }

    private void Check(string file)
    {
        using var check = Process.Start(new ProcessStartInfo(_options.NatsServer, ["-t", "-c", file])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        }) ?? throw new IOException($"{_options.NatsServer} could not be started");
        var output = check.StandardError.ReadToEnd() + check.StandardOutput.ReadToEnd();
        check.WaitForExit();
        if (check.ExitCode != 0) throw new IOException($"{_options.NatsServer} refuses its configuration {file}: {output.Trim()}");
    }

    private void Run(string file)
    {
        // The kernel ends it with this thread, and this thread ends with the agent, however the agent ends.
        var start = new ProcessStartInfo("setpriv", ["--pdeathsig", "KILL", _options.NatsServer, "-c", file])
        {
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.Environment["GOMEMLIMIT"] = "40MiB";
        using var process = Process.Start(start) ?? throw new IOException("setpriv could not be started");
        process.StandardInput.Close();
        _process = process;
        ProcessId = process.Id;
        if (_stopping.IsSet) process.Kill();
        Starts++;
        _log($"nats-server started (process {process.Id})", false);
        _firstStart.TrySetResult();

        // Reading to the end is how this thread waits: the stream ends with the process.
        while (process.StandardError.ReadLine() is { } line) Forward(line);
        process.WaitForExit();
        _process = null;
        ProcessId = null;
        if (_restarting) _log("nats-server is started again with its new configuration", false);
        else if (!_stopping.IsSet) _log($"nats-server ended with code {process.ExitCode}, and is started again", true);
    }

    private void Forward(string line)
    {
        var serious = line.Contains("[ERR]", StringComparison.Ordinal) || line.Contains("[FTL]", StringComparison.Ordinal);

        // Someone took the port between the choice and the start: choose another.
        if (line.Contains("Error listening on port", StringComparison.Ordinal)) _portTaken = true;
        _log(line, serious);

        // What this server takes over by a reload differs from version to version.
        if (line.Contains("Failed to reload", StringComparison.Ordinal)) Restart();
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    /// <summary>Takes over other peers: by a reload where that is enough, else by a restart, which interrupts every link.</summary>
    /// <param name="options">What to configure it for now.</param>
    /// <exception cref="IOException">The server would refuse it; the configuration before holds.</exception>
    public void Reconfigure(MeshOptions options)
    {
        if (_access is not { } access) throw new IOException("nats-server has not been started yet");
        Check(WriteConfiguration(options, access, ConfigurationFile + ".check"));
        var restarts = NatsConfiguration.NeedsRestart(_options, options);
        _options = options;
        WriteConfiguration(options, access, ConfigurationFile);
        if (restarts) Restart();
        else Reload();
    }

    private void Restart()
    {
        _restarting = true;
        try
        {
            _process?.Kill();
        }
        catch (InvalidOperationException)
        {
            // It has ended, and is started with the configuration as it is now.
        }
    }

    /// <summary>Makes the server read its configuration and certificates again.</summary>
    public void Reload()
    {
        if (_process is not { } process) return;
        try
        {
            if (Kill(process.Id, Hangup) != 0) _log("nats-server could not be told to read its configuration again", true);
        }
        catch (InvalidOperationException)
        {
            // It has ended, and reads them when it is started again.
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);

    public void Dispose()
    {
        _stopping.Set();
        try
        {
            if (_process is { } process)
            {
                process.Kill();
                process.WaitForExit(2000);
            }
        }
        catch (InvalidOperationException)
        {
            // It ended by itself meanwhile.
        }
    }
}
