using System.Net;
using Cheops.Agent.Redirection;
using Cheops.Agent.Settings;

namespace Cheops.Tests.Unit.Redirection;

public sealed class RulesetTests
{
    private static Redirect To(string instance, string listener) => new("shop", IPEndPoint.Parse(instance), IPEndPoint.Parse(listener));

    [Fact]
    public void The_table_is_replaced_whole_and_the_agent_s_own_traffic_passes_first() => Assert.Equal(
        """
        add table inet cheops_Site-1
        delete table inet cheops_Site-1
        table inet cheops_Site-1 {
          chain output {
            type nat hook output priority -100; policy accept;
            meta skuid "cheops" accept
            ip daddr 10.0.0.1 tcp dport 9292 counter dnat ip to 10.0.0.1:19292 comment "shop"
            ip daddr 127.0.0.1 tcp dport 80 counter redirect to :8080 comment "shop"
            ip6 daddr fd00::1 tcp dport 80 counter dnat ip6 to [fd00::2]:8080 comment "shop"
          }
          chain prerouting {
            type nat hook prerouting priority -100; policy accept;
            ip daddr 10.0.0.1 tcp dport 9292 counter dnat ip to 10.0.0.1:19292 comment "shop"
            ip6 daddr fd00::1 tcp dport 80 counter dnat ip6 to [fd00::2]:8080 comment "shop"
          }
        }

        """,
        Ruleset.Install("Site-1", [To("10.0.0.1:9292", "10.0.0.1:19292"), To("127.0.0.1:80", "0.0.0.0:8080"), To("[fd00::1]:80", "[fd00::2]:8080")], new OwnTraffic.OfUser("cheops")));

    [Fact]
    public void A_control_group_or_a_numeric_user_may_be_the_agent_s()
    {
        Assert.Contains("socket cgroupv2 level 2 \"system.slice/cheops.service\" accept\n", Ruleset.Install("S", [], new OwnTraffic.OfControlGroup("system.slice/cheops.service")), StringComparison.Ordinal);
        Assert.Contains("meta skuid 998 accept\n", Ruleset.Install("S", [], new OwnTraffic.OfUser("998")), StringComparison.Ordinal);
    }

    [Fact]
    public void Host_names_are_looked_up_and_families_must_match()
    {
        var settings = new AgentSettings
        {
            Site = "S",
            Services =
            [
                new ServiceSettings { Name = "a", Listen = [IPEndPoint.Parse("127.0.0.1:80"), IPEndPoint.Parse("[::1]:80")], Upstream = new UpstreamAddress(false, "x.test", 81) },
                new ServiceSettings { Name = "b", Listen = [IPEndPoint.Parse("127.0.0.1:82")], Upstream = new UpstreamAddress(false, "::1", 83) },
            ],
        };
        var redirects = RedirectPlan.Of(settings, ["a"], _ => [IPAddress.Parse("10.0.0.9"), IPAddress.Parse("fd00::9")], out var none);
        Assert.Empty(none);
        Assert.Equal(["10.0.0.9:81 127.0.0.1:80", "[fd00::9]:81 [::1]:80"], redirects.Select(one => $"{one.Instance} {one.Listener}"));
        RedirectPlan.Of(settings, ["b"], _ => [], out var mistakes);
        Assert.Contains("no listener has an address of that family", Assert.Single(mistakes), StringComparison.Ordinal);
    }
}
