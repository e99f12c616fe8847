using Cheops.Agent.Hosting;

namespace Cheops.Tests.Unit.Hosting;

public sealed class DataDirectoryTests : IDisposable
{
    private readonly DirectoryInfo _parent = Directory.CreateTempSubdirectory("cheops-test-");

    private string Path_ => Path.Combine(_parent.FullName, "a", "data");

    public void Dispose() => _parent.Delete(recursive: true);

    [Fact]
    public void It_is_made_for_its_owner_alone_and_keeps_its_incarnation()
    {
        string incarnation;
        using (var first = DataDirectory.Open(Path_))
        {
            incarnation = first.Incarnation;
            Assert.True(first.IsNew);
            Assert.Matches("^[0-9a-f]{32}$", incarnation);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Path_));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(first.PathOf("incarnation")));
        }

        using var second = DataDirectory.Open(Path_);
        Assert.False(second.IsNew);
        Assert.Equal(incarnation, second.Incarnation);
    }

    [Fact]
    public void Wiped_data_come_back_as_others()
    {
        var first = DataDirectory.Open(Path_);
        first.Dispose();
        Directory.Delete(Path_, recursive: true);
        using var second = DataDirectory.Open(Path_);
        Assert.NotEqual(first.Incarnation, second.Incarnation);
    }

    [Fact]
    public void Two_agents_cannot_share_it()
    {
        using var first = DataDirectory.Open(Path_);
        var error = Assert.Throws<IOException>(() => DataDirectory.Open(Path_));
        Assert.Contains("in use by another agent", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("00112233445566778899aabbccddee")]
    [InlineData("00112233445566778899AABBCCDDEEFF")]
    public void A_damaged_incarnation_is_never_replaced_silently(string text)
    {
        DataDirectory.Open(Path_).Dispose();
        File.WriteAllText(Path.Combine(Path_, "incarnation"), text);
        var error = Assert.Throws<IOException>(() => DataDirectory.Open(Path_));
        Assert.Contains("is damaged", error.Message, StringComparison.Ordinal);

        // And the lock is free again.
        File.WriteAllText(Path.Combine(Path_, "incarnation"), new string('0', 32));
        DataDirectory.Open(Path_).Dispose();
    }

    [Fact]
    public void What_a_crash_left_half_written_is_no_incarnation()
    {
        Directory.CreateDirectory(Path_);
        File.WriteAllText(Path.Combine(Path_, "incarnation.new"), "0011");
        using var data = DataDirectory.Open(Path_);
        Assert.True(data.IsNew);
        Assert.False(File.Exists(data.PathOf("incarnation.new")));
    }

    [Fact]
    public void Where_it_cannot_be_made_the_message_says_what_to_do()
    {
        var file = Path.Combine(_parent.FullName, "file");
        File.WriteAllText(file, "");
        var error = Assert.Throws<IOException>(() => DataDirectory.Open(Path.Combine(file, "data")));
        Assert.Contains("CHEOPS_DATA", error.Message, StringComparison.Ordinal);
    }
}
