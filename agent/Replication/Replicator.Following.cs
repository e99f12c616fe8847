using Cheops.Agent.Collaboration;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;

namespace Cheops.Agent.Replication;

internal sealed partial class Replicator
{
    // ---- a replicant that has moved, or is about to ------------------------------------------------------------------------

    // The replicant is moving: what is to be done to it waits until it is known where it is then.
    private async Task<(GroupRunner Runner, Operation Operation)> FollowAsync(GroupRunner before, Operation operation, Routed routed, CancellationToken cancellation)
    {
        var key = operation.Replicant;
        while (true)
        {
            var changed = before.Changed;
            if (before.Look(state => state.MoveOf(key)) is null)
            {
                var runner = before.Look(state => state.LastMarkOf(key)) is { Kind: MoveMarkKind.Closed } left ? await FindMovedAsync(before, left, operation, cancellation) : before;
                return (runner, _capture.Again(operation, routed, runner.Founding.Sites));
            }

            await changed.OrCancelled(cancellation);
        }
    }

    // Where it lives, if this site is of that group; the group that it has left, once its name is free there.
    private async Task<GroupRunner> FindMovedAsync(GroupRunner before, MoveMark left, Operation operation, CancellationToken cancellation)
    {
        var key = operation.Replicant;
        var now = await MoveQuestions.FindAsync(left.Other, left.OtherSites, key, before.Founding.Sites, cancellation);
        if (now.Fate == Fate.Lives && Find(GroupId.Of(now.Sites.AsSpan())) is { Group: not null } runner) return runner;
        if (now.Fate is Fate.Lives or Fate.Leaves) throw new ElsewhereException(now.Detail);
        if (now.Fate == Fate.Unknown) throw new GroupException(GroupError.NotMember, now.Detail);

        // A site that was left out may have kept its replica, as a resource of its own: what was meant for the replicant would change that.
        if (operation.Kind == OperationKind.Update) throw new ElsewhereException($"{key.MetaId} had moved to {string.Join(" & ", left.OtherSites)} when this came, and is deleted there: nothing is left to be changed");
        await before.ProposeAsync(new FreedEntry(left.Move, key), cancellation);
        return before;
    }
}
