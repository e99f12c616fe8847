using System.Text;
using System.Text.Json;
using Cheops.Agent.Interception;
using Cheops.Agent.Profiles;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>Tells by looking at the service whether an operation was executed.</summary>
internal sealed class Doubt(IReplicaService service, ReplicaRequests requests)
{
    private static readonly byte[] Json = "Accept: application/json\r\n"u8.ToArray();

    /// <summary>
    /// Whether an operation that was just sent, and not answered as done or refused, was executed: null when looking does
    /// not tell. With it, what was seen of the resource.
    /// </summary>
    public async Task<(bool? Executed, KeptAnswer? Seen)> LookAsync(ExecutionTask task, CancellationToken cancellation)
    {
        var operation = task.Operation;
        if (operation.Kind == OperationKind.Create)
        {
            if (operation.Repetition == Repetition.Marked) return (null, null);
            var found = await FindCreatedAsync(task, cancellation);
            return (found is not null, found);
        }

        var item = await GetAsync(task, requests.ItemTarget(task), cancellation);
        if (operation.Kind == OperationKind.Delete) return item is null ? (null, null) : (item.Status is 404 or 410, null);
        if (operation.Repetition != Repetition.Idempotent || item is not { Status: 200 }) return (null, null);

        // A representation, or a merge of one: what it says is there, or it was not executed.
        using var sent = JsonFields.Parse(operation.Body);
        using var seen = JsonFields.Parse(item.Body);
        if (sent is null || seen is null) return (null, null);
        return (JsonFields.Covers(seen.RootElement, sent.RootElement), item);
    }

    /// <summary>The resource that a create has made here, if it has; null when there is none.</summary>
    /// <exception cref="IOException">The service cannot be asked: it is asked again later.</exception>
    public async Task<KeptAnswer?> FindCreatedAsync(ExecutionTask task, CancellationToken cancellation)
    {
        if (task.State.Key.MetaId.Length > 0)
        {
            var item = await AskAsync(task, requests.ItemTarget(task), cancellation);
            if (item.Status == 200) return item;
            if (requests.ResourceOf(task.Operation)?.IdChosenBy == IdChooser.Client) return null;
        }

        return await FindByKeyAsync(task, cancellation);
    }

    private async Task<KeptAnswer?> FindByKeyAsync(ExecutionTask task, CancellationToken cancellation)
    {
        var resource = requests.ResourceOf(task.Operation);
        using var sent = JsonFields.Parse(task.Operation.Body);
        if (resource is null || resource.NaturalKey.IsEmpty || sent is null) return null;
        var list = await AskAsync(task, Encoding.ASCII.GetBytes(task.Operation.Replicant.Collection), cancellation);
        using var seen = JsonFields.Parse(list.Body);
        if (list.Status != 200 || seen is null) return null;
        foreach (var element in JsonFields.Elements(seen.RootElement))
        {
            if (resource.NaturalKey.All(field => SameField(sent.RootElement, element, field)))
                return list with { Body = Encoding.UTF8.GetBytes(element.GetRawText()) };
        }

        return null;
    }

    // A list's elements often lack the wrapper that the body of a create has: server.name is then name.
    private static bool SameField(JsonElement sent, JsonElement element, FieldPath field)
    {
        var wanted = JsonFields.Text(sent, field);
        if (wanted is null) return !JsonFields.TryFind(element, field, out _) || field.Segments.Length > 1;
        var seen = JsonFields.Text(element, field)
            ?? (field.Segments.Length > 1 ? JsonFields.Text(element, new FieldPath(field.Text, field.Segments[1..])) : null);
        return seen == wanted;
    }

    private async Task<KeptAnswer> AskAsync(ExecutionTask task, ReadOnlyMemory<byte> target, CancellationToken cancellation) =>
        await GetAsync(task, target, cancellation) is { Status: < 500 and not (401 or 408 or 429) } answer
            ? answer
            : throw new IOException($"{task.Operation.Replicant.Service} cannot be asked whether operation {task.Operation.Id} was executed");

    private async Task<KeptAnswer?> GetAsync(ExecutionTask task, ReadOnlyMemory<byte> target, CancellationToken cancellation)
    {
        var (fields, asFrontProxy) = requests.IdentityOf(task);
        var reply = await service.SendAsync(
            new ServiceSend(task.Operation.Replicant.Service, "GET", target, (byte[])[.. ReplicaRequests.HostOf(task.Operation), .. Json, .. fields.Span]) { AsFrontProxy = asFrontProxy },
            cancellation);
        return reply.Answer;
    }
}
