using System.Security.Cryptography;
using Cheops.Agent.Interception;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>What looking has told of an operation.</summary>
/// <param name="Executed">Whether it was executed; null when looking does not tell.</param>
/// <param name="Seen">The resource as it was seen; null for none.</param>
/// <param name="LocalId">The id of what a create has made, where the resource does not tell it; else empty.</param>
internal readonly record struct Looked(bool? Executed, KeptAnswer? Seen = null, string LocalId = "");

/// <summary>Tells by looking at the service whether an operation was executed.</summary>
internal sealed class Doubt(UserCalls calls, ReplicaRequests requests)
{
    /// <summary>Whether an operation that was just sent, and not answered as done or refused, was executed.</summary>
    public async Task<Looked> LookAsync(ExecutionTask task, CancellationToken cancellation)
    {
        var operation = task.Operation;
        if (operation.Repetition == Repetition.Lookup) return await FindCreatedAsync(task, cancellation);
        if (operation.Repetition != Repetition.Idempotent) return default;
        var path = requests.LocalPath(operation);
        if (operation is { Method: "PUT", BodySize: > 0 } && !ReplicaRequests.IsJson(operation)) return await CompareAsync(task, path, cancellation);
        if (await GetAsync(operation, path, cancellation) is not { } seen) return default;
        if (operation.Method == "DELETE") return new Looked(seen.Status switch { 404 or 410 => true, < 400 => false, _ => null });

        // A representation, or a merge of one: what it says is there, or it was not executed. What the service itself changes
        // with every write is left aside.
        if (seen.Status != 200) return await UnreadableAsync(task, path, seen, cancellation);
        var sent = requests.ForFollower(operation);
        if (sent.IsEmpty) return default;
        return Representation.Covers(seen.Body, sent) is { } covers ? new Looked(covers, covers ? seen : null) : default;
    }

    // Data, such as an image's: they stand there byte for byte, or it is not told what became of them.
    private async Task<Looked> CompareAsync(ExecutionTask task, string path, CancellationToken cancellation)
    {
        var operation = task.Operation;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var seen = await SeeAsync(operation, path, cancellation, piece =>
        {
            hash.AppendData(piece.Span);
            return default;
        });
        if (seen.Answer is not { } answer) return default;
        if (answer.Status != 200) return await UnreadableAsync(task, path, answer, cancellation);
        var sent = operation.BodyHash.IsEmpty ? SHA256.HashData(operation.Body.Span) : operation.BodyHash.Span;
        return sent.SequenceEqual(hash.GetHashAndReset()) ? new Looked(true) : default;
    }

    // Not everything below an item that was written can be read: what is not there tells something only when it is the item.
    private async Task<Looked> UnreadableAsync(ExecutionTask task, string path, KeptAnswer answer, CancellationToken cancellation)
    {
        var item = requests.ItemPath(task);
        var seen = item == path ? answer : await GetAsync(task.Operation, item, cancellation);
        return seen?.Status is 404 or 410 ? new Looked(false) : default;
    }

    /// <summary>What stands at the operation's target here.</summary>
    public Task<ServiceReply> SeeAsync(Operation operation, CancellationToken cancellation) => SeeAsync(operation, requests.LocalPath(operation), cancellation);

    /// <summary>Whether a create has made its resource here; what another create has made does not count.</summary>
    /// <exception cref="IOException">The service cannot be asked: it is asked again later.</exception>
    public async Task<Looked> FindCreatedAsync(ExecutionTask task, CancellationToken cancellation)
    {
        var operation = task.Operation;
        if (requests.IsOfAnotherCreate(task)) return new Looked(false);
        if (task.State.Key.MetaId.Length > 0)
        {
            var item = await AskAsync(operation, requests.ItemPath(task), cancellation);
            if (item.Status == 200) return new Looked(true, item);
            if (requests.ResourceOf(operation)?.IdChosenBy == IdChooser.Client) return new Looked(false);
        }

        return await FindByKeyAsync(task, cancellation);
    }

    private async Task<Looked> FindByKeyAsync(ExecutionTask task, CancellationToken cancellation)
    {
        var operation = task.Operation;
        if (requests.KeyOf(operation) is not var (key, target)) return default;
        var list = await AskAsync(operation, target, cancellation);
        var search = key.Search(id => requests.IsAnothers(task, id));
        search.Feed(list.Body.Span);
        if (list.Status != 200 || !search.IsWhole) return default;
        if (search.Ids.Count > 1) return default;
        if (search.Ids is not [var id]) return new Looked(false);
        var item = await AskAsync(operation, ReplicaRequests.ItemPath(operation.Replicant, id), cancellation);
        return item.Status == 200 ? new Looked(true, item, id) : throw CannotBeAsked(operation);
    }

    private async Task<KeptAnswer> AskAsync(Operation operation, string target, CancellationToken cancellation) =>
        await GetAsync(operation, target, cancellation) is { Status: < 500 and not (401 or 408 or 429) } answer ? answer : throw CannotBeAsked(operation);

    private static IOException CannotBeAsked(Operation operation) =>
        new($"{operation.Replicant.Service} cannot be asked whether operation {operation.Id} was executed");

    private async Task<KeptAnswer?> GetAsync(Operation operation, string target, CancellationToken cancellation) =>
        (await SeeAsync(operation, target, cancellation)).Answer;

    private Task<ServiceReply> SeeAsync(Operation operation, string target, CancellationToken cancellation, Func<ReadOnlyMemory<byte>, ValueTask>? take = null) => calls.SendAsync(
        operation, mayRenew: true, caller => Task.FromResult((ReplicaRequests.Reading(operation, target, caller), (IAsyncDisposable?)null)), cancellation, take);
}
