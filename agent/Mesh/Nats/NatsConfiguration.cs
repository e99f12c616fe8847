using System.Net;
using System.Text;

namespace Cheops.Agent.Mesh.Nats;

/// <summary>Names of what a pair of sites has of its own in NATS, the same on both servers.</summary>
internal static class NatsNames
{
    public static string Account(string peer, bool bulk) => (bulk ? "BULK_" : "LINK_") + peer;

    /// <summary>The subject on which a site's agent receives a lane, in the accounts of the pair.</summary>
    public static string Inbox(string site, bool bulk) => (bulk ? "bulk." : "to.") + site;
}

/// <summary>How the agent signs in at its own nats-server.</summary>
/// <param name="Port">The server's client port.</param>
/// <param name="Password">Random, per start; of an operator's server what CHEOPS_NATS_URL says.</param>
internal sealed record NatsAccess(int Port, string Password)
{
    /// <summary>Where the server listens for the agent.</summary>
    public string Host { get; init; } = "127.0.0.1";

    public static string User(string peer, bool bulk) => (bulk ? "bulk_" : "link_") + peer;
}

/// <summary>
/// Generates nats-server's configuration: an account of its own for each peer and lane, bound to that pair's leaf link,
/// so that the connection a message arrives on proves who sent it. Why it is so, MESH.md tells in the design's words:
/// a full mesh in one account is refused as a loop, and publish permissions do not isolate.
/// </summary>
internal static class NatsConfiguration
{
    // In a laboratory on loopback nothing is secret: the name alone says which pair a leaf link belongs to.
    private const string LaboratoryPassword = "loopback";

    /// <summary>Whether this site dials <paramref name="peer"/>. Exactly one side of a pair does.</summary>
    public static bool Dials(MeshOptions options, MeshPeer peer) =>
        peer.IsDialable && (options.Listen is null || string.CompareOrdinal(options.Site, peer.Site) > 0);

    /// <summary>What must not be run; null when all is well. Settings say it earlier and by name: this is the last line of defence.</summary>
    public static string? Mistake(MeshOptions options)
    {
        if (options.Tls is not null)
        {
            var names = options.Peers.Select(peer => peer.Site).Append(options.Site).Select(site => CertificateNames(site)).SelectMany(pair => pair).ToArray();
            return names.Distinct().Count() == names.Length ? null : "two sites' names differ only in case, or by '-bulk': their certificates would be mistaken";
        }

        if (options.Listen is { } listen && !IPAddress.IsLoopback(listen.Address))
            return $"without certificates the mesh listens on loopback only, not on {listen}: give CHEOPS_MESH_CERT, _KEY and _CA";
        var far = options.Peers.FirstOrDefault(peer => peer.IsDialable && !IsLoopback(peer.Host!));
        return far is null ? null : $"without certificates the mesh dials loopback addresses only, not {far.Site} at {far.Host}: give CHEOPS_MESH_CERT, _KEY and _CA";
    }

    private static string[] CertificateNames(string site) => [MeshTls.NameOf(site, bulk: false), MeshTls.NameOf(site, bulk: true)];

    private static bool IsLoopback(string host) => IPAddress.TryParse(host, out var address) ? IPAddress.IsLoopback(address) : host == "localhost";

    /// <summary>
    /// Whether a running server takes a configuration over by a restart only: remotes never change by a reload, the users of
    /// a laboratory's leaf links neither, and the live link of an account that goes would stay.
    /// </summary>
    public static bool NeedsRestart(MeshOptions before, MeshOptions after) =>
        before.Tls is null
        || before.Peers.Any(peer => !after.Peers.Any(now => now.Site == peer.Site && Dials(after, now) == Dials(before, peer)))
        || !after.Peers.Where(peer => Dials(after, peer)).ToHashSet().SetEquals(before.Peers.Where(peer => Dials(before, peer)));

    /// <summary>The configuration's text.</summary>
    /// <param name="options">What the mesh is told to be.</param>
    /// <param name="access">How the agent signs in.</param>
    /// <param name="origin">Where the text comes from, for whoever reads it.</param>
    public static string Generate(MeshOptions options, NatsAccess access, string origin = "Written by cheops at every start; changes are lost.")
    {
        var text = new StringBuilder();
        text.AppendLine($"# {origin}");
        text.AppendLine($"server_name: {Quoted("cheops-" + options.Site)}");
        text.AppendLine($"listen: {Quoted($"{access.Host}:{access.Port}")}");
        text.AppendLine("max_payload: 1MB");
        text.AppendLine("max_pending: 64MB");
        text.AppendLine("write_deadline: \"5s\"");
        text.AppendLine("ping_interval: \"2s\"");
        text.AppendLine("ping_max: 2");
        text.AppendLine("system_account: SYS");
        WriteAccounts(text, options, access);
        WriteLeafNodes(text, options);
        return text.ToString();
    }

    private static void WriteAccounts(StringBuilder text, MeshOptions options, NatsAccess access)
    {
        text.AppendLine("accounts {");
        foreach (var (peer, bulk) in Lanes(options))
        {
            text.Append($"  {Quoted(NatsNames.Account(peer.Site, bulk))} {{ users: [ ");
            text.Append($"{{user: {Quoted(NatsAccess.User(peer.Site, bulk))}, password: {Quoted(access.Password)}, allowed_connection_types: [\"STANDARD\"]}}");
            if (options.Tls is not null && !Dials(options, peer))
                text.Append($", {{user: {Quoted(MeshTls.NameOf(peer.Site, bulk))}, allowed_connection_types: [\"LEAFNODE\"]}}");
            text.AppendLine(" ] }");
        }

        text.AppendLine("  SYS { users: [] }");
        text.AppendLine("}");
    }

    private static void WriteLeafNodes(StringBuilder text, MeshOptions options)
    {
        text.AppendLine("leafnodes {");
        text.AppendLine("  reconnect: 1");
        if (options.Listen is { } listen)
        {
            text.AppendLine($"  listen: {Quoted(listen.ToString())}");
            if (options.Tls is { } tls)
            {
                text.AppendLine($"  advertise: {Quoted($"{MeshTls.NameOf(options.Site, bulk: false)}:{listen.Port}")}");
                text.AppendLine($"  tls {{ {Files(tls.Certificate, tls.Key, tls.Ca)}, verify_and_map: true, timeout: 5 }}");
            }
            else
            {
                text.AppendLine("  authorization { users: [");
                foreach (var (peer, bulk) in Lanes(options).Where(lane => !Dials(options, lane.Peer)))
                {
                    var user = (bulk ? "bulk_" : "link_") + peer.Site;
                    text.AppendLine(
                        $"    {{user: {Quoted(user)}, password: {Quoted(LaboratoryPassword)}, account: {Quoted(NatsNames.Account(peer.Site, bulk))}}}");
                }

                text.AppendLine("  ] }");
            }
        }

        text.AppendLine("  remotes: [");
        foreach (var (peer, bulk) in Lanes(options).Where(lane => Dials(options, lane.Peer) && !(lane.Bulk && options.SharesBulk)))
            WriteRemote(text, options, peer, bulk);
        text.AppendLine("  ]");
        text.AppendLine("}");
    }

    private static void WriteRemote(StringBuilder text, MeshOptions options, MeshPeer peer, bool bulk)
    {
        var host = peer.Host!.Contains(':', StringComparison.Ordinal) ? $"[{peer.Host}]" : peer.Host;
        var account = Quoted(NatsNames.Account(peer.Site, bulk));
        if (options.Tls is not { } tls)
        {
            var user = (bulk ? "bulk_" : "link_") + options.Site;
            text.AppendLine($"    {{ url: {Quoted($"nats-leaf://{user}:{LaboratoryPassword}@{host}:{peer.Port}")}, account: {account} }}");
            return;
        }

        var certificate = bulk ? MeshTls.BulkPath(tls.Certificate) : tls.Certificate;
        var key = bulk ? MeshTls.BulkPath(tls.Key) : tls.Key;
        text.AppendLine($"    {{ url: {Quoted($"nats-leaf://{host}:{peer.Port}")}, account: {account}");
        text.AppendLine($"      tls {{ {Files(certificate, key, tls.Ca)}, timeout: 5 }} }}");
    }

    private static IEnumerable<(MeshPeer Peer, bool Bulk)> Lanes(MeshOptions options) =>
        options.Peers.SelectMany(peer => new[] { (peer, false), (peer, true) });

    private static string Files(string certificate, string key, string ca) =>
        $"cert_file: {Quoted(certificate)}, key_file: {Quoted(key)}, ca_file: {Quoted(ca)}";

    private static string Quoted(string text) => $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
