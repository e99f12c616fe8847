using Cheops.Proto.Http;
using Cheops.Tests.Fuzz.Http;

namespace Cheops.Tests.Unit.Http;

public sealed class HttpRefusalTests
{
    private static readonly HttpRefusal[] All = Enum.GetValues<HttpRefusal>();

    [Fact]
    public void Every_refusal_has_a_sentence_of_its_own() =>
        Assert.Equal(All.Length, All.Select(refusal => refusal.Describe()).Distinct().Count());

    /// <summary>Nothing is claimed to be refused that no case shows to be.</summary>
    [Fact]
    public void Every_refusal_is_met_by_a_case()
    {
        var met = RefusedRequestCases.All.Select(one => one.Refusal)
            .Concat(ResponseCases.Refused.Select(one => one.Refusal))
            .Concat(ChunkedCases.Refused.Select(one => one.Refusal));
        Assert.Empty(All.Except(met).Except([HttpRefusal.None]));
    }

    [Fact]
    public void Every_refusal_has_a_status_that_blames_the_client_or_says_what_is_not_served()
    {
        foreach (var refusal in All) Assert.Contains(refusal.Status(), new[] { 400, 414, 417, 431, 501, 505 });
        Assert.Equal(501, HttpRefusal.ConnectRefused.Status());
        Assert.Equal(501, HttpRefusal.UnsupportedTransferCoding.Status());
        Assert.Equal(414, HttpRefusal.TargetTooLong.Status());
        Assert.Equal(431, HttpRefusal.HeadTooLarge.Status());
        Assert.Equal(505, HttpRefusal.UnsupportedVersion.Status());
        Assert.Equal(417, HttpRefusal.UnknownExpectation.Status());
        Assert.Equal(400, HttpRefusal.LengthAndCoding.Status());
    }

    [Fact]
    public void Every_known_field_is_found_by_its_name_in_any_case()
    {
        string[] names =
        [
            "Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE", "Trailer", "Upgrade", "HTTP2-Settings", "Expect",
            "Scope", "Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix", "traceparent", "tracestate", "baggage", "X-Request-ID",
            "X-OpenStack-Request-ID", "Authorization", "Cookie", "Location", "Content-Type", "Date", "Cheops-Anything", "X-Remote-Anything", "X-Auth-Token", "Max-Forwards",
        ];
        var found = names.Select(name => KnownFields.Resolve(HeadText.Bytes(name))).ToArray();
        Assert.Equal(Enum.GetValues<KnownField>().Except([KnownField.Other]), found);
        Assert.Equal(found, names.Select(name => KnownFields.Resolve(HeadText.Bytes(name.ToUpperInvariant()))));
        Assert.Equal(found, names.Select(name => KnownFields.Resolve(HeadText.Bytes(name.ToLowerInvariant()))));
        Assert.All(names, name => Assert.Equal(KnownField.Other, KnownFields.Resolve(HeadText.Bytes("Y" + name))));
        Assert.All(names.Where(name => !name.EndsWith("-Anything", StringComparison.Ordinal)), name => Assert.Equal(KnownField.Other, KnownFields.Resolve(HeadText.Bytes(name + "s"))));
        Assert.Equal(KnownField.Other, KnownFields.Resolve("Cheops"u8));
        Assert.Equal(KnownField.Other, KnownFields.Resolve("X-Remote"u8));
        Assert.Equal(KnownField.Other, KnownFields.Resolve(""u8));
        Assert.True(Enum.GetValues<KnownField>().Length <= 64, "sets of known fields are masks of 64 bits");
    }
}
