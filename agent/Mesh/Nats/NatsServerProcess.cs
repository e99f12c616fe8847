using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Cheops.Proto;

namespace Cheops.Agent.Mesh.Nats;

/// <summary>
/// Runs this site's nats-server as a child: writes and checks its configuration, starts it, and starts it again with
/// growing pauses whenever it ends. The child cannot outlive the agent, however the agent ends.
/// </summary>
internal sealed class NatsServerProcess : IDisposable
{
    private readonly MeshOptions _options;
    private readonly Action<string, bool> _log;
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _stopping = new();
    private readonly TaskCompletionSource _firstStart = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _password = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));
    private volatile NatsAccess? _access;
    private Process? _process;

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

    /// <summary>Starts it and waits until it was started once.</summary>
    /// <exception cref="IOException">It cannot be started at all.</exception>
    public Task StartAsync()
    {
        _thread.Start();
        return _firstStart.Task;
    }

    private void Supervise()
    {
        var pauseMs = Bounds.NatsRestartPauseMinMs;
        while (!_stopping.IsSet)
        {
            var started = TimeProvider.System.GetTimestamp();
            try
            {
                // The same port as before, so that the agent's connections find the server again by themselves.
                _access ??= new NatsAccess(FreePort(), _password);
                var file = WriteConfiguration(_access);
                Check(file);
                Run(file);
            }
            catch (Exception e) when (e is IOException or Win32Exception or UnauthorizedAccessException or InvalidOperationException)
            {
                _log(e.Message, true);
                _firstStart.TrySetException(new IOException(e.Message, e));
            }

            if (TimeProvider.System.GetElapsedTime(started) > TimeSpan.FromMilliseconds(Bounds.NatsRestartPauseMaxMs)) pauseMs = Bounds.NatsRestartPauseMinMs;
            _stopping.Wait(pauseMs);
            pauseMs = Math.Min(pauseMs * 2, Bounds.NatsRestartPauseMaxMs);
        }
    }

    private string WriteConfiguration(NatsAccess access)
    {
        Directory.CreateDirectory(_options.Directory);
        var path = Path.Combine(_options.Directory, "nats-server.conf");
        var temporary = path + ".new";
        var options = new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        using (var writer = new StreamWriter(temporary, options)) writer.Write(NatsConfiguration.Generate(_options, access));
        File.Move(temporary, path, overwrite: true);
        return path;
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
        using var process = Process.Start(new ProcessStartInfo("setpriv", ["--pdeathsig", "TERM", _options.NatsServer, "-c", file])
        {
            RedirectStandardError = true,
            RedirectStandardInput = true,
        }) ?? throw new IOException("setpriv could not be started");
        process.StandardInput.Close();
        _process = process;
        Starts++;
        _log($"nats-server started (process {process.Id})", false);
        _firstStart.TrySetResult();

        // Reading to the end is how this thread waits: the stream ends with the process.
        while (process.StandardError.ReadLine() is { } line) Forward(line);
        process.WaitForExit();
        _process = null;
        if (!_stopping.IsSet) _log($"nats-server ended with code {process.ExitCode}, and is started again", true);
    }

    private void Forward(string line)
    {
        var serious = line.Contains("[ERR]", StringComparison.Ordinal) || line.Contains("[FTL]", StringComparison.Ordinal);
        if (line.Contains("address already in use", StringComparison.Ordinal) && line.Contains("client", StringComparison.OrdinalIgnoreCase)) _access = null;
        _log(line, serious);
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

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
