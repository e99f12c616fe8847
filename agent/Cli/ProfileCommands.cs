using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Proto;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Cli;

/// <summary><c>cheops profile</c>: what Cheops knows of an application's API, written, checked and shown.</summary>
internal static class ProfileCommands
{
    private static readonly Option Name = new("--name", "NAME", "the profile's name (default: the file's)");
    private static readonly Option Service = new("--service", "SERVICE", "the service's name, as in CHEOPS_SERVICES (default: the profile's name)") { Short = "-s" };

    public static readonly Command Infer = new()
    {
        Name = "profile infer",
        Summary = "write a profile from an OpenAPI document",
        Details = """
            What can be told from the document is written: collections, items, ids and who chooses them, fields that only
            the service sets, actions below items. What cannot is left for you: dependencies (references), natural keys,
            visibility. The document is OpenAPI 3 or Swagger 2 in JSON.
            """,
        Positionals = [new("OPENAPI.JSON", "the document; - for standard input") { IsFile = true }],
        Options = [Name, Service],
        Examples = ["cheops profile infer shop-openapi.json --service shop > /etc/cheops/shop.json", "cheops profile infer - --name kube < kube-openapi.json"],
        Run = InferAsync,
    };

    public static readonly Command Check = new()
    {
        Name = "profile check",
        Summary = "check a profile, with all mistakes at once",
        Positionals = [new("PROFILE.JSON", "the file") { IsFile = true }],
        Examples = ["cheops profile check /etc/cheops/shop.json"],
        Run = invocation => Task.FromResult(RunCheck(invocation)),
    };

    public static readonly Command Show = new()
    {
        Name = "profile show",
        Summary = "print a profile that is built in, to begin one's own from",
        Positionals = [new("NAME", "its name") { Choices = BuiltInProfiles.Names }],
        Examples = ["cheops profile show openstack"],
        Run = invocation =>
        {
            invocation.Out.Write(Encoding.UTF8.GetString(BuiltInProfiles.Json(invocation.Positionals[0]).Span));
            return Task.FromResult(ExitCode.Ok);
        },
    };

    private static async Task<int> InferAsync(Invocation invocation)
    {
        var file = invocation.Positionals[0];
        var name = invocation.Value(Name) ?? (file == "-" ? "" : Path.GetFileName(file).Split('.')[0]);
        var service = invocation.Value(Service) ?? name;
        if (!ScopeParser.IsName(name)) return invocation.Fail(ExitCode.Mistake, $"'{name}' is no profile's name; say --name NAME");
        if (!ScopeParser.IsName(service)) return invocation.Fail(ExitCode.Mistake, $"--service: '{service}' is no service's name");
        try
        {
            await invocation.Out.WriteAsync(ProfileInference.Infer(await ReadAsync(file), name, service));
            return ExitCode.Ok;
        }
        catch (FormatException e)
        {
            return invocation.Fail(ExitCode.Mistake, $"{file}: {e.Message}");
        }
    }

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(string file)
    {
        await using var input = file == "-" ? Console.OpenStandardInput() : File.OpenRead(file);
        using var all = new MemoryStream();
        var buffer = new byte[64 * 1024];
        while (await input.ReadAsync(buffer) is > 0 and var read && all.Length <= Bounds.OpenApiSizeMax) all.Write(buffer, 0, read);
        return all.ToArray();
    }

    private static int RunCheck(Invocation invocation)
    {
        var file = invocation.Positionals[0];
        if (ProfileReader.TryRead(File.ReadAllBytes(file), out var profile, out var mistakes))
        {
            invocation.Out.WriteLine($"{profile.Name}: the profile is right; services: {string.Join(", ", profile.Services.Keys.Order(StringComparer.Ordinal))}");
            return ExitCode.Ok;
        }

        foreach (var mistake in mistakes) invocation.Error.WriteLine($"{file}: {mistake}");
        return invocation.Fail(ExitCode.Mistake, mistakes.Length == 1 ? "1 mistake" : $"{mistakes.Length} mistakes");
    }
}
