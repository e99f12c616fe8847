using System.Collections.Concurrent;

namespace Cheops.Agent.Workflows;

/// <summary>Which workflows' requests each local service is carrying out. Safe from any thread.</summary>
internal sealed class ServiceVisits
{
    private readonly ConcurrentDictionary<string, Dictionary<Workflow, int>> _services = new();
    private int _underWay;

    public ServiceVisit Begin(Workflow workflow, string service)
    {
        var visitors = _services.GetOrAdd(service, static _ => []);
        lock (visitors)
            visitors[workflow] = visitors.GetValueOrDefault(workflow) + 1;
        Interlocked.Increment(ref _underWay);
        return new ServiceVisit(this, workflow, service);
    }

    public void End(Workflow workflow, string service)
    {
        if (!_services.TryGetValue(service, out var visitors))
            return;
        lock (visitors)
        {
            if (!visitors.TryGetValue(workflow, out var count))
                return;
            if (count > 1)
                visitors[workflow] = count - 1;
            else
                visitors.Remove(workflow);
        }

        Interlocked.Decrement(ref _underWay);
    }

    /// <summary>Whether any service is carrying out a request of a workflow. Asked for every request.</summary>
    public bool Any => Volatile.Read(ref _underWay) > 0;

    public Workflow[] At(string service)
    {
        if (!_services.TryGetValue(service, out var visitors))
            return [];
        lock (visitors)
            return [.. visitors.Keys];
    }
}

/// <summary>A local service carries out a request of a workflow until this is disposed of, once.</summary>
public readonly struct ServiceVisit : IDisposable
{
    private readonly ServiceVisits _visits;
    private readonly Workflow _workflow;
    private readonly string _service;

    internal ServiceVisit(ServiceVisits visits, Workflow workflow, string service) =>
        (_visits, _workflow, _service) = (visits, workflow, service);

    /// <summary>The request is done.</summary>
    public void Dispose() => _visits?.End(_workflow, _service);
}
