using System.Collections.Immutable;
using Cheops.Agent.Replication.State;
using Cheops.Proto.Operations;
using CsCheck;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Nothing waits for a site that was removed from its group.</summary>
public sealed class RemovedSiteTests
{
    private static readonly ImmutableArray<string> Sites = ["Site1", "Site2", "Site3"];
    private static readonly ServiceResult Fine = new(200, "", "");

    private static ProposedEntry Update(int number, string name, string origin) => new(new Operation
    {
        Id = new OperationId((UInt128)number),
        Kind = OperationKind.Update,
        Repetition = Repetition.Idempotent,
        Origin = origin,
        Replicant = new ReplicantKey("shop", "/items", name),
        Resource = "items",
        Method = "PUT",
        Target = $"/items/{name}",
    });

    private static OutcomeEntry Accepted(int number, string site, long claim = 0) => new(new OperationId((UInt128)number), site, Decision.Accepted, "", Fine, claim);

    private static List<Effect> Apply(GroupState state, long index, GroupEntry entry)
    {
        var effects = new List<Effect>();
        state.Apply(index, entry, effects);
        return effects;
    }

    [Fact]
    public void What_waited_for_it_alone_is_finished_and_what_comes_later_does_not_wait()
    {
        var state = new GroupState("Site1", Sites);
        Apply(state, 1, Update(1, "a", "Site1"));
        Apply(state, 2, Accepted(1, "Site1"));
        Apply(state, 3, new AppliedEntry(new OperationId(1), "Site2", SiteResult.Applied, Fine));
        var effects = Apply(state, 4, new RemovedEntry("Site3"));
        Assert.Equal("Site1=applied; Site2=applied; Site3=removed", effects.OfType<Finished>().Single().Operation.Describe());
        Assert.Equal(new SiteRemoved("Site3", 4), effects.OfType<SiteRemoved>().Single());
        Assert.Empty(state.Open);
        Assert.Null(state.OldestNeeded);
        Apply(state, 5, Update(2, "a", "Site1"));
        Assert.Equal("Site1=pending; Site2=pending; Site3=removed", state.Open.Single().Describe());
        Assert.Empty(Apply(state, 6, new RemovedEntry("Site3")));
    }

    [Fact]
    public void What_had_failed_there_is_no_divergence_any_more()
    {
        var state = new GroupState("Site1", Sites);
        Apply(state, 1, Update(1, "a", "Site1"));
        Apply(state, 2, Accepted(1, "Site1"));
        Apply(state, 3, new AppliedEntry(new OperationId(1), "Site3", SiteResult.Failed, new ServiceResult(409, "", "no")));
        Apply(state, 4, new AppliedEntry(new OperationId(1), "Site2", SiteResult.Applied, Fine));
        Assert.True(state.Open.Single().IsDiverged);
        Apply(state, 5, new RemovedEntry("Site3"));
        Assert.Empty(state.Open);
        Assert.Equal((SiteStep.Removed, 409), (state.RecentlyFinished.Single().StepAt("Site3"), state.RecentlyFinished.Single().AnswerAt("Site3")!.Status));
    }

    [Fact]
    public void What_it_was_to_decide_another_site_decides_also_when_it_never_looked_silent()
    {
        var state = new GroupState("Site1", Sites);
        Apply(state, 1, Update(1, "a", "Site3"));
        var next = Apply(state, 2, new RemovedEntry("Site3")).OfType<CarryOut>().Single();
        Assert.Equal((true, "Site1", 2L, true), (next.Decides, next.Operation.Decider, next.Operation.Claim, next.Operation.IsTakenOver));
        Assert.Empty(Apply(state, 3, Accepted(1, "Site3")));
        Apply(state, 4, Accepted(1, "Site1", claim: 2));
        Assert.Equal("Site1=applied; Site2=pending; Site3=removed", state.Open.Single().Describe());
        Assert.Empty(Apply(state, 5, new DeciderEntry(new OperationId(1), "Site1", "Site3")));
    }

    [Fact]
    public void Of_what_is_applied_again_only_what_came_later_knows_of_it()
    {
        Gen.Int[0, int.MaxValue].Sample(seed =>
        {
            var chance = new Random(seed);
            var log = new List<GroupEntry>();
            for (var number = 1; number <= 30; number++)
            {
                var id = new OperationId((UInt128)chance.Next(1, number + 1));
                var site = Sites[chance.Next(3)];
                log.Add(chance.Next(4) switch
                {
                    0 => Accepted((int)id.Value, site),
                    1 => new AppliedEntry(id, site, (SiteResult)chance.Next(1, 5), Fine),
                    _ => Update(number, $"{chance.Next(3)}", site),
                });
            }

            log.Insert(chance.Next(log.Count), new RemovedEntry("Site3"));
            var first = new GroupState("Site2", Sites);
            for (var at = 0; at < log.Count; at++) Apply(first, at + 1, log[at]);
            var again = new GroupState("Site2", Sites, removed: first.Removed);
            for (var at = 0; at < log.Count; at++) Apply(again, at + 1, log[at]);
            Assert.Equal(Told(first), Told(again));
            Assert.DoesNotContain(first.Open, one => one.StepAt("Site3") is SiteStep.Pending or SiteStep.InDoubt or SiteStep.Failed);
            Assert.DoesNotContain(first.Open, one => one.Decision is null && one.Decider == "Site3");
        });

        static string Told(GroupState state) => string.Join('\n', state.Open.Concat(state.RecentlyFinished).Select(one => $"{one.Id} {one.Decider} {one.Claim} {one.Decision} {one.Describe()}"));
    }
}
