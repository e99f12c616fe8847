using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Tests.Unit.Profiles;

public sealed class ServiceVersionTests
{
    [Theory]
    [InlineData("v1.27.3+k3s1", "1.27")]
    [InlineData("1.27", "1.27")]
    [InlineData("V2", "2")]
    [InlineData("3.x", "3")]
    [InlineData("2024-05", "2024")]
    [InlineData("99999999999.1", "")]
    [InlineData("latest", "")]
    [InlineData("", "")]
    public void Major_and_minor_are_taken(string text, string version) => Assert.Equal(version, ServiceVersion.MajorMinor(text));

    [Theory]
    [InlineData("""{"v": 2}""", "v", "2")]
    [InlineData("""{"v": [1.9, 1.10, "1.2"]}""", "v[]", "1.10")]
    [InlineData("""{"v": {"v": true}}""", "v.v", "")]
    [InlineData("""{"v": "1.2"}""", "v[]", "")]
    [InlineData("""[]""", "v", "")]
    [InlineData("""<html>""", "v", "")]
    [InlineData("", "v", "")]
    public void Is_found_where_the_field_is(string json, string field, string version) =>
        Assert.Equal(version, ServiceVersion.Find(Encoding.UTF8.GetBytes(json), FieldPath.Parse(field)!));
}
