using Cheops.Agent.Api;
using Cheops.Agent.Mesh;
using Cheops.Proto;

namespace Cheops.Agent.Replication;

internal sealed partial class ReplicationApi
{
    // POST …/removed-sites/Site3, ?force=1 when it is up.
    private async Task<ApiAnswer> RemoveAsync(string name, ApiRequest request)
    {
        var (gone, force) = (Uri.UnescapeDataString(name), request.Query.GetValueOrDefault("force", "") is "1" or "true");
        var known = replicator.RemovableSites;
        if (gone == site) return NotRemovable(422, $"{site} is this site: the others decide it, run it at one of them");
        if (!known.Contains(gone)) return NotRemovable(422, $"{gone} is no site of this mesh; the others are {string.Join(", ", known)}{NearestName.Hint(gone, known)}");
        if (!force && replicator.Sites.FirstOrDefault(one => one.Name == gone) is { State: SiteState.Up or SiteState.Draining })
            return NotRemovable(409, $"{gone} is up, and would have no part in its groups any more; stop it first, or say --force (force=1) if that is meant");
        var report = await replicator.RemoveSiteAsync(gone, force);
        return ApiAnswer.Json(200, json =>
        {
            json.WriteString("site", gone);
            json.WriteBoolean("done", report.IsDone);
            json.WriteStartArray("groups");
            foreach (var one in report.Groups)
            {
                json.WriteStartObject();
                WriteSites(json, "sites", one.Sites);
                json.WriteBoolean("removed", one.IsDone);
                if (!one.IsDone) json.WriteString("reason", one.Reason);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteStartArray("withoutAnswer");
            foreach (var (one, reason) in report.WithoutAnswer)
            {
                json.WriteStartObject();
                json.WriteString("site", one);
                json.WriteString("reason", reason);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
    }

    private ApiAnswer NotRemovable(int status, string detail) => ApiAnswer.Failure(site, status, "not-removed", "The site is not removed", detail);
}
