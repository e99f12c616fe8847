using System.Collections.Immutable;
using System.Net;
using Cheops.Agent.Hosting;
using Cheops.Agent.Redirection;
using Cheops.Agent.Settings;

namespace Cheops.Agent.Cli;

/// <summary><c>cheops redirect</c>: sends a service's traffic to the agent without anybody noticing.</summary>
internal static class RedirectCommands
{
    private static readonly Option ExceptUser = new("--except-user", "USER", "the agent's user, whose connections pass to the instances");
    private static readonly Option ExceptControlGroup = new("--except-cgroup", "PATH", "the agent's control group (cgroup2), in place of its user");
    private static readonly Option Services = new("--service", "NAMES", "only these services, by commas (default: all)") { Short = "-s" };
    private static readonly Option Print = new("--print", "", "print the rules and change nothing");
    private static readonly Option Hold = new("--hold", "", "stay, and remove the rules on SIGTERM or SIGINT");

    public static readonly Command Install = new()
    {
        Name = "redirect install",
        Summary = "have what is sent to service instances come to the agent (nftables, as root)",
        Details = """
            For each service in CHEOPS_SERVICES, connections to its instance's address go to the agent's listener,
            from this host and from others; applications need no change. The agent's own connections must pass, so say
            whose they are. The rules are in a table of their own, put in place at once; doing it again replaces them.
            Host names of instances are looked up now: do it again when they move. Connections that are open stay as
            they are. Rules of your own may send several services' connections to one listener: the agent tells by the
            address that a client meant to reach which service it is for.
            """,
        Options = [ExceptUser, ExceptControlGroup, Services, Print, Hold, CommonOptions.EnvFile],
        Examples =
        [
            "cheops redirect install --except-user cheops --env-file /etc/cheops/cheops.env",
            "cheops redirect install --except-cgroup system.slice/cheops.service --service glance,keystone",
            "cheops redirect install --except-user cheops --print",
        ],
        Run = InstallAsync,
    };

    public static readonly Command Remove = new()
    {
        Name = "redirect remove",
        Summary = "undo redirect install",
        Options = [CommonOptions.EnvFile],
        Examples = ["cheops redirect remove --env-file /etc/cheops/cheops.env", "CHEOPS_SITE=Site1 cheops redirect remove"],
        Run = RemoveAsync,
    };

    public static readonly Command Show = new()
    {
        Name = "redirect show",
        Summary = "print the rules that are in place, with their counters",
        Options = [CommonOptions.EnvFile],
        Examples = ["CHEOPS_SITE=Site1 cheops redirect show"],
        Run = ShowAsync,
    };

    private static async Task<int> InstallAsync(Invocation invocation)
    {
        if (SettingsLoader.Variables(invocation, out var mistake) is not { } variables) return invocation.Fail(ExitCode.Mistake, mistake);
        if (!SettingsReader.TryRead(variables, out var settings, out var mistakes))
            return invocation.Fail(ExitCode.Mistake, string.Join("; ", mistakes));
        if (OwnTrafficOf(invocation, out mistake) is not { } own) return invocation.Fail(ExitCode.Mistake, mistake);
        ImmutableArray<string> services = [.. (invocation.Value(Services) ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
        var redirects = RedirectPlan.Of(settings, services, Dns.GetHostAddresses, out var wrong);
        if (!wrong.IsEmpty) return invocation.Fail(ExitCode.Mistake, string.Join('\n', wrong));

        var rules = Ruleset.Install(settings.Site, redirects, own);
        if (invocation.Has(Print))
        {
            await invocation.Out.WriteAsync(rules);
            return ExitCode.Ok;
        }

        using var signals = invocation.Has(Hold) ? new ProcessSignals() : null;
        Nft.Apply(rules);
        foreach (var redirect in redirects) await invocation.Out.WriteLineAsync($"{redirect.Service}: {redirect.Instance} -> {redirect.Listener}");
        if (signals is null) return ExitCode.Ok;

        await invocation.Out.FlushAsync();
        await signals.Stop;
        Nft.Apply(Ruleset.Remove(settings.Site));
        return ExitCode.Ok;
    }

    private static OwnTraffic? OwnTrafficOf(Invocation invocation, out string mistake)
    {
        mistake = "";
        var user = invocation.Value(ExceptUser);
        var group = invocation.Value(ExceptControlGroup)?.Trim('/');
        if (user is null == group is null)
            mistake = "say whose connections are the agent's own: either --except-user USER or --except-cgroup PATH";
        else if (user is not null && (user.Length is 0 or > 32 || !user.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.')))
            mistake = $"--except-user: '{Shown.Of(user)}' is no user's name or number";
        else if (group is not null && (group.Length is 0 or > 1024 || !group.All(c => char.IsAsciiLetterOrDigit(c) || "_-.@:/".Contains(c, StringComparison.Ordinal))))
            mistake = $"--except-cgroup: '{Shown.Of(group)}' is no path below the root of cgroup2";
        return mistake.Length > 0 ? null : user is not null ? new OwnTraffic.OfUser(user) : new OwnTraffic.OfControlGroup(group!);
    }

    private static async Task<int> RemoveAsync(Invocation invocation)
    {
        if (SiteOf(invocation, out var mistake) is not { } site) return invocation.Fail(ExitCode.Mistake, mistake);
        Nft.Apply(Ruleset.Remove(site));
        await invocation.Out.WriteLineAsync($"nothing is redirected for {site} any more");
        return ExitCode.Ok;
    }

    private static async Task<int> ShowAsync(Invocation invocation)
    {
        if (SiteOf(invocation, out var mistake) is not { } site) return invocation.Fail(ExitCode.Mistake, mistake);
        await invocation.Out.WriteAsync(Nft.List(Ruleset.TableOf(site)) ?? $"nothing is redirected for {site}\n");
        return ExitCode.Ok;
    }

    // Only the name is needed, also when other settings were changed since.
    private static string? SiteOf(Invocation invocation, out string mistake)
    {
        if (SettingsLoader.Variables(invocation, out mistake) is not { } variables) return null;
        var site = variables.GetValueOrDefault("CHEOPS_SITE", "").Trim();
        if (Proto.Scopes.ScopeParser.IsName(site)) return site;
        mistake = "CHEOPS_SITE: this site's name tells which rules are meant; set it, or give --env-file";
        return null;
    }
}
