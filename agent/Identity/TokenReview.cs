using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;
using Cheops.Agent.Mesh;
using Cheops.Proto;

namespace Cheops.Agent.Identity;

/// <summary>
/// The Kubernetes <c>TokenReview</c> resource (authentication.k8s.io/v1): asks an API server who a bearer token is.
/// </summary>
public static class TokenReview
{
    /// <summary>Where reviews are created.</summary>
    public const string Target = "/apis/authentication.k8s.io/v1/tokenreviews";

    /// <summary>The body that asks about <paramref name="token"/>.</summary>
    public static ReadOnlyMemory<byte> Ask(string token)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteString("apiVersion", "authentication.k8s.io/v1");
        json.WriteString("kind", "TokenReview");
        json.WriteStartObject("spec");
        json.WriteString("token", token);
        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    /// <summary>Reads the answer: the user, or null when the API server does not know the token.</summary>
    /// <exception cref="FormatException">The answer is no TokenReview, or names more than is accepted.</exception>
    public static UserIdentity? Read(ReadOnlyMemory<byte> answer)
    {
        try
        {
            using var document = JsonDocument.Parse(answer);
            var status = document.RootElement.GetProperty("status");
            if (!status.TryGetProperty("authenticated", out var known) || !known.GetBoolean()) return null;
            var user = status.GetProperty("user");
            var name = user.GetProperty("username").GetString();
            if (string.IsNullOrEmpty(name)) throw new FormatException("the TokenReview names no user");
            ImmutableArray<string> groups = user.TryGetProperty("groups", out var list) && list.ValueKind == JsonValueKind.Array
                ? [.. list.EnumerateArray().Select(group => group.GetString() ?? "")]
                : [];
            return Checked(new UserIdentity(name, groups));
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new FormatException("the API server's answer is no TokenReview", e);
        }
    }

    private static UserIdentity Checked(UserIdentity user)
    {
        if (user.Groups.Length > Bounds.UserGroupCountMax) throw new FormatException("the user is in too many groups");
        foreach (var word in user.Groups.Append(user.Name))
        {
            // Both become field values: what a field cannot carry must not be cut or smuggled.
            if (word.Length is 0 or > Bounds.UserNameLengthMax || word.Any(c => c is < ' ' or > '~'))
                throw new FormatException("the user's name or group cannot be carried in a field");
        }

        return user;
    }
}
