namespace Cheops.Tests.System.Harness;

/// <summary>
/// Network namespaces of the test's own (root needed), one for each host, all on one bridge in a namespace of its own:
/// 10.77.0.1, 10.77.0.2, … A host's link is cut silently by taking down its end at the bridge: packets vanish, nobody is told.
/// </summary>
internal sealed class NetworkNamespaces : IAsyncDisposable
{
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
}
