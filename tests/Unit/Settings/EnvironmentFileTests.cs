using Cheops.Agent.Settings;
using CsCheck;

namespace Cheops.Tests.Unit.Settings;

public sealed class EnvironmentFileTests
{
    [Fact]
    public void Lines_comments_quotes_and_export_are_read_as_systemd_does()
    {
        const string text = """
            # a comment
            ; another

            CHEOPS_SITE=Site1
              CHEOPS_LOG = debug
            export CHEOPS_DATA="/var/lib/my \"cheops\""
            CHEOPS_PEERS='Site2@127.0.2.1:7422,Site3'
            CHEOPS_SITE=Site9
            EMPTY=
            """;
        Assert.False(EnvironmentFile.TryParse("f", text, out _, out var mistakes));
        Assert.Equal("f:5: expected NAME=value", Assert.Single(mistakes).ToString());

        Assert.True(EnvironmentFile.TryParse("f", text.Replace("CHEOPS_LOG = debug", "CHEOPS_LOG= debug", StringComparison.Ordinal), out var variables, out _));
        Assert.Equal("Site9", variables["CHEOPS_SITE"]);
        Assert.Equal("debug", variables["CHEOPS_LOG"]);
        Assert.Equal("/var/lib/my \"cheops\"", variables["CHEOPS_DATA"]);
        Assert.Equal("Site2@127.0.2.1:7422,Site3", variables["CHEOPS_PEERS"]);
        Assert.Equal("", variables["EMPTY"]);
    }

    [Theory]
    [InlineData("no equals")]
    [InlineData("=value")]
    [InlineData("1X=value")]
    [InlineData("X-Y=value")]
    [InlineData("X=\"open")]
    [InlineData("X='a' b")]
    public void What_is_none_of_these_is_told_with_its_line(string line)
    {
        Assert.False(EnvironmentFile.TryParse("f", "A=1\n" + line + "\n", out _, out var mistakes));
        Assert.StartsWith("f:2:", Assert.Single(mistakes).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_quoted_comes_out_as_it_was() => Gen.String.Sample(value =>
    {
        if (value.Contains('\n', StringComparison.Ordinal)) return;
        var quoted = value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
        Assert.True(EnvironmentFile.TryParse("f", $"X=\"{quoted}\"", out var variables, out _));
        Assert.Equal(value, variables["X"]);
    });
}
