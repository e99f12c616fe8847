namespace Cheops.Tests.Simulation.Checkers;

/// <summary>What is to be made at one of A and B.</summary>
public sealed class AtOneTests
{
    [Theory]
    [InlineData(Told.Accepted, "A", null)]
    [InlineData(Told.Accepted, "B", null)]
    [InlineData(Told.Refused, "", null)]
    [InlineData(Told.Nothing, "", null)]
    [InlineData(Told.Nothing, "A", null)]
    [InlineData(Told.Nothing, "A B", "x was made at A and B")]
    [InlineData(Told.Accepted, "B B", "x was made at B and B")]
    [InlineData(Told.Accepted, "C", "x was made at C, outside its scope")]
    [InlineData(Told.Accepted, "", "x was accepted and made nowhere")]
    [InlineData(Told.Refused, "A", "x was refused and made at A")]
    public void What_is_made_at_one_site_is_what_its_client_was_told(Told told, string at, string? broken)
    {
        var one = new AtOne("x", ["A", "B"]) { Told = told };
        foreach (var site in at.Split(' ', StringSplitOptions.RemoveEmptyEntries)) one.At.Add(site);
        Assert.Equal(broken, one.Broken);
    }
}
