using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Requests whose scope names the former sites of a replicant: it is one replicant, wherever it has moved to.</summary>
public sealed class FormerSitesTests : IAsyncLifetime
{
    private const string Both = "Site1 & Site2";
    private readonly MovingSites _sites = new("Site1", "Site2", "Site3", "Site4");

    public async Task InitializeAsync()
    {
        await _sites.StartAsync();
        Assert.Equal("201", MovingSites.Status(await _sites.CreateAsync("Site1", "web", Both)));
        await _sites.QuietAsync();
    }

    public Task DisposeAsync() => _sites.DisposeAsync().AsTask();

    [Theory]
    [InlineData("keep")]
    [InlineData("delete")]
    public async Task At_a_site_that_it_has_left_a_replicant_is_not_made_anew_while_it_lives(string replica)
    {
        await _sites.MoveAsync("Site1", "web", "remove", "Site2", replica);
        var own = _sites["Site2"].All;
        foreach (var answer in new[] { await _sites.PutAsync("Site2", "web", "new", Both), await _sites.CreateAsync("Site2", "web", Both), await _sites.AskAsync("Site2", "DELETE", $"{MovingSites.Pods}/web", Both) })
        {
            Assert.True(MovingSites.Status(answer) == "409", answer.ToString());
            Assert.Contains("it is at Site1", answer.Body, StringComparison.Ordinal);
            Assert.Contains("\"retrySafe\":true", answer.Body.Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal);
        }

        await _sites.QuietAsync();
        Assert.Equal(own, _sites["Site2"].All);
        Assert.DoesNotContain("new", _sites["Site1"].All["web"], StringComparison.Ordinal);
        Assert.Equal(("Site1", ""), (_sites.KnownAt("Site1", "web"), _sites.KnownAt("Site2", "web")));
    }

    [Fact]
    public async Task Where_it_is_is_found_also_when_it_has_moved_on_since()
    {
        await _sites.MoveAsync("Site1", "web", "add", "Site3");
        await _sites.MoveAsync("Site1", "web", "remove", "Site2", "delete");
        await _sites.MoveAsync("Site3", "web", "remove", "Site1", "delete");
        await _sites.MoveAsync("Site3", "web", "add", "Site4");
        var answer = await _sites.PutAsync("Site2", "web", "new", Both);
        Assert.True(MovingSites.Status(answer) == "409", answer.ToString());
        Assert.Contains("it is at Site3 & Site4", answer.Body, StringComparison.Ordinal);
        Assert.Empty(_sites["Site1"].All.Keys.Concat(_sites["Site2"].All.Keys));
    }

    [Fact]
    public async Task While_nobody_can_say_where_it_is_nothing_is_made()
    {
        await _sites.MoveAsync("Site1", "web", "add", "Site3");
        await _sites.MoveAsync("Site1", "web", "remove", "Site2", "delete");
        foreach (var site in (string[])["Site1", "Site3"]) _sites.Sites.Down.Add(site);
        var answer = await _sites.PutAsync("Site2", "web", "new", "Site1 & Site2");
        Assert.True(MovingSites.Status(answer) == "503", answer.ToString());
        Assert.Contains("Site1 & Site3", answer.Body, StringComparison.Ordinal);
        Assert.Empty(_sites["Site2"].All);
    }

    [Theory]
    [InlineData("Site1")]
    [InlineData("Site2")]
    public async Task Once_it_is_deleted_its_name_is_free_at_its_former_sites(string at)
    {
        await _sites.MoveAsync("Site1", "web", "add", "Site3");
        await _sites.MoveAsync("Site1", "web", "remove", "Site2", "delete");
        Assert.Equal("200", MovingSites.Status(await _sites.AskAsync("Site3", "DELETE", $"{MovingSites.Pods}/web")));
        await _sites.QuietAsync();
        var answer = await _sites.CreateAsync(at, "web", Both);
        Assert.True(MovingSites.Status(answer) == "201", answer.ToString());
        await _sites.QuietAsync();
        Assert.Equal((1, 1, 0), (_sites["Site1"].All.Count, _sites["Site2"].All.Count, _sites["Site3"].All.Count));
        Assert.Equal((Both, Both, ""), (_sites.KnownAt("Site1", "web"), _sites.KnownAt("Site2", "web"), _sites.KnownAt("Site3", "web")));

        // What is done to it later is this one's.
        Assert.Equal("200", MovingSites.Status(await _sites.PutAsync("Site2", "web", "later")));
        await _sites.QuietAsync();
        Assert.All((string[])["Site1", "Site2"], site => Assert.Contains("later", _sites[site].All["web"], StringComparison.Ordinal));
        Assert.Equal("200", MovingSites.Status(await _sites.AskAsync("Site1", "DELETE", $"{MovingSites.Pods}/web")));
        await _sites.QuietAsync();
        Assert.Equal("201", MovingSites.Status(await _sites.CreateAsync(at, "web", Both)));
        await _sites.QuietAsync();
        Assert.Equal(Both, _sites.KnownAt("Site2", "web"));
    }

    // It had left the site on its way, which has not done yet what was asked of it there.
    [Theory]
    [InlineData("Site1")]
    [InlineData("Site2")]
    public async Task What_is_not_done_at_a_former_site_keeps_the_name_also_when_it_has_moved_on(string at)
    {
        await _sites.MoveAsync("Site1", "web", "add", "Site3");
        _sites["Site2"].IsBusy = true;
        Assert.Equal("200", MovingSites.Status(await _sites.PutAsync("Site1", "web", "late")));
        var (status, told) = await _sites.TellAsync("Site1", MovingSites.SitesOf("web"), HttpMethod.Post, ("remove", "Site2"), ("replica", "keep"));
        Assert.True(status == 200, told.ToString());
        Assert.Equal("200", MovingSites.Status(await _sites.AskAsync("Site3", "DELETE", $"{MovingSites.Pods}/web")));
        await _sites.Sites.UntilAsync("it is gone at Site1", () => _sites.KnownAt("Site1", "web").Length == 0);
        var early = await _sites.CreateAsync(at, "web", Both);
        Assert.True(MovingSites.Status(early) == "409", early.ToString());
        Assert.Contains("Site2", early.Body, StringComparison.Ordinal);
        _sites["Site2"].IsBusy = false;
        await _sites.QuietAsync();
        Assert.Equal("200", MovingSites.Status(await _sites.AskAsync("Site2", "DELETE", $"{MovingSites.Pods}/web")));
        Assert.Equal("201", MovingSites.Status(await _sites.CreateAsync(at, "web", Both)));
        await _sites.QuietAsync();
        Assert.Equal((1, 1, 0), (_sites["Site1"].All.Count, _sites["Site2"].All.Count, _sites["Site3"].All.Count));
    }

    // Its own resource of that name is what the replica was that it was left with.
    [Fact]
    public async Task What_was_asked_of_it_before_a_site_knew_that_it_has_left_changes_nothing_when_it_is_deleted()
    {
        _sites.Lose("Site2");
        var late = _sites.PutAsync("Site2", "web", "late");
        var (status, told) = await _sites.TellAsync("Site1", MovingSites.SitesOf("web"), HttpMethod.Post, ("remove", "Site2"), ("replica", "keep"));
        Assert.True(status == 200, told.ToString());
        Assert.Equal("200", MovingSites.Status(await _sites.AskAsync("Site1", "DELETE", $"{MovingSites.Pods}/web")));
        _sites.Return("Site2");
        var answer = await late;
        Assert.True(MovingSites.Status(answer) == "409", answer.ToString());
        Assert.Contains("is deleted there", answer.Body, StringComparison.Ordinal);
        await _sites.QuietAsync();
        Assert.DoesNotContain("late", _sites["Site2"].All["web"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_delete_that_is_not_done_at_a_former_site_keeps_the_name()
    {
        await _sites.MoveAsync("Site1", "web", "add", "Site3");
        _sites["Site2"].IsBusy = true;
        Assert.Equal("200", MovingSites.Status(await _sites.AskAsync("Site3", "DELETE", $"{MovingSites.Pods}/web")));
        await _sites.Sites.UntilAsync("it is gone at Site1", () => _sites.KnownAt("Site1", "web").Length == 0);
        var early = await _sites.CreateAsync("Site1", "web", Both);
        Assert.True(MovingSites.Status(early) == "409", early.ToString());
        Assert.Contains("at Site2", early.Body, StringComparison.Ordinal);
        _sites["Site2"].IsBusy = false;
        await _sites.QuietAsync();
        Assert.Equal("201", MovingSites.Status(await _sites.CreateAsync("Site1", "web", Both)));
        await _sites.QuietAsync();
        Assert.Equal((1, 1, 0), (_sites["Site1"].All.Count, _sites["Site2"].All.Count, _sites["Site3"].All.Count));
    }
}
