using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Cheops.Agent.Identity;
using Cheops.Agent.Settings;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Tests.Unit.Collaboration;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Identity;

/// <summary>The site's own credentials: what their files say, and tokens from an identity service that speaks HTTP.</summary>
public sealed class ServiceCredentialsTests : IDisposable
{
    private const string OpenRc = """
        # of the agent
        export OS_AUTH_URL=http://127.0.1.1:5000/v3/
        export OS_USERNAME='glance agent'
        export OS_PASSWORD="p\"w"
        export OS_PROJECT_NAME=service
        export OS_PROJECT_DOMAIN_ID=default
        export OS_REGION_NAME=Site1
        """;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-unit-");
    private readonly FakeTimeProvider _time = new();
    private readonly Deadlines _deadlines;
    private readonly List<Asked> _asked = [];
    private readonly ServiceCredentials _credentials;
    private int _status = 201;
    private int _tokens;

    public ServiceCredentialsTests()
    {
        _deadlines = new Deadlines(_time);
        _credentials = new ServiceCredentials(new KeystoneTokens(DialAsync, _deadlines), _time);
    }

    public void Dispose()
    {
        _deadlines.Dispose();
        _directory.Delete(recursive: true);
    }

    // An identity service whose tokens are good for an hour.
    private ValueTask<Channel> DialAsync(string service, UpstreamAddress address, CancellationToken cancellation)
    {
        Assert.Equal(("glance", "http://127.0.1.1:5000"), (service, address.ToString()));
        var (ours, theirs) = MemoryTransport.Pair();
        _ = ServeAsync(theirs);
        return new(ours);
    }

    private async Task ServeAsync(Channel channel)
    {
        await using var ending = channel;
        while (await RawHttp.ReadAsync(channel) is { } asked)
        {
            _asked.Add(asked);
            var body = $$$"""{"token":{"expires_at":"{{{_time.GetUtcNow().AddHours(1).ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture)}}}"}}""";
            await channel.Output.WriteAsync(Encoding.UTF8.GetBytes(SimulatedSites.Answer(_status, body, $"X-Subject-Token: token-{++_tokens}\r\n")));
        }
    }

    private string Write(string text, UnixFileMode mode = UnixFileMode.UserRead | UnixFileMode.UserWrite)
    {
        var path = Path.Combine(_directory.FullName, "credential");
        File.WriteAllText(path, text);
        File.SetUnixFileMode(path, mode);
        _credentials.Files = ImmutableDictionary<string, string>.Empty.Add("glance", path);
        return path;
    }

    private async Task<string> GetAsync(string refused = "") =>
        Encoding.ASCII.GetString((await _credentials.GetAsync("glance", Encoding.ASCII.GetBytes(refused), default)).Span);

    [Fact]
    public async Task A_token_is_obtained_by_name_and_password()
    {
        Write(OpenRc);
        Assert.Equal("X-Auth-Token: token-1\r\n", await GetAsync());
        var asked = Assert.Single(_asked);
        Assert.Equal("POST /v3/auth/tokens HTTP/1.1", asked.FirstLine);
        Assert.Equal("127.0.1.1:5000", asked.Field("Host"));
        using var body = JsonDocument.Parse(asked.Body);
        var auth = body.RootElement.GetProperty("auth");
        var user = auth.GetProperty("identity").GetProperty("password").GetProperty("user");
        Assert.Equal(("glance agent", "p\"w", "Default"), (user.GetProperty("name").GetString(), user.GetProperty("password").GetString(), user.GetProperty("domain").GetProperty("name").GetString()));
        var project = auth.GetProperty("scope").GetProperty("project");
        Assert.Equal(("service", "default"), (project.GetProperty("name").GetString(), project.GetProperty("domain").GetProperty("id").GetString()));
    }

    [Fact]
    public async Task A_token_is_kept_until_shortly_before_it_expires_or_until_it_is_refused()
    {
        Write(OpenRc);
        var all = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => GetAsync()));
        Assert.All(all, fields => Assert.Equal("X-Auth-Token: token-1\r\n", fields));
        _time.Advance(TimeSpan.FromHours(1) - TimeSpan.FromMilliseconds(Bounds.TokenRenewBeforeMs + 1));
        Assert.Equal("X-Auth-Token: token-1\r\n", await GetAsync());
        _time.Advance(TimeSpan.FromMilliseconds(2));
        Assert.Equal("X-Auth-Token: token-2\r\n", await GetAsync());
        Assert.Equal("X-Auth-Token: token-3\r\n", await GetAsync("X-Auth-Token: token-2\r\n"));

        // Whoever was refused with an older one gets what is there by now.
        Assert.Equal("X-Auth-Token: token-3\r\n", await GetAsync("X-Auth-Token: token-2\r\n"));
    }

    [Fact]
    public async Task An_identity_service_that_refuses_is_not_asked_again_at_once()
    {
        Write(OpenRc);
        _status = 401;
        var refused = await Assert.ThrowsAsync<IOException>(() => GetAsync());
        Assert.Equal("no token: the identity service at http://127.0.1.1:5000 answered 401", refused.Message);
        Assert.Equal(refused.Message, (await Assert.ThrowsAsync<IOException>(() => GetAsync())).Message);
        Assert.Single(_asked);
        _status = 201;
        _time.Advance(TimeSpan.FromMilliseconds(Bounds.CredentialPauseMs));
        Assert.Equal("X-Auth-Token: token-2\r\n", await GetAsync());
    }

    [Fact]
    public async Task A_line_is_sent_as_it_is_and_read_anew_when_it_was_refused()
    {
        Write("# fixed\nauthorization:  Basic abc=\n");
        Assert.Equal("Authorization: Basic abc=\r\n", await GetAsync());
        Write("Authorization: Basic def=\n");
        Assert.Equal("Authorization: Basic abc=\r\n", await GetAsync());
        Assert.Equal("Authorization: Basic def=\r\n", await GetAsync("Authorization: Basic abc=\r\n"));
    }

    [Theory]
    [InlineData("", "OS_AUTH_URL and OS_USERNAME and OS_PASSWORD and OS_PROJECT_NAME are missing")]
    [InlineData("Authorization:", "is empty")]
    [InlineData("Authorization: \u00e9s3cret", "cannot carry")]
    [InlineData("s3cret", "expected NAME=value")]
    [InlineData("OS_AUTH_URL=s3cret\nOS_USERNAME=u\nOS_PASSWORD=s3cret\nOS_PROJECT_NAME=p", "OS_AUTH_URL is no URL")]
    [InlineData("OS_AUTH_URL=http://u:s3cret@h/\nOS_USERNAME=u\nOS_PASSWORD=s3cret\nOS_PROJECT_NAME=p", "OS_AUTH_URL is no URL")]
    public void A_mistake_is_told_without_the_secret(string text, string told)
    {
        Assert.False(ServiceCredential.TryParse(text, out _, out var mistake));
        Assert.Contains(told, mistake, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", mistake, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_others_may_read_is_not_used()
    {
        var path = Write(OpenRc, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        Assert.Contains("chmod 600", CredentialFile.Read(path, out var none), StringComparison.Ordinal);
        Assert.Null(none);
        Write(OpenRc);
        Assert.Equal("", CredentialFile.Read(path, out var credential));
        Assert.Equal("a credential", credential!.ToString());
        Assert.Contains("does not exist", CredentialFile.Read(path + "x", out _), StringComparison.Ordinal);
    }
}
