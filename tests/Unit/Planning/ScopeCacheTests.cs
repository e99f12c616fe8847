using System.Text;
using Cheops.Agent.Planning;
using Cheops.Proto;

namespace Cheops.Tests.Unit.Planning;

public class ScopeCacheTests
{
    [Fact]
    public void Remembers_what_parsed_and_never_a_mistake()
    {
        var cache = new ScopeCache();
        Assert.True(cache.TryParse("Site1; Site2", out var first, out _));
        Assert.True(cache.TryParse("Site1; Site2"u8, out var again, out var error));
        Assert.Same(first, again);
        Assert.Null(error);
        Assert.False(cache.TryParse("Site1;", out _, out error));
        Assert.Equal(6, error.Column);
        Assert.False(cache.TryParse(Encoding.UTF8.GetBytes("Sité"), out _, out error));
        Assert.Equal(3, error.Column);
        Assert.Equal(1, cache.Count);
    }

    [Fact]
    public void Finding_allocates_nothing()
    {
        var cache = new ScopeCache();
        _ = cache.TryParse("{glance: Site1}"u8, out _, out _);
        Assert.Equal(0, Allocations.LeastOf(() =>
        {
            for (var i = 0; i < 1000; i++) _ = cache.TryParse("{glance: Site1}"u8, out _, out _);
        }));
    }

    [Fact]
    public void Is_bounded_and_keeps_what_is_in_use()
    {
        var cache = new ScopeCache();
        _ = cache.TryParse("kept", out var kept, out _);
        for (var i = 0; i < 5 * Bounds.ScopeCacheCountMax; i++)
        {
            _ = cache.TryParse($"Site{i}", out _, out _);
            _ = cache.TryParse("kept", out var again, out _);
            Assert.Same(kept, again);
            Assert.InRange(cache.Count, 1, Bounds.ScopeCacheCountMax + 2);
        }

        var large = string.Join("; ", Enumerable.Repeat("Site1", 200));
        Assert.True(cache.TryParse(large, out _, out _));
        Assert.True(cache.TryParse(Encoding.ASCII.GetBytes(large), out _, out _));
    }
}
