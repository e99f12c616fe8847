using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Workflows;
using CsCheck;

namespace Cheops.Tests.Unit.Workflows;

public class TraceTests
{
    private const string Valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    [Theory]
    [InlineData(Valid)]
    [InlineData("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    [InlineData("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes-later")]
    public void Reads_a_traceparent(string text)
    {
        Assert.True(TraceParent.TryParse(Encoding.ASCII.GetBytes(text), out var parent));
        Assert.Equal(Valid, parent.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    [InlineData("00-00000000000000000000000000000000-b7ad6b7169203331-01")]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01")]
    [InlineData("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x")]
    [InlineData("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.x")]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0")]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g")]
    [InlineData("00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    [InlineData("0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    public void Refuses_what_is_none(string text) => Assert.False(TraceParent.TryParse(Encoding.ASCII.GetBytes(text), out _));

    [Fact]
    public void Every_prefix_and_every_changed_byte_is_read_strictly() =>
        Gen.Select(Gen.Int[0, Valid.Length - 1], Gen.Char[' ', '~']).Sample((at, c) =>
        {
            var changed = Valid.Remove(at, 1).Insert(at, c.ToString());
            var read = TraceParent.TryParse(Encoding.ASCII.GetBytes(changed), out var parent);
            return !TraceParent.TryParse(Encoding.ASCII.GetBytes(Valid[..at]), out _)
                && (!read || parent.ToString()[3..] == changed[3..]);
        });

    [Fact]
    public void Ids_are_written_and_read_in_every_format()
    {
        var format = IdFormat.Parse("req-<uuid>")!;
        Gen.ULong.Select(Gen.ULong).Sample((high, low) =>
        {
            var id = new WorkflowId(new UInt128(high, low | 1));
            var hex = id.ToString();
            return hex.Length == 32
                && WorkflowId.TryParse(hex, out var one) && one == id
                && WorkflowId.TryParse(Encoding.ASCII.GetBytes(format.Write(hex)), format, out var two) && two == id
                && WorkflowId.TryParseUuid(Encoding.ASCII.GetBytes(new IdFormat("", true, "").Write(hex)), out var three) && three == id
                && id.SpanId != 0;
        });
        Assert.False(WorkflowId.TryParse(new string('0', 32), out _));
        Assert.False(WorkflowId.TryParse("0123456789ABCDEF0123456789abcdef", out _));
        Assert.False(WorkflowId.TryParse("é123456789abcdef0123456789abcdef", out _));
        Assert.False(WorkflowId.TryParse("req-x"u8, format, out _));
        Assert.NotEqual(0, (int)WorkflowId.FromBytes(new byte[16]).SpanId);
    }

    [Theory]
    [InlineData("", "k=1")]
    [InlineData("a=b", "k=1,a=b")]
    [InlineData("a=b;p=q , k=0, c=d", "k=1,a=b;p=q,c=d")]
    [InlineData(",, ,", "k=1")]
    [InlineData("kk=2,k = 3;x", "k=1,kk=2")]
    [InlineData("a=\u00e9,b=c", "k=1,b=c")]
    public void A_member_is_put_in_front_and_others_stay(string list, string expected) =>
        Assert.Equal(expected, MemberList.Put(Encoding.Latin1.GetBytes(list), "k", "1", 32, 512));

    [Theory]
    [InlineData("a=b, k=v", "v")]
    [InlineData("k = v ;p=1,k=w", "v")]
    [InlineData("kk=v", "")]
    [InlineData("k", "")]
    [InlineData("", "")]
    public void A_member_is_found(string list, string value) =>
        Assert.Equal(value, Encoding.ASCII.GetString(MemberList.Find(Encoding.ASCII.GetBytes(list), "k"u8)));

    [Fact]
    public void A_list_stays_within_its_bounds_and_keeps_whole_members()
    {
        var list = string.Join(',', Enumerable.Range(0, 100).Select(i => $"key{i}=value{i}"));
        var byCount = MemberList.Put(Encoding.ASCII.GetBytes(list), "cheops", "1", 32, 100_000);
        Assert.Equal(32, byCount.Split(',').Length);
        var byLength = MemberList.Put(Encoding.ASCII.GetBytes(list), "cheops", "1", 1000, 512);
        Assert.InRange(byLength.Length, 490, 512);
        Assert.All(byLength.Split(',')[1..], member => Assert.Contains(member, list, StringComparison.Ordinal));
    }
}
