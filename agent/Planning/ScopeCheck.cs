using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using Cheops.Proto;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>Checks that every site and service a scope names is known.</summary>
internal readonly struct ScopeCheck(FrozenSet<string> services, SiteTable table)
{
    private const int ListedMax = 32;

    public bool Check(Scope scope, [NotNullWhen(false)] out PlanRefusal? refusal)
    {
        foreach (var binding in scope.Bindings)
        {
            if (UnknownService(binding.Service))
            {
                refusal = RefuseService(binding.Service);
                return false;
            }

            if (FindUnknownSite(binding.Location) is { } site)
            {
                refusal = RefuseSite(site, table);
                return false;
            }
        }

        refusal = null;
        return true;
    }

    public static PlanRefusal RefuseSite(string name, SiteTable table)
    {
        var known = table.Names.ToArray();
        return new PlanRefusal(
            PlanRefusalKind.UnknownSite, $"no site '{name}' is known; known sites: {List(known)}{NearestName.Hint(name, known)}");
    }

    private bool UnknownService(string service)
    {
        if (service is Binding.Addressed or Binding.AnyOther || services.Contains(service))
            return false;
        foreach (var site in table.Sites)
        {
            if (site.Services.ContainsKey(service))
                return false;
        }

        return true;
    }

    private PlanRefusal RefuseService(string name)
    {
        var known = services.Concat(table.Sites.SelectMany(site => site.Services.Keys)).Distinct().Order(StringComparer.Ordinal).ToArray();
        return new PlanRefusal(
            PlanRefusalKind.UnknownService, $"no service '{name}' is known; known services: {List(known)}{NearestName.Hint(name, known)}");
    }

    private string? FindUnknownSite(Location location) => location switch
    {
        SiteLocation site => site.MentionsHere || table.Knows(site.Name) ? null : site.Name,
        AroundLocation around => FindUnknownSite(around.Center),
        FirstLocation first => FindUnknownSite(first.Alternatives.AsSpan()),
        AllLocation all => FindUnknownSite(all.Replicas.AsSpan()),
        SpreadLocation spread => FindUnknownSite(spread.Parts.AsSpan()),
        _ => null,
    };

    private string? FindUnknownSite(ReadOnlySpan<Location> locations)
    {
        foreach (var location in locations)
        {
            if (FindUnknownSite(location) is { } name)
                return name;
        }

        return null;
    }

    private static string List(string[] names) => names.Length switch
    {
        0 => "none",
        <= ListedMax => string.Join(", ", names),
        _ => $"{string.Join(", ", names.Take(ListedMax))} and {names.Length - ListedMax} more",
    };
}
