using System.Net;

namespace Cheops.Agent.Settings;

/// <summary>What is wrong with settings that are each well-formed, taken together.</summary>
internal static class SettingsConsistency
{
    public static IEnumerable<SettingMistake> Check(AgentSettings settings) =>
        [.. Listeners(settings), .. Loops(settings), .. Peers(settings), .. Mesh(settings.Mesh)];

    private static List<(string Variable, string What, IPEndPoint Address)> ListenersOf(AgentSettings settings)
    {
        var all = new List<(string, string, IPEndPoint)>();
        foreach (var service in settings.Services)
            all.AddRange(service.Listen.Select(address => (Variables.Services, $"the listener of '{service.Name}'", address)));
        if (settings.Mesh.Listen is { } mesh) all.Add((Variables.MeshListen, "the mesh", mesh));
        if (settings.ApiListen is { } api) all.Add((Variables.ApiListen, "the API", api));
        return all;
    }

    private static IEnumerable<SettingMistake> Listeners(AgentSettings settings)
    {
        var all = ListenersOf(settings);
        for (var i = 0; i < all.Count; i++)
        {
            var other = all.FindIndex(0, i, one => Overlap(one.Address, all[i].Address));
            if (other >= 0)
                yield return new SettingMistake(all[i].Variable, $"{all[i].What} would listen at {all[i].Address}, where {all[other].What} does ({all[other].Address}); give it another port");
        }
    }

    private static bool Overlap(IPEndPoint a, IPEndPoint b) =>
        a.Port == b.Port && (a.Address.Equals(b.Address) || IsAny(a.Address) || IsAny(b.Address));

    private static bool IsAny(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    // An instance at the address of a listener would send the agent's own requests back to it.
    private static IEnumerable<SettingMistake> Loops(AgentSettings settings)
    {
        var all = ListenersOf(settings);
        foreach (var service in settings.Services)
        {
            if (AddressOf(service.Upstream.Host) is not { } address) continue;
            var at = new IPEndPoint(address, service.Upstream.Port);
            var loop = all.Find(one => one.Address.Equals(at) || (IsAny(one.Address.Address) && one.Address.Port == at.Port && IPAddress.IsLoopback(address)));
            if (loop.Address is not null)
                yield return new SettingMistake(Variables.Services, $"the instance of '{service.Name}' is at {at}, where {loop.What} is: the agent would send requests to itself");
        }
    }

    private static IPAddress? AddressOf(string host) =>
        host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(host, out var address) ? address : null;

    private static IEnumerable<SettingMistake> Peers(AgentSettings settings)
    {
        var mesh = settings.Mesh;
        if (mesh.Peers.Any(peer => peer.Site == settings.Site && settings.Site.Length > 0))
            yield return new SettingMistake(Variables.Peers, $"'{settings.Site}' is this site; name the others only");
        foreach (var peer in mesh.Peers.Where(peer => peer.Address is not null && mesh.Listen is not null && AddressOf(peer.Address.Host) is { } ip && new IPEndPoint(ip, peer.Address.Port).Equals(mesh.Listen)))
            yield return new SettingMistake(Variables.Peers, $"{peer.Site}: {peer.Address} is where this site's own mesh listens");
        if (mesh.Listen is null && mesh.NatsUrl is null && mesh.Peers.FirstOrDefault(peer => peer.Address is null) is { } dialing)
            yield return new SettingMistake(Variables.Peers, $"'{dialing.Site}' has no address, so it dials this site; set CHEOPS_MESH_LISTEN, or give its address");
        foreach (var twice in mesh.Peers.Where(peer => peer.Address is not null).GroupBy(peer => peer.Address).Where(group => group.Count() > 1))
            yield return new SettingMistake(Variables.Peers, $"{string.Join(" and ", twice.Select(peer => $"'{peer.Site}'"))} have the same address {twice.Key}");
    }

    private static IEnumerable<SettingMistake> Mesh(MeshSettings mesh)
    {
        if (mesh.Tls is not null || mesh.NatsUrl is not null) yield break;
        const string remedy = "without CHEOPS_MESH_CERT, _KEY and _CA the mesh is in the clear and runs on loopback addresses only";
        if (mesh.Listen is { } listen && !IPAddress.IsLoopback(listen.Address))
            yield return new SettingMistake(Variables.MeshListen, $"{listen} is no loopback address; {remedy}");
        foreach (var peer in mesh.Peers.Where(peer => peer.Address is { IsLoopback: false }))
            yield return new SettingMistake(Variables.Peers, $"{peer.Site}: {peer.Address} is no loopback address; {remedy}");
    }
}
