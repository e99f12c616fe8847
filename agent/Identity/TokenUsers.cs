using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Cheops.Agent.Mesh;
using Cheops.Proto;

namespace Cheops.Agent.Identity;

/// <summary>
/// Tells who a bearer token of this site is, by asking the local API server, and remembers the answer for
/// <see cref="Bounds.TokenReviewTtlMs"/>. Tokens themselves are not kept, only their SHA-256.
/// </summary>
/// <param name="client">Reaches the API server.</param>
/// <param name="time">The clock.</param>
public sealed class TokenUsers(IServiceClient client, TimeProvider time)
{
    // The group that Kubernetes lets do everything: creating TokenReviews needs a right of its own otherwise.
    private static readonly UserIdentity Reviewer = new("cheops", ["system:masters"]);

    private readonly ConcurrentDictionary<(string Service, string TokenHash), (UserIdentity? User, long Until)> _known = new();

    /// <summary>The user whom <paramref name="token"/> stands for at <paramref name="service"/>; null when it is not known there.</summary>
    /// <exception cref="IOException">The API server was not reached, or did not answer as one.</exception>
    public async ValueTask<UserIdentity?> FindAsync(string service, string token, CancellationToken cancellation)
    {
        var key = (service, Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token))));
        var now = time.GetTimestamp();
        if (_known.TryGetValue(key, out var known) && known.Until > now) return known.User;

        var answer = await client.CallAsync(
            new ServiceRequest(service, "POST", TokenReview.Target) { Json = TokenReview.Ask(token), User = Reviewer },
            cancellation);
        if (answer.Status is not (200 or 201))
            throw new IOException($"the API server answered the review of a token with {answer.Status}");

        UserIdentity? user;
        try
        {
            user = TokenReview.Read(answer.Body);
        }
        catch (FormatException e)
        {
            throw new IOException(e.Message, e);
        }

        Remember(key, user, now);
        return user;
    }

    private void Remember((string, string) key, UserIdentity? user, long now)
    {
        if (_known.Count >= Bounds.TokenReviewCountMax)
        {
            foreach (var (old, value) in _known)
            {
                if (value.Until <= now) _known.TryRemove(old, out _);
            }

            // All fresh: forgetting them costs reviews, keeping them would cost memory without bound.
            if (_known.Count >= Bounds.TokenReviewCountMax) _known.Clear();
        }

        _known[key] = (user, now + time.TimestampFrequency * Bounds.TokenReviewTtlMs / 1000);
    }
}
