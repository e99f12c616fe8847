using System.Collections.Immutable;
using System.Text;
using Cheops.Proto.Operations;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>What is read in logs of groups: what was accepted where, and which moves are over.</summary>
public sealed class GroupLogsTests
{
    private static readonly ReplicantKey Key = new("shop", "/v1/numbers", "17");
    private static readonly ServiceResult Fine = new(200, "", "");
    private static readonly ImmutableArray<string> Two = ["A", "B"];
    private static readonly ImmutableArray<string> Three = ["A", "B", "C"];

    private static Operation Asked(UInt128 id, string fields = "X-Operation: op1\r\n", OperationKind kind = OperationKind.Update) => new()
    {
        Id = new OperationId(id),
        Kind = kind,
        Origin = "A",
        Replicant = Key,
        Resource = "numbers",
        Method = "PUT",
        Target = "/v1/numbers/17",
        Fields = Encoding.Latin1.GetBytes(fields),
    };

    private static OutcomeEntry Outcome(UInt128 id, Decision decision, string site = "A") => new(new OperationId(id), site, decision, "", Fine);

    private static ClosingEntry Closing(UInt128 id, ImmutableArray<string> to, bool deletes = false) => new(Asked(id, "", OperationKind.Move), to, deletes);

    private static OpeningEntry Opening(UInt128 id, ImmutableArray<string> from, ImmutableArray<string> to, int moves, bool isCalledOff = false) => new(
        new OperationId(id), Key, GroupId.Of(from.AsSpan()), from, 1,
        isCalledOff ? null : new ReplicantRecord { Key = Key, Resource = "numbers", Group = GroupId.Of(to.AsSpan()), Moves = moves }, "", []);

    private static MovedEntry Moved(UInt128 id, long openedAt) => new(new OperationId(id), Key, openedAt);

    private static GroupLogs Read(params (ImmutableArray<string> Sites, GroupEntry?[] Entries)[] logs) => new(logs.Select(log => new GroupLog(log.Sites, log.Entries)));

    [Theory]
    [InlineData("X-Thing: x\r\nX-Operation: op1\r\n", "op1")]
    [InlineData("x-operation: op1\r\n", "op1")]
    [InlineData("X-Thing: op1\r\n", null)]
    [InlineData("", null)]
    public void An_operation_has_the_name_that_its_client_gave_it(string fields, string? name) => Assert.Equal(name, GroupLogs.NameOf(Asked(1, fields)));

    [Fact]
    public void An_operation_is_accepted_by_the_group_whose_deciding_site_says_so()
    {
        var logs = Read((Two, [new ProposedEntry(Asked(1)), null, Outcome(1, Decision.Accepted)]), (Three, [new ProposedEntry(Asked(2, "X-Operation: op2\r\n"))]));
        Assert.Equal([Two], logs.AcceptedBy("op1"));
        Assert.Empty(logs.AcceptedBy("op2"));
    }

    [Fact]
    public void An_operation_that_two_groups_accept_is_of_both() =>
        Assert.Equal([Two, Three], Read((Two, [new ProposedEntry(Asked(1)), Outcome(1, Decision.Accepted)]), (Three, [new ProposedEntry(Asked(2)), Outcome(2, Decision.Accepted)])).AcceptedBy("op1"));

    [Theory]
    [InlineData(Decision.Refused, "A")]
    [InlineData(Decision.NotExecuted, "A")]
    [InlineData(Decision.Accepted, "B")]
    public void An_operation_that_is_refused_or_decided_by_another_site_is_accepted_by_none(Decision decision, string site) =>
        Assert.Empty(Read((Two, [new ProposedEntry(Asked(1)), Outcome(1, decision, site), Outcome(1, decision, site)])).AcceptedBy("op1"));

    [Fact]
    public void What_no_client_asked_for_is_not_told() => Assert.Empty(Read((Two, [new ProposedEntry(Asked(1, "")), Outcome(1, Decision.Accepted)])).AcceptedBy(""));

    [Fact]
    public void An_operation_that_came_after_the_move_is_not_accepted_by_the_group_that_the_replicant_has_left()
    {
        var (closing, proposed, outcome) = (Closing(9, Three), new ProposedEntry(Asked(1)), Outcome(1, Decision.Accepted));
        Assert.Equal([Two], Read((Two, [proposed, closing, outcome])).AcceptedBy("op1"));
        Assert.Empty(Read((Two, [closing, proposed, outcome])).AcceptedBy("op1"));
    }

    [Fact]
    public void Moves_that_are_over_are_told_in_the_order_of_the_replicant()
    {
        // The logs are read in any order.
        var logs = Read(
            (Three, [Opening(8, Two, Three, 1), Closing(9, Two, deletes: true), Moved(9, 2)]),
            (Two, [Closing(8, Three), Moved(8, 1), Opening(9, Three, Two, 2)]));
        Assert.Equal([new MoveOver(Key, Two, Three, false, 1), new MoveOver(Key, Three, Two, true, 2)], logs.Moves, Same);
    }

    [Fact]
    public void A_move_that_is_not_over_or_was_called_off_is_none()
    {
        Assert.Empty(Read((Two, [Closing(8, Three)]), (Three, [Opening(8, Two, Three, 1)])).Moves);
        Assert.Empty(Read((Two, [Closing(8, Three), Moved(8, 0)]), (Three, [Opening(8, Two, Three, 1, isCalledOff: true)])).Moves);
        Assert.Empty(Read((Two, [Moved(8, 1)]), (Three, [Opening(8, Two, Three, 1)])).Moves);
        Assert.Empty(Read((Two, [Closing(8, Three), Moved(7, 1)]), (Three, [Opening(8, Two, Three, 1)])).Moves);
    }

    private static bool Same(MoveOver one, MoveOver other) =>
        (one.Key, one.DeletesReplica, one.Number) == (other.Key, other.DeletesReplica, other.Number) && one.From.SequenceEqual(other.From) && one.To.SequenceEqual(other.To);
}
