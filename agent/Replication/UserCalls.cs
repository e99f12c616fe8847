using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Identity;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>As whom a request is sent.</summary>
/// <param name="Fields">The field lines by which the service knows the user.</param>
/// <param name="AsFrontProxy">Whether it goes over a connection that shows the front proxy's certificate.</param>
/// <param name="IsOwn">Whether it is this site's own credential for the service, and not the user's.</param>
internal readonly record struct Caller(ReadOnlyMemory<byte> Fields, bool AsFrontProxy, bool IsOwn)
{
    /// <summary>The credentials that the query of the user's request had, as <see cref="QueryCredentials"/> took them.</summary>
    public ImmutableArray<string> Query { get; init; }
}

/// <summary>
/// Sends requests on behalf of an operation's user (DESIGN.md section 7, <em>Identity</em>): as the user that the agent has
/// verified, or with the credential that came with the request. Where the service does not take that any more (401), with
/// the site's own credential for the service, since the deciding site's acceptance is the proof that the user may.
/// </summary>
/// <param name="site">This site.</param>
/// <param name="service">Sends.</param>
/// <param name="seal">Opens what was sealed for this site.</param>
/// <param name="own">This site's own credentials.</param>
/// <param name="lines">Told whether services are reached.</param>
internal sealed class UserCalls(string site, IReplicaService service, CredentialSeal seal, IServiceCredentials own, ServiceLines lines)
{
    /// <summary>Sends a request; a 401 that stays says in its detail why.</summary>
    /// <param name="operation">Whose user it is sent for.</param>
    /// <param name="mayRenew">Whether the site's own credential may take the user's place.</param>
    /// <param name="build">Makes the request; its body is disposed of.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <param name="take">Takes the body of an answer with status 200, as it comes; null to have the answer whole.</param>
    public async Task<ServiceReply> SendAsync(
        Operation operation, bool mayRenew, Func<Caller, Task<(ServiceSend Send, IAsyncDisposable? Body)>> build, CancellationToken cancellation,
        Func<ReadOnlyMemory<byte>, ValueTask>? take = null)
    {
        var caller = CallerOf(operation);
        for (var refusals = 0; ; refusals++)
        {
            var reply = await SendAsync(caller, build, take, cancellation);
            if (reply.Answer is not { Status: 401 } || caller.AsFrontProxy || !mayRenew) return reply;
            if (!own.Has(operation.Replicant.Service)) return reply with { Detail = own.WhyNone(operation.Replicant.Service) };

            // What was kept may have been withdrawn meanwhile; what was obtained just now is for a person to look at.
            if (refusals == 2) return reply with { Detail = "it does not take this site's own credential" };
            try
            {
                var next = await own.GetAsync(operation.Replicant.Service, caller.IsOwn ? caller.Fields : default, cancellation);
                caller = new Caller(next, AsFrontProxy: false, IsOwn: true);
            }
            catch (IOException e)
            {
                return reply with { Detail = e.Message };
            }
        }
    }

    private async Task<ServiceReply> SendAsync(
        Caller caller, Func<Caller, Task<(ServiceSend Send, IAsyncDisposable? Body)>> build, Func<ReadOnlyMemory<byte>, ValueTask>? take, CancellationToken cancellation)
    {
        var (send, body) = await build(caller);
        await using (body)
        {
            var reply = take is null ? await service.SendAsync(send, cancellation) : await service.ReadAsync(send, take, cancellation);
            lines.Of(send.Service).Tell(reply);
            return reply;
        }
    }

    private Caller CallerOf(Operation operation)
    {
        if (operation.User.Length > 0)
        {
            var user = new Proto.Http.FieldLines().Add("X-Remote-User"u8, operation.User);
            foreach (var group in operation.UserGroups) user.Add("X-Remote-Group"u8, group);
            return new Caller(user.Written.ToArray(), AsFrontProxy: true, IsOwn: false);
        }

        foreach (var (of, @sealed) in operation.Credentials)
        {
            if (of == site) return CallerOf(seal.Open(@sealed, operation.Id));
        }

        return default;
    }

    // Field lines, then what the query had, each after a question mark, with which no field's name begins.
    private static Caller CallerOf(ReadOnlyMemory<byte> opened)
    {
        var end = opened.Span.StartsWith("?"u8) ? 0 : opened.Span.IndexOf("\r\n?"u8) is >= 0 and var found ? found + 2 : opened.Length;
        var query = Encoding.Latin1.GetString(opened.Span[end..]).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        return new Caller(opened[..end], AsFrontProxy: false, IsOwn: false) { Query = [.. query.Select(line => line[1..])] };
    }
}
