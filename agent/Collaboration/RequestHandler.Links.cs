using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Agent.Replication;
using Cheops.Agent.Workflows;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Collaboration;

internal sealed partial class RequestHandler
{
    // ---- 1: from another site -------------------------------------------------------------------------------------

    private async ValueTask HandleLinkAsync(Exchange exchange, InboundStream inbound)
    {
        var opening = inbound.Opening;
        if (opening.Service == Contents.LinkService && _parts.Contents is { } contents)
        {
            await contents.ServeAsync(exchange, _failures);
            return;
        }

        if (opening.Service == Elsewhere.LinkService && _parts.Elsewhere is { } elsewhere)
        {
            await elsewhere.ServeAsync(exchange);
            return;
        }

        if (opening.Service == MoveQuestions.LinkService && _parts.Replicator is { } replicator)
        {
            await replicator.MoveQuestions.ServeAsync(exchange);
            return;
        }

        var profile = _parts.Profiles.For(opening.Service);
        Workflow? workflow = null;
        if (opening.Workflow is { } origin)
        {
            if (!WorkflowId.TryParse(origin.Id, out var id) || !_scopes.TryParse(origin.Scope, out var scope, out _))
            {
                await exchange.RespondAsync(_failures.Ambiguous(opening.Service, $"{inbound.FromSite} sent a workflow that cannot be read"));
                return;
            }

            workflow = _parts.Workflows.Adopt(id, scope, profile, new HeadFields(exchange.Request));
            if (workflow is null)
            {
                await exchange.RespondAsync(_failures.Ambiguous(opening.Service, $"the workflow {origin.Id} is known here with another scope"));
                return;
            }
        }

        try
        {
            if (!await IsSettledAsync(exchange, opening.Service)) return;
            var routed = new Routed
            {
                Exchange = exchange,
                Service = opening.Service,
                Profile = profile,
                Workflow = workflow,
                Fields = workflow is null ? [] : WorkflowFields.ToSend(workflow, profile.Correlation, new HeadFields(exchange.Request)),
                User = opening.User,
                Prefix = "",
            };

            // Carried out here, whatever the scope says: what came over a link is never planned again for its service. Only
            // to replicate it, since the site where it came in is none of the group, it was sent here as it is.
            if (opening.Replicate) await ReplicateForAsync(routed, workflow?.Scope);
            else await RunOneAsync(routed, new SitePlan(_parts.Site, IsLocal: true));
        }
        finally
        {
            if (workflow is not null) _parts.Workflows.Finish(workflow);
        }
    }

    // A scope that gives the service no location names no sites to replicate at: then the path names a replicant of this site.
    private async ValueTask ReplicateForAsync(Routed routed, Scope? scope)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.ContinueOnCapturedContext);
        var exchange = routed.Exchange;
        var isRead = IsRead(exchange.Request);
        var result = _planner.Plan(
            new PlanRequest { Service = routed.Service, Scope = scope, Origin = RequestOrigin.Workflow, Path = PathOf(exchange.Target), IsRead = isRead }, _parts.Mesh.Sites);
        if (NotBuilt(exchange, result) is { } notBuilt)
            await exchange.RespondAsync(notBuilt);
        else if (!result.IsPlanned)
            await exchange.RespondAsync(_failures.Refused(routed.Service, result.Refusal, _parts.Mesh.Sites.Select(site => site.Name)));
        else if (result.Plan is AllPlan all && ReplicaSites.Of(all, _parts.Mesh.Sites).Contains(_parts.Site))
            await RunAllAsync(routed, all);
        else if (scope?.LocationOf(routed.Service, addressed: false) is null && !IsReadHere(result))
            await exchange.RespondAsync(_failures.NoReplicant(routed.Service));
        else
            await RunHereAsync(routed, result.Replicant);
    }

    private static bool IsReadHere(PlanResult result) => result is { Replicant: not null, Plan: SitePlan { IsLocal: true } };

    private ValueTask RunHereAsync(Routed routed, Replicant? replicant)
    {
        if (replicant is not null) TellReplicas(routed.Exchange, replicant);
        return RunOneAsync(routed, new SitePlan(_parts.Site, IsLocal: true));
    }

    // Just after a start it may not be known which replicant is named: then nothing is changed at this site alone.
    private async ValueTask<bool> IsSettledAsync(Exchange exchange, string service)
    {
        if (_parts.Replicator is not { Replicants.IsSettled: false } replicator || !_parts.Replicants.MayName(service, PathOf(exchange.Target))) return true;
        if (await replicator.Settling.WaitAsync(service, PathOf(exchange.Target).ToArray(), IsRead(exchange.Request)) is not { } why) return true;
        exchange.ResponseEdits.Added.Add("Retry-After"u8, "1"u8);
        await exchange.RespondAsync(_failures.NotSettled(service, why));
        return false;
    }
}
