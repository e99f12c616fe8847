using System.Runtime.InteropServices;

namespace Cheops.Agent.Hosting;

/// <summary>
/// The signals that an agent obeys: SIGTERM and SIGINT end it, a second one ends it at once, SIGHUP has it read its
/// settings again. SIGPIPE is ignored by the runtime.
/// </summary>
public sealed class ProcessSignals : IDisposable
{
    private readonly TaskCompletionSource _stop = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _stopNow = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _reload = new(0);
    private readonly PosixSignalRegistration[] _registrations;

    /// <summary>Takes the signals over.</summary>
    public ProcessSignals() => _registrations =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnStop),
        PosixSignalRegistration.Create(PosixSignal.SIGINT, OnStop),
        PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnReload),
    ];

    /// <summary>Completes when the process is asked to end.</summary>
    public Task Stop => _stop.Task;

    /// <summary>Completes when it is asked again.</summary>
    public Task StopNow => _stopNow.Task;

    /// <summary>Completes when the process is asked to read its settings again; several such signals may count as one.</summary>
    public async Task ReloadAsync(CancellationToken cancellation)
    {
        await _reload.WaitAsync(cancellation);
        while (await _reload.WaitAsync(0, cancellation))
        {
            // Once is enough for all that came until now.
        }
    }

    private void OnStop(PosixSignalContext signal)
    {
        signal.Cancel = true;
        if (!_stop.TrySetResult()) _stopNow.TrySetResult();
    }

    private void OnReload(PosixSignalContext signal)
    {
        signal.Cancel = true;
        _reload.Release();
    }

    /// <summary>Gives the signals back.</summary>
    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _reload.Dispose();
    }
}
