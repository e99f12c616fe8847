using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Cheops.Agent.Settings;

namespace Cheops.Agent.Identity;

/// <summary>
/// What the file of a service credential says: a field line that is sent as it is, or a user of OpenStack's identity service. It
/// is a secret: nothing of it is printed.
/// </summary>
public abstract class ServiceCredential
{
    private const string FieldName = "Authorization:";

    private protected ServiceCredential()
    {
    }

    /// <summary>Reads the text of a file. Exactly one of the two results says something.</summary>
    /// <param name="text">
    /// One line <c>Authorization: …</c>; or variables as an openrc file has them: <c>OS_AUTH_URL</c>, <c>OS_USERNAME</c>,
    /// <c>OS_PASSWORD</c>, <c>OS_PROJECT_NAME</c>, and the domains of user and project, <c>OS_USER_DOMAIN_NAME</c> or <c>_ID</c> and
    /// <c>OS_PROJECT_DOMAIN_NAME</c> or <c>_ID</c>, where they are not <c>Default</c>. Comments and other variables are passed over.
    /// </param>
    /// <param name="credential">The credential; null when there is a mistake.</param>
    /// <param name="mistake">What is wrong, without showing the text; empty for nothing.</param>
    public static bool TryParse(string text, [NotNullWhen(true)] out ServiceCredential? credential, out string mistake)
    {
        credential = null;
        string[] lines = [.. text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Where(line => line[0] is not ('#' or ';'))];
        if (lines is [var only] && only.StartsWith(FieldName, StringComparison.OrdinalIgnoreCase))
            mistake = FixedCredential.TryMake(only[FieldName.Length..].Trim(), out credential);
        else if (!EnvironmentFile.TryParse("the file", text, out var variables, out var mistakes))
            mistake = $"{mistakes[0]}; expected one line Authorization: …, or OS_ variables as in an openrc file";
        else
            mistake = KeystoneCredential.TryMake(variables, out credential);
        return credential is not null;
    }

    /// <summary>Not what it holds.</summary>
    public sealed override string ToString() => "a credential";
}

/// <summary>A credential that is sent as it is.</summary>
public sealed class FixedCredential : ServiceCredential
{
    private FixedCredential(string value) => Value = value;

    /// <summary>The value of the <c>Authorization</c> field.</summary>
    public string Value { get; }

    internal static string TryMake(string value, out ServiceCredential? credential)
    {
        credential = value.Length > 0 && value.All(c => c is >= ' ' and <= '~') ? new FixedCredential(value) : null;
        return credential is null ? "the value of Authorization is empty, or has characters that a field cannot carry" : "";
    }
}

/// <summary>A user of OpenStack's identity service, by whose name and password tokens are obtained (Identity API v3).</summary>
public sealed class KeystoneCredential : ServiceCredential
{
    private readonly Func<string, string> _valueOf;

    private KeystoneCredential(UpstreamAddress address, string target, Func<string, string> valueOf) => (Address, Target, _valueOf) = (address, target, valueOf);

    /// <summary>Where the identity service is.</summary>
    public UpstreamAddress Address { get; }

    /// <summary>The target to which a request for a token is sent.</summary>
    public string Target { get; }

    internal static string TryMake(IReadOnlyDictionary<string, string> variables, out ServiceCredential? credential)
    {
        credential = null;
        var missing = ((string[])["OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME"]).Where(name => ValueOf(name).Length == 0).ToArray();
        if (missing.Length > 0) return $"{string.Join(" and ", missing)} {(missing.Length == 1 ? "is" : "are")} missing; it is either OS_ variables as in an openrc file, or one line Authorization: …";
        if (!Uri.TryCreate(ValueOf("OS_AUTH_URL"), UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https") || url.UserInfo.Length + url.Query.Length + url.Fragment.Length > 0)
            return "OS_AUTH_URL is no URL such as http://127.0.1.1:5000/v3";
        var path = url.AbsolutePath.TrimEnd('/');
        if (!path.EndsWith("/v3", StringComparison.Ordinal)) path += "/v3";
        credential = new KeystoneCredential(new UpstreamAddress(url.Scheme == "https", url.Host.Trim('[', ']'), url.Port), path + "/auth/tokens", ValueOf);
        return "";

        string ValueOf(string name) => variables.GetValueOrDefault(name) ?? "";
    }

    /// <summary>The body that asks for a token of the project; it holds the password.</summary>
    internal ReadOnlyMemory<byte> Ask()
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteStartObject("auth");
        json.WriteStartObject("identity");
        json.WriteStartArray("methods");
        json.WriteStringValue("password");
        json.WriteEndArray();
        json.WriteStartObject("password");
        WriteNamed(json, "user", _valueOf("OS_USERNAME"), "OS_USER_DOMAIN", _valueOf("OS_PASSWORD"));
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteStartObject("scope");
        WriteNamed(json, "project", _valueOf("OS_PROJECT_NAME"), "OS_PROJECT_DOMAIN", password: null);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    private void WriteNamed(Utf8JsonWriter json, string what, string name, string domain, string? password)
    {
        json.WriteStartObject(what);
        json.WriteString("name", name);
        json.WriteStartObject("domain");
        if (_valueOf(domain + "_ID") is { Length: > 0 } id) json.WriteString("id", id);
        else json.WriteString("name", _valueOf(domain + "_NAME") is { Length: > 0 } named ? named : "Default");
        json.WriteEndObject();
        if (password is not null) json.WriteString("password", password);
        json.WriteEndObject();
    }
}
