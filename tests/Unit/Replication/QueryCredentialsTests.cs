using Cheops.Agent.Replication;

namespace Cheops.Tests.Unit.Replication;

public sealed class QueryCredentialsTests
{
    [Theory]
    [InlineData("/a", "/a")]
    [InlineData("/a?", "/a?")]
    [InlineData("/a?x=1&y", "/a?x=1&y")]
    [InlineData("/a?access_token=s", "/a?access_token=***", "access_token=s")]
    [InlineData("/a?x=1&Token=s&y=2", "/a?x=1&Token=***&y=2", "Token=s")]
    [InlineData("/a?API_KEY=s;sig=t;y", "/a?API_KEY=***;sig=***;y", "API_KEY=s", "sig=t")]
    [InlineData("/a?X-Amz-Signature=s&X-Amz-Date=d&temp_url_sig=t", "/a?X-Amz-Signature=***&X-Amz-Date=d&temp_url_sig=***", "X-Amz-Signature=s", "temp_url_sig=t")]
    [InlineData("/a?client%5Fsecret=a%3Db=c", "/a?client%5Fsecret=***", "client%5Fsecret=a%3Db=c")]
    [InlineData("/a?password=***", "/a?password=***", "password=***")]
    [InlineData("/a?token&signed=1&design=2&author=me&=x", "/a?token&signed=1&design=2&author=me&=x")]
    public void What_is_taken_out_is_put_in_again(string target, string left, params string[] taken)
    {
        var found = QueryCredentials.Take(target);
        Assert.Equal((left, string.Join('\n', taken)), (found.Target, string.Join('\n', found.Taken)));
        Assert.Equal(target, QueryCredentials.Put(left, found.Taken));
    }

    [Theory]
    [InlineData("/a?token=***", "/a")]
    [InlineData("/a?token=***&x=1;sig=***&y=2", "/a?x=1&y=2")]
    [InlineData("/a?x=1&token=***", "/a?x=1")]
    public void Without_a_credential_its_parameter_is_left_out(string target, string left) => Assert.Equal(left, QueryCredentials.Put(target, []));

    [Theory]
    [InlineData("/a", "/a?token=s&sig=t")]
    [InlineData("/a?key=k", "/a?key=k&token=s&sig=t")]
    public void A_read_for_the_same_user_has_them_too(string target, string with) => Assert.Equal(with, QueryCredentials.Add(target, ["token=s", "sig=t"]));
}
