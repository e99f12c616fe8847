using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Proto;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Workflows;

/// <summary>
/// The workflows that this agent knows (DESIGN.md section 5): begun here by a client's scoped request, or adopted from
/// another site over a link. Bounded: when it is full, the finished one that would expire first is forgotten, or else
/// the oldest in flight; that is counted, and its ids are remembered as gone. Safe from any thread; matching takes no
/// lock unless an id was found nowhere.
/// </summary>
public sealed class WorkflowTable
{
    private readonly TimeProvider _time;
    private readonly Func<WorkflowId> _newId;
    private readonly int _capacity;
    private readonly WorkflowMatcher _matcher;
    private readonly WorkflowIndex _index = new();
    private readonly ServiceVisits _visits = new();

    private readonly Lock _lock = new();
    private readonly LinkedList<Workflow> _inFlight = new();
    private readonly PriorityQueue<Workflow, DateTimeOffset> _finished = new();
    private readonly RecentSet<UInt128> _goneIds = new(Bounds.WorkflowGoneCountMax);
    private readonly RecentSet<string> _goneAliases = new(Bounds.WorkflowGoneCountMax);
    private int _count;
    private long _begun;
    private long _evicted;
    private long _expired;
    private DateTimeOffset _goneAt;
    private volatile bool _anyGone;

    /// <summary>An empty table.</summary>
    /// <param name="time">Time.</param>
    /// <param name="newId">Draws an id by chance (128 random bits).</param>
    /// <param name="profiles">The services' profiles: which fields carry ids, and how.</param>
    /// <param name="capacity">Most workflows that are remembered.</param>
    public WorkflowTable(TimeProvider time, Func<WorkflowId> newId, ProfileSet profiles, int capacity = Bounds.WorkflowCountMax)
    {
        (_time, _newId, _capacity) = (time, newId, capacity);
        _matcher = new WorkflowMatcher(_index, profiles, IsGone);
    }

    /// <summary>How many are remembered.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>How many were begun or adopted in all.</summary>
    public long BegunCount => Volatile.Read(ref _begun);

    /// <summary>How many were forgotten early because the table was full.</summary>
    public long EvictedCount => Volatile.Read(ref _evicted);

    /// <summary>How many were forgotten by age.</summary>
    public long ExpiredCount => Volatile.Read(ref _expired);

    /// <summary>Begins a workflow for a client's scoped request.</summary>
    /// <param name="scope">The scope, resolved (<see cref="Scope.Resolve"/>).</param>
    /// <param name="service">The profile of the service that the client addressed.</param>
    /// <param name="fields">The request's fields.</param>
    /// <returns>The workflow, in flight, and the fields to set in the request before it is sent on, also over a link.</returns>
    public WorkflowBeginning Begin<T>(Scope scope, ServiceProfile service, in T fields) where T : IFieldSource, allows ref struct
    {
        var workflow = new Workflow(_newId(), scope, service.Name, _time.GetUtcNow()) { Keep = service.Correlation.Keep };
        lock (_lock)
            Enroll(workflow, service.Correlation, fields);
        return new WorkflowBeginning(workflow, WorkflowFields.ToSend(workflow, service.Correlation, fields));
    }

    /// <summary>Takes up a workflow that another site began, for a request of it that came over a link.</summary>
    /// <param name="id">Its id, as the link says.</param>
    /// <param name="scope">Its scope, resolved at the first site.</param>
    /// <param name="service">The profile of the service that is addressed here.</param>
    /// <param name="fields">The request's fields, which the first site's agent has set.</param>
    /// <returns>The workflow, in flight; null when its id is known here with another scope, which is refused.</returns>
    public Workflow? Adopt<T>(WorkflowId id, Scope scope, ServiceProfile service, in T fields) where T : IFieldSource, allows ref struct
    {
        lock (_lock)
        {
            if (_index.Find(id) is not { } known)
            {
                var workflow = new Workflow(id, scope, service.Name, _time.GetUtcNow()) { Keep = service.Correlation.Keep };
                Enroll(workflow, service.Correlation, fields);
                return workflow;
            }

            if (!known.Scope.Equals(scope))
                return null;
            Resume(known);
            known.Keep = service.Correlation.Keep > known.Keep ? service.Correlation.Keep : known.Keep;
            return known;
        }
    }

    /// <summary>Tells which workflow a request belongs to, by its fields; see <see cref="WorkflowMatcher"/> for the order.</summary>
    public WorkflowMatch Match<T>(in T fields) where T : IFieldSource, allows ref struct =>
        Volatile.Read(ref _count) == 0 && !_anyGone ? default : _matcher.Match(fields);

    /// <summary>Whether any local service is carrying out a request of a workflow: only then a caller need be looked for.</summary>
    public bool AnyUnderWay => _visits.Any;

    /// <summary>Tells which workflow a request belongs to that carries no id, by the service that calls.</summary>
    /// <param name="caller">The calling service's name, by the owner of its socket; null when it is none of this site's.</param>
    /// <param name="addressed">The profile of the service that is called.</param>
    public WorkflowMatch MatchCaller(string? caller, ServiceProfile addressed) =>
        SocketOwnerDecision.Decide(caller, caller is null ? [] : _visits.At(caller), addressed);

    /// <summary>Takes a request of a matched workflow up; <see cref="Finish"/> is called once its answer is through.</summary>
    public void Join(Workflow workflow)
    {
        lock (_lock)
            Resume(workflow);
    }

    /// <summary>Notes that the local instance of a service carries out a request of a workflow, until the result is disposed of.</summary>
    public ServiceVisit Visit(Workflow workflow, string service) => _visits.Begin(workflow, service);

    /// <summary>Learns the ids that a service's answer names, for what the service goes on to do.</summary>
    public void Learn<T>(Workflow workflow, ServiceProfile service, in T fields) where T : IFieldSource, allows ref struct
    {
        foreach (var name in service.Correlation.Learn)
        {
            var value = fields.Find(name);
            if (!WorkflowFields.IsAlias(value) || _matcher.NamesOwn(value, workflow.Id))
                continue;
            var alias = Encoding.ASCII.GetString(value);
            lock (_lock)
            {
                if (!workflow.IsGone && workflow.Aliases.Length < Bounds.WorkflowAliasCountMax && !workflow.Aliases.Contains(alias))
                    _index.AddAlias(workflow, alias);
            }
        }
    }

    /// <summary>A request's answer is through. After the last, the workflow is remembered for its service's time.</summary>
    public void Finish(Workflow workflow)
    {
        lock (_lock)
        {
            if (--workflow.InFlight > 0 || workflow.IsGone)
                return;
            _inFlight.Remove(workflow.Place!);
            workflow.Place = null;
            workflow.ExpiresAt = _time.GetUtcNow() + workflow.Keep;
            Queue(workflow);
        }
    }

    /// <summary>Forgets what has expired. Called now and then; beginning a workflow does it as well.</summary>
    public void Sweep()
    {
        lock (_lock)
        {
            ForgetExpired();
            if (!_anyGone || _time.GetUtcNow() - _goneAt < TimeSpan.FromMilliseconds(Bounds.WorkflowGoneKeepMs))
                return;
            _goneIds.Clear();
            _goneAliases.Clear();
            _anyGone = false;
        }
    }

    private void Enroll<T>(Workflow workflow, Correlation correlation, in T fields) where T : IFieldSource, allows ref struct
    {
        ForgetExpired();
        while (_count >= _capacity && ForgetOldest())
            Volatile.Write(ref _evicted, _evicted + 1);
        workflow.TraceId = TraceParent.TryParse(fields.Find(WorkflowFields.TraceParentName), out var parent) ? parent.TraceId : workflow.Id.Value;
        _index.Add(workflow);
        foreach (var alias in WorkflowFields.ToKeep(correlation, fields))
        {
            if (workflow.Aliases.Length < Bounds.WorkflowAliasCountMax && !_matcher.NamesOwn(Encoding.ASCII.GetBytes(alias), workflow.Id))
                _index.AddAlias(workflow, alias);
        }

        Volatile.Write(ref _count, _count + 1);
        Volatile.Write(ref _begun, _begun + 1);
        Resume(workflow);
    }

    private void Resume(Workflow workflow)
    {
        workflow.InFlight++;
        if (!workflow.IsGone && workflow.Place is null)
            workflow.Place = _inFlight.AddLast(workflow);
    }

    private void Queue(Workflow workflow)
    {
        if (workflow.IsQueued)
            return;
        workflow.IsQueued = true;
        _finished.Enqueue(workflow, workflow.ExpiresAt);
    }

    private void ForgetExpired()
    {
        var now = _time.GetUtcNow();
        while (_finished.TryPeek(out _, out var expiresAt) && expiresAt <= now)
        {
            if (Dequeue() is not { } workflow)
                continue;
            Forget(workflow);
            Volatile.Write(ref _expired, _expired + 1);
        }
    }

    // The next to be forgotten. What resumed since it was queued stays; what finished again since then goes back to its
    // new place.
    private Workflow? Dequeue()
    {
        _finished.TryDequeue(out var workflow, out var queuedFor);
        workflow!.IsQueued = false;
        if (workflow.InFlight > 0 || workflow.IsGone)
            return null;
        if (workflow.ExpiresAt <= queuedFor)
            return workflow;
        Queue(workflow);
        return null;
    }

    private bool ForgetOldest()
    {
        while (_finished.Count > 0)
        {
            if (Dequeue() is not { } finished)
                continue;
            Forget(finished);
            return true;
        }

        if (_inFlight.First is not { } oldest)
            return false;
        Forget(oldest.Value);
        return true;
    }

    private void Forget(Workflow workflow)
    {
        workflow.IsGone = true;
        if (workflow.Place is { } place)
            _inFlight.Remove(place);
        workflow.Place = null;
        _index.Remove(workflow);
        _goneIds.Add(workflow.Id.Value);
        foreach (var alias in workflow.Aliases)
            _goneAliases.Add(alias);
        Volatile.Write(ref _count, _count - 1);
        _goneAt = _time.GetUtcNow();
        _anyGone = true;
    }

    private bool IsGone(WorkflowId? id, ReadOnlySpan<byte> alias)
    {
        lock (_lock)
        {
            if (id is { } own)
                return _goneIds.Contains(own.Value);
            Span<char> text = stackalloc char[alias.Length];
            Encoding.Latin1.GetChars(alias, text);
            return _goneAliases.Texts.Contains(text);
        }
    }
}
