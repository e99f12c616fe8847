using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Cheops.Agent.Identity;
using Cheops.Agent.Profiles;
using Cheops.Proto;
using Cheops.Store.Bodies;
using Cheops.Tests.Unit.Collaboration;

namespace Cheops.Tests.Unit.Replication;

/// <summary>
/// Clients know replicants by their meta-ids, and each site's services by their own integers: what services get of requests, and
/// clients of answers, with bodies of any size.
/// </summary>
public sealed class TranslatedRequestsTests : IAsyncLifetime
{
    private const string Both = "Scope: Site1 & Site2\r\n";
    private const string Json = "Content-Type: application/json\r\n";
    private const string Chunked = "Transfer-Encoding: chunked\r\n";

    private static readonly string[] Names = ["Site1", "Site2", "Site3"];

    private readonly SimulatedSites _sites;
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-unit-");
    private readonly Dictionary<string, NumberedShop> _shops = [];
    private CredentialSeal _seal = null!;

    public TranslatedRequestsTests()
    {
        Assert.True(ProfileReader.TryRead(Encoding.UTF8.GetBytes(NumberedShop.Profile), out var profile, out _));
        _sites = new SimulatedSites(profile!, new MemoryBodyStore(), Names);
    }

    /// <summary>How large a request's body is, and whether its length is told.</summary>
    public static TheoryData<int, bool> Bodies => new()
    {
        { 10, false },
        { 10, true },
        { Bounds.BodyMemorySizeMax + 10_000, false },
        { Bounds.BodyMemorySizeMax + 10_000, true },
    };

    public Task InitializeAsync()
    {
        _seal = CredentialSeal.Open(Path.Combine(_directory.FullName, "key"));
        foreach (var name in Names)
        {
            var shop = _shops[name] = new NumberedShop(1000 * (1 + Array.IndexOf(Names, name)));
            _sites[name].Services["shop"] = _sites[name].Services["items"] = shop.AnswerAsync;
        }

        return _sites.ReplicateAsync(1, _seal);
    }

    public async Task DisposeAsync()
    {
        foreach (var name in Names) Assert.Empty(_sites[name].Errors);
        await _sites.DisposeAsync();
        _seal.Dispose();
        _directory.Delete(recursive: true);
    }

    private Task<Asked> AskAsync(string site, string service, string method, string target, string fields = "", string body = "", bool chunked = false) =>
        _sites.WithTimeAsync(_sites[site].AskAsync(service, method, target, chunked ? fields + Chunked : fields, chunked ? InChunks(body) : body));

    private static string InChunks(string body) =>
        string.Concat(body.Chunk(7_000).Select(piece => string.Create(CultureInfo.InvariantCulture, $"{piece.Length:x}\r\n{new string(piece)}\r\n"))) + "0\r\n\r\n";

    private Task QuietAsync() => _sites.UntilAsync(
        "no operation is open",
        () => ((string[])["Site1", "Site2"]).All(site => _sites[site].Replicator!.Groups.All(runner => runner.Look(state => state.OpenCount == 0))));

    private Asked LastAsked(string site)
    {
        lock (_sites[site].Log) return _sites[site].Log[^1].Asked;
    }

    // An item that both sites have: its meta-id, and its id at each.
    private async Task<(string MetaId, long First, long Second)> ItemAsync(string name)
    {
        var made = await AskAsync("Site1", "items", "POST", "/v1/items", Both + Json, $$"""{"name":"{{name}}"}""");
        Assert.Contains(" 201 ", made.FirstLine, StringComparison.Ordinal);
        await QuietAsync();
        return (JsonNode.Parse(made.Content)!["id"]!.ToString(), _shops["Site1"].Ids("items")[^1], _shops["Site2"].Ids("items")[^1]);
    }

    // Ids in the first piece and in the last, and what looks like one and is none.
    private static string Note(object first, object second, int size) =>
        $$"""{ "item":{{first}},"n": [1e2, 7 ],"text":"{{new string('t', size)}}\u00e9 {{first}}","about":[{"item":{{second}}}, {"item":{{first}}, "x":{{second}}}] }""".Replace($"\"x\":{second}", "\"x\":7", StringComparison.Ordinal);

    private static string Shown(Asked answer) => $"{answer.FirstLine}\n{answer.Content[..Math.Min(200, answer.Content.Length)]}";

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task A_request_gets_the_ids_that_its_site_knows_and_its_answer_meta_ids(int size, bool chunked)
    {
        var (one, two) = (await ItemAsync("one"), await ItemAsync("two"));
        foreach (var (site, oneHere, twoHere) in ((string, long, long)[])[("Site1", one.First, two.First), ("Site2", one.Second, two.Second)])
        {
            var made = await AskAsync(site, "shop", "POST", "/v1/notes", Json, Note(one.MetaId, two.MetaId, size), chunked);
            Assert.True(made.FirstLine.Contains(" 201 ", StringComparison.Ordinal), Shown(made));
            var asked = LastAsked(site);

            // What is no reference stays as it is, the text that has the same digits among it.
            Assert.Equal(Note(oneHere, twoHere, size).Replace($" {oneHere}\"", $" {one.MetaId}\"", StringComparison.Ordinal), asked.Content);

            // Only what is small and has a length is read before it is sent.
            var hasLength = size <= Bounds.BodyMemorySizeMax && !chunked;
            Assert.Equal(hasLength ? null : "chunked", asked.Field("Transfer-Encoding"));
            Assert.Equal(hasLength ? asked.Body.Length.ToString(CultureInfo.InvariantCulture) : null, asked.Field("Content-Length"));

            var answer = JsonNode.Parse(made.Content)!;
            Assert.Equal((one.MetaId, two.MetaId), (answer["item"]!.ToString(), answer["about"]![0]!["item"]!.ToString()));
            var listed = JsonNode.Parse((await AskAsync(site, "shop", "GET", $"/v1/notes?item={one.MetaId}")).Content)!.AsArray();
            Assert.Equal((1, one.MetaId), (listed.Count, listed[0]!["item"]!.ToString()));
            Assert.EndsWith($"?item={oneHere} HTTP/1.1", LastAsked(site).FirstLine, StringComparison.Ordinal);
        }
    }

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task Another_body_than_json_passes_as_it_is(int size, bool chunked)
    {
        var (one, _, _) = await ItemAsync("one");
        var note = Note(one, one, size);
        await AskAsync("Site2", "shop", "POST", "/v1/notes", "Content-Type: text/plain\r\n", note, chunked);
        AssertAsSent(note, chunked);
    }

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task Without_a_replicant_that_has_another_id_here_a_body_passes_as_it_is(int size, bool chunked)
    {
        var note = $$"""{"item": 123, "text":"{{new string('t', size)}}"}""";
        await AskAsync("Site2", "shop", "POST", "/v1/notes", Json, note, chunked);
        AssertAsSent(note, chunked);
    }

    private void AssertAsSent(string body, bool chunked)
    {
        var asked = LastAsked("Site2");
        Assert.Equal(body, asked.Content);
        Assert.Equal(chunked ? null : body.Length.ToString(CultureInfo.InvariantCulture), asked.Field("Content-Length"));
    }

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task What_is_replicated_refers_at_each_site_to_the_replica_there(int size, bool chunked)
    {
        var (one, two) = (await ItemAsync("one"), await ItemAsync("two"));

        // By an id of the site where it comes in, as by the meta-id.
        foreach (var (site, first, second) in ((string, object, object)[])[("Site1", one.MetaId, two.MetaId), ("Site2", one.Second, two.Second)])
        {
            var made = await AskAsync(site, "shop", "POST", "/v1/notes", Both + Json, Note(first, second, size), chunked);
            Assert.True(made.FirstLine.Contains(" 201 ", StringComparison.Ordinal), Shown(made));
            Assert.Equal(one.MetaId, JsonNode.Parse(made.Content)!["item"]!.ToString());
            await QuietAsync();
            AssertNoted(first, size, one, two);

            var metaId = JsonNode.Parse(made.Content)!["id"]!.ToString();
            var put = await AskAsync(site, "shop", "PUT", $"/v1/notes/{metaId}", Json, Note(second, first, size), chunked);
            Assert.True(put.FirstLine.Contains(" 200 ", StringComparison.Ordinal), Shown(put));
            await QuietAsync();
            AssertNoted(second, size, two, one);
        }
    }

    // What the last change came to at both sites.
    private void AssertNoted(object inText, int size, (string MetaId, long First, long Second) first, (string MetaId, long First, long Second) second)
    {
        foreach (var (site, here, other) in ((string, long, long)[])[("Site1", first.First, second.First), ("Site2", first.Second, second.Second)])
            Assert.Equal(Note(here, other, size).Replace($" {here}\"", $" {inText}\"", StringComparison.Ordinal), LastAsked(site).Content);
    }

    [Fact]
    public async Task Of_a_large_body_what_belongs_to_a_site_is_left_out_as_well()
    {
        var one = await ItemAsync("one");
        var text = new string('t', Bounds.BodyMemorySizeMax);
        await AskAsync("Site1", "shop", "POST", "/v1/orders", Both + Json, $$"""{"item":{{one.MetaId}},"madeAt":"Site1","text":"{{text}}"}""");
        await QuietAsync();
        Assert.Equal($$"""{"item":{{one.First}},"madeAt":"Site1","text":"{{text}}"}""", LastAsked("Site1").Content);
        Assert.Equal($$"""{"item":{{one.Second}},"text":"{{text}}"}""", LastAsked("Site2").Content);
    }

    [Fact]
    public async Task A_create_whose_answer_was_lost_is_found_by_what_it_refers_to()
    {
        var one = await ItemAsync("one");
        _shops["Site2"].OrdersUntilLost = 0;
        await AskAsync("Site1", "shop", "POST", "/v1/orders", Both + Json, $$"""{"item":{{one.MetaId}},"of":"me"}""");
        await QuietAsync();
        Assert.Single(_shops["Site1"].Ids("orders"));
        Assert.Single(_shops["Site2"].Ids("orders"));
    }

    [Fact]
    public async Task Of_several_locations_each_gets_the_ids_that_it_knows()
    {
        var one = await ItemAsync("one");
        _sites.Down.Add("Site3");
        foreach (var (site, scope, at, here) in ((string, string, string, long)[])
            [("Site1", "Site3; Site1", "Site1", one.First), ("Site1", "Site3; Site2", "Site2", one.Second), ("Site2", "Site2; Site1", "Site2", one.Second)])
        {
            var made = await AskAsync(site, "shop", "POST", "/v1/notes", $"Scope: {scope}\r\n{Json}", Note(one.MetaId, one.MetaId, 10));
            Assert.True(made.FirstLine.Contains(" 201 ", StringComparison.Ordinal), Shown(made));
            Assert.Equal(one.MetaId, JsonNode.Parse(made.Content)!["item"]!.ToString());
            Assert.StartsWith($$"""{ "item":{{here}},""", LastAsked(at).Content, StringComparison.Ordinal);
        }

        // The answer of the first location is relayed when the second was no better.
        var missing = await AskAsync("Site2", "items", "GET", "/v1/items/17", "Scope: Site2; Site1\r\n");
        Assert.Contains(" 404 ", missing.FirstLine, StringComparison.Ordinal);
        var found = await AskAsync("Site2", "items", "GET", $"/v1/items/{one.MetaId}", "Scope: Site3; Site2\r\n");
        Assert.Equal(one.MetaId, JsonNode.Parse(found.Content)!["id"]!.ToString());
    }
}
