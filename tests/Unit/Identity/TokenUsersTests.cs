using System.Text;
using Cheops.Agent.Identity;
using Cheops.Proto;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Identity;

public sealed class TokenUsersTests
{
    private const string Known =
        """{"kind":"TokenReview","status":{"authenticated":true,"user":{"username":"dev","groups":["devs","system:authenticated"]}}}""";

    private sealed class ApiServer : IServiceClient
    {
        public List<ServiceRequest> Asked { get; } = [];

        public ServiceAnswer Answer { get; set; } = new(201, Encoding.UTF8.GetBytes(Known));

        public Task<ServiceAnswer> CallAsync(ServiceRequest request, CancellationToken cancellation)
        {
            Asked.Add(request);
            return Task.FromResult(Answer);
        }
    }

    private readonly ApiServer _server = new();
    private readonly FakeTimeProvider _time = new();

    private TokenUsers Users => field ??= new TokenUsers(_server, _time);

    [Fact]
    public async Task A_known_token_is_its_user_with_groups()
    {
        var user = await Users.FindAsync("kube", "s3cret\"", default);
        Assert.Equal("dev", user!.Name);
        Assert.Equal(["devs", "system:authenticated"], user.Groups.ToArray());
        var asked = Assert.Single(_server.Asked);
        Assert.Equal("/apis/authentication.k8s.io/v1/tokenreviews", asked.Target);
        Assert.Contains("\"token\":\"s3cret\\u0022\"", Encoding.UTF8.GetString(asked.Json.Span), StringComparison.Ordinal);
        Assert.Equal(["system:masters"], asked.User!.Groups.ToArray());
    }

    [Fact]
    public async Task Answers_are_believed_for_their_time_and_per_token_and_service()
    {
        await Users.FindAsync("kube", "a", default);
        await Users.FindAsync("kube", "a", default);
        Assert.Single(_server.Asked);
        await Users.FindAsync("kube", "b", default);
        await Users.FindAsync("other", "a", default);
        Assert.Equal(3, _server.Asked.Count);

        _time.Advance(TimeSpan.FromMilliseconds(Bounds.TokenReviewTtlMs));
        _server.Answer = new(201, """{"status":{"authenticated":false}}"""u8.ToArray());
        Assert.Null(await Users.FindAsync("kube", "a", default));
        Assert.Equal(4, _server.Asked.Count);
    }

    [Fact]
    public async Task What_is_remembered_is_bounded()
    {
        for (var i = 0; i <= Bounds.TokenReviewCountMax; i++) await Users.FindAsync("kube", $"t{i}", default);
        await Users.FindAsync("kube", $"t{Bounds.TokenReviewCountMax}", default);
        Assert.Equal(Bounds.TokenReviewCountMax + 1, _server.Asked.Count);
        await Users.FindAsync("kube", "t0", default);
        Assert.Equal(Bounds.TokenReviewCountMax + 2, _server.Asked.Count);
    }

    [Theory]
    [InlineData(403, Known, "answered the review of a token with 403")]
    [InlineData(201, "<html>", "no TokenReview")]
    [InlineData(201, """{"status":{"authenticated":true,"user":{}}}""", "no TokenReview")]
    [InlineData(201, """{"status":{"authenticated":true,"user":{"username":""}}}""", "names no user")]
    [InlineData(201, """{"status":{"authenticated":true,"user":{"username":"a\r\nX-Remote-User: b"}}}""", "cannot be carried")]
    [InlineData(201, """{"status":{"authenticated":"yes"}}""", "no TokenReview")]
    public async Task An_answer_that_cannot_be_believed_is_an_error(int status, string body, string reason)
    {
        _server.Answer = new(status, Encoding.UTF8.GetBytes(body));
        var e = await Assert.ThrowsAnyAsync<IOException>(async () => await Users.FindAsync("kube", "a", default));
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }
}
