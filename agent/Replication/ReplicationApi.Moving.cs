using System.Collections.Immutable;
using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Agent.Mesh;
using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

internal sealed partial class ReplicationApi
{
    // The command waits a little longer than this for its answer.
    private const int MoveWaitMs = Bounds.ApiTimeMaxMs - 1_000;

    // POST …/replicants/{path or meta-id, percent-encoded}/sites?add=Site3, or ?remove=Site3&replica=keep|delete, &service=…
    private async Task<ApiAnswer> MoveAsync(string name, ApiRequest request)
    {
        var (added, removed) = (request.Query.GetValueOrDefault("add", ""), request.Query.GetValueOrDefault("remove", ""));
        var replica = request.Query.GetValueOrDefault("replica", "keep");
        if ((added.Length == 0) == (removed.Length == 0) || replica is not ("keep" or "delete"))
            throw new MoveException(400, "say either add=SITE or remove=SITE, and with remove replica=keep or replica=delete");
        var record = FindReplicant(Uri.UnescapeDataString(name), request.Query.GetValueOrDefault("service", ""));
        var from = replicator.Find(record.Group) ?? throw new MoveException(503, $"the group of {record.Key} is not known here yet; try again");
        var now = from.Founding.Sites;
        var to = added.Length > 0 ? now.Union([added]) : now.Where(one => one != removed);
        ImmutableArray<string> sites = [.. to.Distinct().Order(StringComparer.Ordinal)];
        if (added.Length > 0 && !now.Contains(added)) CheckAdded(added);
        if (sites.IsEmpty) throw new MoveException(409, $"{removed} has the only replica of {record.Key}: delete the resource itself");
        if (sites.SequenceEqual(now)) return Moved(200, record.Key, now, "");
        using var bound = new CancellationTokenSource(TimeSpan.FromMilliseconds(MoveWaitMs), time);
        try
        {
            await replicator.Mover.MoveAsync(record, sites, replica == "delete", bound.Token);
        }
        catch (OperationCanceledException)
        {
            if (from.Look(state => state.MoveOf(record.Key)) is not { } move)
                throw new MoveException(504, "whether the move has begun is not known yet; say it again, which does no harm");
            return Moved(202, record.Key, sites, replicator.Mover.ReasonOf(move.Id));
        }

        return Moved(200, record.Key, sites, "");
    }

    private void CheckAdded(string added)
    {
        var known = replicator.Sites;
        if (known.FirstOrDefault(one => one.Name == added) is not { } found)
            throw new MoveException(422, $"{added} is no site of this mesh; the sites are {string.Join(", ", known.Select(one => one.Name))}");
        if (!found.IsSelf && found.State != SiteState.Up) throw new MoveException(503, $"{added} is not reached now; a replica cannot be made there before it is");
    }

    private ReplicantRecord FindReplicant(string name, string service)
    {
        string[] services = service.Length > 0 ? [service] : [.. replicator.Sites.SelectMany(one => one.Services.Keys).Concat(replicator.Services).Distinct()];
        var started = time.GetTimestamp();
        var named = replicator.Replicants.Named(name, services, () => time.GetElapsedTime(started) < TimeSpan.FromMilliseconds(Bounds.NameSearchTimeMaxMs));
        return named switch
        {
            { IsWhole: false } => throw new MoveException(422, $"there are too many replicants to find {name} among them in time; give its whole path, such as /v1/orders/{name}, which 'cheops replicants' lists"),
            { Found: [var one] } => one,
            { Found: [] } => throw new MoveException(404, $"{site} knows no replicant {name}; 'cheops replicants' lists them"),
            _ => throw new MoveException(409, $"{name} names several: {string.Join(", ", named.Found.Select(one => one.Key))}; give the whole path, or the service"),
        };
    }

    private static ApiAnswer Moved(int status, ReplicantKey key, ImmutableArray<string> sites, string reason) => ApiAnswer.Json(status, json =>
    {
        json.WriteString("service", key.Service);
        json.WriteString("path", $"{key.Collection}/{key.MetaId}");
        WriteSites(json, "sites", sites);
        json.WriteBoolean("moved", status == 200);
        if (reason.Length > 0) json.WriteString("problem", reason);
    });

    private static void WriteSites(Utf8JsonWriter json, string name, ImmutableArray<string> sites)
    {
        json.WriteStartArray(name);
        foreach (var one in sites) json.WriteStringValue(one);
        json.WriteEndArray();
    }

    // A move that is not over, among the operations: what is done to its replicant waits for it.
    private void Write(Utf8JsonWriter json, GroupRunner runner, MoveState move)
    {
        var operation = move.Closing.Move;
        json.WriteStartObject();
        json.WriteString("id", move.Id.ToString());
        json.WriteString("group", runner.Founding.Id.ToString());
        json.WriteNumber("index", move.Index);
        json.WriteString("kind", "move");
        json.WriteString("service", move.Key.Service);
        json.WriteString("replicant", $"{move.Key.Collection}/{move.Key.MetaId}");
        json.WriteString("request", $"move {move.Key.Collection}/{move.Key.MetaId} to {string.Join(" & ", move.To)}");
        json.WriteString("origin", operation.Origin);
        json.WriteString("decider", operation.Origin);
        json.WriteString("decision", "accepted");
        json.WriteString("at", DateTimeOffset.FromUnixTimeMilliseconds(operation.AtUnixMs));
        json.WriteBoolean("finished", false);
        json.WriteBoolean("diverged", false);
        if (replicator.Mover.ReasonOf(runner, move) is { Length: > 0 } reason) json.WriteString("problem", reason);
        json.WriteStartObject("sites");
        foreach (var member in move.From.Union(move.To).Order(StringComparer.Ordinal))
        {
            json.WriteStartObject(member);
            json.WriteString("step", !move.To.Contains(member) ? "leaving" : move.From.Contains(member) ? "staying" : "joining");
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }
}
