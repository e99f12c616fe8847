using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Holds the next change at a service, before it is executed or with its answer, until it is released. Later ones pass.</summary>
internal sealed class Hold
{
    private readonly TaskCompletionSource _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<bool> _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="service">The service.</param>
    /// <param name="isExecuted">Whether it is executed, and only its answer held; else it is never executed.</param>
    public Hold(NumbersService service, bool isExecuted) => service.Behaviour = async (call, execute) =>
    {
        service.Behaviour = null;
        var (status, body) = isExecuted ? execute() : (503, "{}");
        _arrived.SetResult();
        if (!await _released.Task)
        {
            call.Reset();
            return;
        }

        await call.AnswerJsonAsync(status, body);
        _answered.SetResult();
    };

    /// <summary>Completes when the change is held.</summary>
    public Task Arrived => _arrived.Task.WaitAsync(Wait.Long);

    /// <summary>The connection is cut: the held answer never comes.</summary>
    public void Release() => _released.TrySetResult(false);

    /// <summary>The held answer comes after all; completes when it is sent.</summary>
    public Task AnswerAsync()
    {
        _released.SetResult(true);
        return _answered.Task.WaitAsync(Wait.Long);
    }
}
