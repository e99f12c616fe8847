using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Cheops.Tests.System.Harness;

/// <summary>What a kernel can do to links, beside cutting them.</summary>
internal enum LinkTrouble
{
    /// <summary>Nothing.</summary>
    None,
    /// <summary>Packets vanish (nftables).</summary>
    Loss,
    /// <summary>Packets come late, and vanish (netem).</summary>
    DelayAndLoss,
}

/// <summary>
/// Network namespaces of the test's own (root needed), one for each host, all on one bridge in a namespace of its own:
/// 10.77.0.1, 10.77.0.2, … A host's link is cut silently by taking down its end at the bridge: packets vanish, nobody is told.
/// </summary>
internal sealed partial class NetworkNamespaces : IAsyncDisposable
{
    private const int CloneNewNet = 0x40000000;

    private readonly string _tag = $"ch{Environment.ProcessId % 10000}{Random.Shared.Next(100, 999)}";
    private readonly List<string> _made = [];

    private string Bridge => $"{_tag}b";

    public string Of(int number) => $"{_tag}h{number}";

    public static string AddressOf(int number) => $"10.77.0.{number}";

    public static async Task<NetworkNamespaces> MakeAsync(int hosts)
    {
        var made = new NetworkNamespaces();
        try
        {
            await made.AddAsync(made.Bridge);
            await Ip($"-n {made.Bridge} link add br0 type bridge");
            await Ip($"-n {made.Bridge} link set br0 up");
            for (var number = 1; number <= hosts; number++) await made.AddHostAsync(number);
            return made;
        }
        catch
        {
            await made.DisposeAsync();
            throw;
        }
    }

    /// <summary>Cuts a host off, or connects it again.</summary>
    public Task SetLinkAsync(int host, bool up) => Ip($"-n {Bridge} link set p{host} {(up ? "up" : "down")}");

    /// <summary>Lets packets from one host to another vanish, in this direction alone.</summary>
    public async Task CutAsync(int from, int to)
    {
        (await Commands.ShellAsync($$"""
            ip netns exec {{Of(to)}} nft -f - <<'RULES'
            add table inet cut
            add chain inet cut in { type filter hook input priority 0; }
            add rule inet cut in ip saddr {{AddressOf(from)}} drop
            RULES
            """)).Succeeded();
    }

    /// <summary>What this kernel can do to links, tried on the first host's.</summary>
    public async Task<LinkTrouble> FindTroubleAsync()
    {
        var delays = (await Commands.RunAsync(Delay(1, 1, 1))).ExitCode == 0;
        var loses = delays || (await LossAsync(1, 1)).ExitCode == 0;
        await HealAsync(1);
        return delays ? LinkTrouble.DelayAndLoss : loses ? LinkTrouble.Loss : LinkTrouble.None;
    }

    /// <summary>Delays packets that reach a host, each by another time, and lets some vanish.</summary>
    /// <param name="host">The host.</param>
    /// <param name="delayMs">How long on average, in milliseconds; a quarter more or less.</param>
    /// <param name="percent">How many of a hundred vanish.</param>
    public async Task DelayAsync(int host, int delayMs, int percent) => (await Commands.RunAsync(Delay(host, delayMs, percent))).Succeeded();

    /// <summary>Lets some of the packets that reach a host vanish.</summary>
    /// <param name="host">The host.</param>
    /// <param name="percent">How many of a hundred.</param>
    public async Task LoseAsync(int host, int percent) => (await LossAsync(host, percent)).Succeeded();

    private string[] Delay(int host, int delayMs, int percent) =>
        ["tc", "-n", Bridge, "qdisc", "replace", "dev", $"p{host}", "root", "netem", "delay", $"{delayMs}ms", $"{delayMs / 4}ms", "loss", $"{percent}%"];

    private Task<Ran> LossAsync(int host, int percent) => Commands.ShellAsync($$"""
        ip netns exec {{Of(host)}} nft -f - <<'RULES'
        add table inet cut
        add chain inet cut in { type filter hook input priority 0; }
        add rule inet cut in iifname eth0 numgen random mod 100 < {{percent}} drop
        RULES
        """);

    /// <summary>Ends all cuts, delays and losses on the way to a host.</summary>
    public async Task HealAsync(int host)
    {
        await SetLinkAsync(host, up: true);
        await RunAsync(host, "nft", "delete", "table", "inet", "cut");
        await Commands.RunAsync(["tc", "-n", Bridge, "qdisc", "del", "dev", $"p{host}", "root"]);
    }

    /// <summary>A socket of this process that lives in a host's network: what it listens on or connects to is there.</summary>
    public Socket NewSocket(int host)
    {
        Socket? made = null;
        Exception? failure = null;

        // A thread of its own enters the namespace, and ends with it: no other work ever runs there.
        var thread = new Thread(() =>
        {
            try
            {
                using var file = File.OpenHandle($"/run/netns/{Of(host)}");
                if (Enter(file, CloneNewNet) != 0) throw new IOException($"setns: error {Marshal.GetLastPInvokeError()}");
                made = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            }
            catch (Exception e) when (e is IOException or SocketException or UnauthorizedAccessException)
            {
                failure = e;
            }
        });
        thread.Start();
        thread.Join();
        return made ?? throw new IOException($"no socket in {Of(host)}", failure);
    }

    /// <summary>Runs a command in a host.</summary>
    public Task<Ran> RunAsync(int host, params string[] line) => Commands.RunAsync(["ip", "netns", "exec", Of(host), .. line]);

    public async ValueTask DisposeAsync()
    {
        foreach (var name in _made) await Commands.RunAsync(["ip", "netns", "del", name]);
    }

    private async Task AddHostAsync(int number)
    {
        var host = Of(number);
        await AddAsync(host);
        await Ip($"-n {Bridge} link add p{number} type veth peer name eth0 netns {host}");
        await Ip($"-n {Bridge} link set p{number} master br0");
        await Ip($"-n {Bridge} link set p{number} up");
        await Ip($"-n {host} addr add {AddressOf(number)}/24 dev eth0");
        await Ip($"-n {host} link set eth0 up");
        await Ip($"-n {host} link set lo up");
    }

    private async Task AddAsync(string name)
    {
        await Ip($"netns add {name}");
        _made.Add(name);
    }

    private static async Task Ip(string arguments) => (await Commands.RunAsync(["ip", .. arguments.Split(' ')])).Succeeded();

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int Enter(SafeHandle file, int kind);
}
