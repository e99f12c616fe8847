using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Holds the next change at a service, before it is executed or with its answer, until it is released. Later ones pass.</summary>
internal sealed class Hold
{
    private readonly TaskCompletionSource _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="service">The service.</param>
    /// <param name="isExecuted">Whether it is executed, and only its answer held; else it is never executed.</param>
    public Hold(NumbersService service, bool isExecuted) => service.Behaviour = async (call, execute) =>
    {
        service.Behaviour = null;
        if (isExecuted) execute();
        _arrived.SetResult();
        await _released.Task;
        call.Reset();
    };

    /// <summary>Completes when the change is held.</summary>
    public Task Arrived => _arrived.Task.WaitAsync(Wait.Long);

    /// <summary>The connection is cut: the held answer never comes.</summary>
    public void Release() => _released.TrySetResult();
}
