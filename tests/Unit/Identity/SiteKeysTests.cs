using Cheops.Agent.Hosting;
using Cheops.Agent.Identity;

namespace Cheops.Tests.Unit.Identity;

public sealed class SiteKeysTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-unit-");
    private readonly List<string> _warnings = [];
    private string _kept = "";
    private int _writes;
    private bool _isFull;

    public void Dispose() => _directory.Delete(recursive: true);

    private SiteKeys Open() => new(_kept, Keep, _warnings.Add);

    private void Keep(string text)
    {
        if (_isFull) throw new IOException("No space left on device");
        (_kept, _writes) = (text, _writes + 1);
    }

    [Fact]
    public void Keys_that_were_heard_are_known_after_a_start()
    {
        var first = Open();
        first.Heard([("Site2", "two"), ("Site3", "")]);
        first.Heard([("Site2", ""), ("Site3", "three")]);
        first.Heard([("Site2", ""), ("Site3", "")]);
        Assert.Equal(2, _writes);

        var second = Open();
        Assert.Equal(("two", "three", ""), (second.Of("Site2"), second.Of("Site3"), second.Of("Site4")));
        second.Heard([("Site2", "two"), ("Site3", "three")]);
        Assert.Equal(2, _writes);

        // Data that were lost have another key.
        second.Heard([("Site2", "other")]);
        Assert.Equal(("other", "three"), (Open().Of("Site2"), Open().Of("Site3")));
    }

    [Fact]
    public void What_cannot_be_kept_is_known_all_the_same_told_once_and_kept_later()
    {
        var keys = Open();
        _isFull = true;
        keys.Heard([("Site2", "two")]);
        keys.Heard([("Site2", "")]);
        Assert.Equal("two", keys.Of("Site2"));
        Assert.Contains("No space left", Assert.Single(_warnings), StringComparison.Ordinal);
        _isFull = false;
        keys.Heard([]);
        Assert.Equal("two", Open().Of("Site2"));
        _isFull = true;
        keys.Heard([("Site3", "three")]);
        Assert.Equal(2, _warnings.Count);
    }

    [Theory]
    [InlineData("Site2")]
    [InlineData("Site2 two x\n two\nSite3 \n\n\0")]
    public void Lines_that_are_none_are_passed_over(string text)
    {
        _kept = text + "\nSite4 four\n";
        Assert.Equal(("", "", "four"), (Open().Of("Site2"), Open().Of("Site3"), Open().Of("Site4")));
    }

    [Fact]
    public void They_are_kept_in_the_data_directory()
    {
        var path = Path.Combine(_directory.FullName, "data");
        using (var data = DataDirectory.Open(path))
        {
            Assert.Equal("", data.Read("sites.keys"));
            new SiteKeys("", text => data.Keep("sites.keys", text), _warnings.Add).Heard([("Site2", "two")]);
            Directory.CreateDirectory(data.PathOf("taken"));
            Assert.Throws<IOException>(() => data.Keep("taken", "x"));
        }

        using var again = DataDirectory.Open(path);
        Assert.Equal("two", new SiteKeys(again.Read("sites.keys"), _ => { }, _warnings.Add).Of("Site2"));
        Assert.Empty(_warnings);
    }
}
