using System.Collections.Immutable;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication.State;

/// <summary>Where an operation stands at one site.</summary>
public enum SiteStep : byte
{
    /// <summary>It waits to be carried out there, or for its decision.</summary>
    Pending,
    /// <summary>Carried out.</summary>
    Applied,
    /// <summary>The application there refused it: divergence, until a person resolves it.</summary>
    Failed,
    /// <summary>Left out by decision of a person.</summary>
    Skipped,
    /// <summary>It may have been executed there, which cannot be told by looking: a person decides. Later operations wait.</summary>
    InDoubt,
    /// <summary>Not to be done: the site was removed from the group.</summary>
    Removed,
    /// <summary>Another site decides in the place of this one, which may have carried it out.</summary>
    Replaced,
}

/// <summary>One operation that is not finished, or has diverged, as a group's members know it. What it carries stays in the log.</summary>
public sealed class OperationState
{
    private readonly SiteStep[] _steps;
    private readonly ServiceResult?[] _answers;

    internal OperationState(Operation operation, long index, string decider, ImmutableArray<string> sites)
    {
        (Id, Index, Kind, Operator, Repetition) = (operation.Id, index, operation.Kind, operation.Operator, operation.Repetition);
        (Key, Resource, Method, Target, AtUnixMs) = (operation.Replicant, operation.Resource, operation.Method, operation.Target, operation.AtUnixMs);
        (Origin, Decider, Sites, BodyHash) = (operation.Origin, decider, sites, operation.BodyHash.ToArray());
        (User, UserGroups, Makes) = (operation.User, operation.UserGroups, operation.Id);
        _steps = new SiteStep[sites.Length];
        _answers = new ServiceResult?[sites.Length];
    }

    /// <summary>Its id.</summary>
    public OperationId Id { get; }

    /// <summary>Where it stands in the group's log.</summary>
    public long Index { get; }

    /// <summary>What it does.</summary>
    public OperationKind Kind { get; }

    /// <summary>The replication operator.</summary>
    public byte Operator { get; }

    /// <summary>How it is resolved when in doubt.</summary>
    public Repetition Repetition { get; }

    /// <summary>The replicant; of a create whose id the service chooses, the meta-id is empty until it is decided.</summary>
    public ReplicantKey Key { get; internal set; }

    /// <summary>The resource's name in its profile.</summary>
    public string Resource { get; }

    /// <summary>The method.</summary>
    public string Method { get; }

    /// <summary>The target, with meta-ids.</summary>
    public string Target { get; }

    /// <summary>The hash under which its body is kept; empty for a body in the log, or none.</summary>
    public ReadOnlyMemory<byte> BodyHash { get; }

    /// <summary>Where it came in.</summary>
    public string Origin { get; }

    /// <summary>When it came in, in milliseconds since 1970.</summary>
    public long AtUnixMs { get; }

    /// <summary>The user that the agent has verified; empty for none.</summary>
    public string User { get; }

    /// <summary>The groups of <see cref="User"/>.</summary>
    public ImmutableArray<string> UserGroups { get; }

    /// <summary>The create that has made the replicant of which this one makes a replica: itself, but for a copy at a site that was added.</summary>
    public OperationId Makes { get; internal set; }

    /// <summary>Its place among the operations that one entry brings; 0 for the first.</summary>
    internal int Part { get; set; }

    /// <summary>Who decides it, or has.</summary>
    public string Decider { get; internal set; }

    /// <summary>Index of the entry that made <see cref="Decider"/> the deciding site; 0 for the proposal itself.</summary>
    public long Claim { get; internal set; }

    /// <summary>Whether <see cref="Decider"/> decides in the place of a site that fell silent, and may have carried it out.</summary>
    public bool IsTakenOver => Claim > 0 && Decider != (Sites.Contains(Origin) ? Origin : Sites[0]);

    /// <summary>Whether it is not to be carried out anywhere.</summary>
    public bool IsRefused => Decision is Proto.Operations.Decision.Refused or Proto.Operations.Decision.NotExecuted;

    /// <summary>The decision; null while there is none.</summary>
    public Decision? Decision { get; internal set; }

    /// <summary>The group's sites.</summary>
    public ImmutableArray<string> Sites { get; }

    /// <summary>Where it stands at a site.</summary>
    public SiteStep StepAt(string site) => Sites.IndexOf(site) is >= 0 and var at ? _steps[at] : SiteStep.Skipped;

    /// <summary>Whether later operations on the replicant wait for it at a site.</summary>
    public bool IsOpenAt(string site) => StepAt(site) is SiteStep.Pending or SiteStep.InDoubt or SiteStep.Replaced;

    /// <summary>What the service at a site answered; null when it is not known.</summary>
    public ServiceResult? AnswerAt(string site) => Sites.IndexOf(site) is >= 0 and var at ? _answers[at] : null;

    /// <summary>Whether nothing more is to be done anywhere.</summary>
    public bool IsFinished => Decision is not null && !_steps.Any(static step => step is SiteStep.Pending or SiteStep.InDoubt);

    /// <summary>Whether the application at some site refused what was accepted.</summary>
    public bool IsDiverged => _steps.Contains(SiteStep.Failed);

    /// <summary>The steps, in the order of <see cref="Sites"/>.</summary>
    public ReadOnlySpan<SiteStep> Steps => _steps;

    internal void Set(string site, SiteStep step, ServiceResult? answer)
    {
        if (Sites.IndexOf(site) is not (>= 0 and var at)) return;
        _steps[at] = step;
        _answers[at] = answer;
    }

    internal void SetAll(SiteStep step) => Array.Fill(_steps, step);

    // Who decided before, and may have carried it out, has still to tell.
    internal void SetRefused()
    {
        foreach (ref var step in _steps.AsSpan()) step = step == SiteStep.Replaced ? SiteStep.Pending : SiteStep.Skipped;
    }

    internal void SetAccepted()
    {
        foreach (ref var step in _steps.AsSpan()) step = step == SiteStep.Replaced ? SiteStep.Pending : step;
    }

    /// <summary>What <c>Cheops-Replicas</c> says: <c>Site1=applied; Site2=pending</c>.</summary>
    public string Describe() => Decision is Proto.Operations.Decision.Moved ? string.Join("; ", Sites.Select(site => $"{site}=moved"))
        : IsRefused
        ? string.Join("; ", Sites.Select((site, at) => $"{site}={(_steps[at] is SiteStep.Pending or SiteStep.InDoubt or SiteStep.Applied ? NameOf(_steps[at]) : "refused")}"))
        : string.Join("; ", Sites.Select((site, at) => $"{site}={NameOf(_steps[at])}"));

    /// <summary>The word for a step.</summary>
    public static string NameOf(SiteStep step) => step switch
    {
        SiteStep.Applied => "applied",
        SiteStep.Failed => "failed",
        SiteStep.Skipped => "skipped",
        SiteStep.InDoubt => "in-doubt",
        SiteStep.Removed => "removed",
        _ => "pending",
    };

    // ---- for snapshots ---------------------------------------------------------------------------------------------

    internal ReadOnlyMemory<byte> Export()
    {
        var writer = new EntryWriter().Number(Index).Small(Part).Id(Makes).Text(Decider).Number(Claim).Byte((byte)(Decision ?? 0)).Text(Key.MetaId).Small(_steps.Length);
        for (var i = 0; i < _steps.Length; i++)
        {
            var answer = _answers[i] ?? new ServiceResult(0, "", "");
            writer.Text(Sites[i]).Byte((byte)_steps[i]).Byte(_answers[i] is null ? (byte)0 : (byte)1).Small(answer.Status).Text(answer.LocalId).Text(answer.Excerpt);
        }

        return writer.Written;
    }

    internal static OperationState? Import(ref EntryReader reader, Operation operation, ImmutableArray<string> sites)
    {
        var (index, part, makes) = (reader.Number(), reader.Small(), reader.Id());
        var state = new OperationState(operation, index, reader.Text(Proto.Bounds.SiteNameLengthMax), sites) { Part = part, Makes = makes };
        state.Claim = reader.Number();
        var decision = (Decision)reader.Byte();
        if (decision != 0 && !Enum.IsDefined(decision)) return null;
        if (decision != 0) state.Decision = decision;
        state.Key = operation.Replicant with { MetaId = reader.Text(Proto.Bounds.LocalIdSizeMax) };
        var count = reader.Count(Proto.Bounds.GroupSitesMax);
        for (var i = 0; i < count; i++)
        {
            var site = reader.Text(Proto.Bounds.SiteNameLengthMax);
            var step = (SiteStep)reader.Byte();
            var known = reader.Byte() != 0;
            var answer = new ServiceResult(reader.Small(), reader.Text(Proto.Bounds.LocalIdSizeMax), reader.Text(Proto.Bounds.AnswerExcerptSizeMax));
            if (!Enum.IsDefined(step)) return null;
            state.Set(site, step, known ? answer : null);
        }

        return reader.Failed ? null : state;
    }
}
