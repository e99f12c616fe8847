using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Profiles;
using Cheops.Agent.Workflows;
using Cheops.Proto.Http;

namespace Cheops.Agent.Collaboration;

/// <summary>What is known of a request once its scope is found: what every place that carries it out needs.</summary>
internal readonly struct Routed
{
    /// <summary>The request and its answer.</summary>
    public required Exchange Exchange { get; init; }

    /// <summary>The service that is addressed.</summary>
    public required string Service { get; init; }

    /// <summary>Its profile; several services may share one.</summary>
    public required ServiceProfile Profile { get; init; }

    /// <summary>The workflow it belongs to; null when it has no scope.</summary>
    public Workflow? Workflow { get; init; }

    /// <summary>Fields to set, so that services carry the workflow on.</summary>
    public ImmutableArray<OutgoingField> Fields { get; init; }

    /// <summary>The path prefix that was taken off; empty for none.</summary>
    public string Prefix { get; init; }

    /// <summary>The user to act for through the front proxy; null to pass credentials on as they came.</summary>
    public UserIdentity? User { get; init; }

    /// <summary>Whether the other site is to carry the request out as one on a replicant, and not at its site alone.</summary>
    public bool Replicate { get; init; }

    /// <summary>Whether the request runs here only because nothing says otherwise: what it names may be a replicant of other sites.</summary>
    public bool MayBeElsewhere { get; init; }
}

/// <summary>Prepares the head that goes to a service instance or to another site's agent.</summary>
/// <param name="site">This site.</param>
internal sealed class HeadPreparation(string site)
{
    private static readonly byte[] AcceptEncoding = "Accept-Encoding"u8.ToArray();

    private readonly byte[] _via = Encoding.ASCII.GetBytes($"1.1 {site}");

    /// <summary>Whether a request has passed this agent before.</summary>
    public bool IsLoop(RequestHead head)
    {
        if (!head.Has(KnownField.Via)) return false;
        foreach (ref readonly var line in head.Fields)
        {
            if (line.Known != KnownField.Via) continue;
            var value = head.Value(line);
            for (int at; (at = value.IndexOf(_via)) >= 0; value = value[(at + _via.Length)..])
            {
                var before = at == 0 || value[at - 1] is (byte)' ' or (byte)',';
                var end = at + _via.Length;
                if (before && (end == value.Length || value[end] is (byte)' ' or (byte)',')) return true;
            }
        }

        return false;
    }

    /// <summary>Sets the edits for one attempt.</summary>
    /// <param name="routed">The request.</param>
    /// <param name="assertUser">Whether the user is asserted in the head, as a front proxy does; else it travels in the link's opening.</param>
    public void Prepare(in Routed routed, bool assertUser)
    {
        var exchange = routed.Exchange;
        var edits = exchange.RequestEdits;
        edits.Clear();
        if (exchange.Origin.Link is null) AddForwarded(exchange, edits, routed.Prefix);
        AddJoined(exchange.Request, edits, KnownField.Via, "Via"u8, _via);

        // Such fields are ours: agents say in a link's opening what another must know, and a client has nothing to say in our name.
        edits.Removed |= KnownField.Cheops.Bit();

        // What the agent must read is asked for as it is, not compressed.
        if (exchange.Rewriting is not null) edits.RemovedNames.Add(AcceptEncoding);

        // Whoever sends these would be believed: only what the agent itself has verified may say who the user is.
        if (routed.Profile.Identity == IdentityRule.FrontProxy) AddUser(edits, routed.User, assertUser);
        if (routed.Workflow is not null) AddWorkflow(exchange.Request, edits, routed.Fields);
    }

    private static void AddForwarded(Exchange exchange, HeadEdits edits, string prefix)
    {
        var origin = exchange.Origin;
        if (origin.ClientAddress.Length > 0)
            AddJoined(exchange.Request, edits, KnownField.XForwardedFor, "X-Forwarded-For"u8, origin.ClientAddressBytes);
        edits.Removed |= KnownField.XForwardedProto.Bit() | KnownField.XForwardedHost.Bit() | KnownField.Forwarded.Bit();
        edits.Added.Add("X-Forwarded-Proto"u8, origin.Scheme);
        var authority = exchange.Request.Authority;
        if (!authority.IsEmpty) edits.Added.Add("X-Forwarded-Host"u8, authority);
        if (prefix.Length == 0) return;
        edits.Removed |= KnownField.XForwardedPrefix.Bit();
        edits.Added.Add("X-Forwarded-Prefix"u8, prefix);
    }

    private static void AddJoined(RequestHead head, HeadEdits edits, KnownField field, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        edits.Removed |= field.Bit();
        edits.Added.AddJoined(head, field, name, value);
    }

    private static void AddUser(HeadEdits edits, UserIdentity? user, bool assertUser)
    {
        edits.Removed |= KnownField.XRemote.Bit();
        if (user is null) return;

        // The credential is worth nothing at another site, and is no other site's business.
        edits.Removed |= KnownField.Authorization.Bit();
        if (!assertUser) return;
        edits.Added.Add("X-Remote-User"u8, user.Name);
        foreach (var group in user.Groups) edits.Added.Add("X-Remote-Group"u8, group);
    }

    private static void AddWorkflow(RequestHead head, HeadEdits edits, ImmutableArray<OutgoingField> fields)
    {
        foreach (var field in fields)
        {
            var name = Encoding.ASCII.GetBytes(field.Name);
            if (head.TryGet(name, out _)) edits.RemovedNames.Add(name);
            edits.Added.Add(name, field.Value);
        }
    }
}

/// <summary>A head's fields as workflows look at them.</summary>
internal readonly ref struct HeadFields(MessageHead head) : IFieldSource
{
    private readonly MessageHead _head = head;

    /// <inheritdoc/>
    public ReadOnlySpan<byte> Find(string name)
    {
        Span<byte> ascii = stackalloc byte[128];
        if (name.Length > ascii.Length) return default;
        Encoding.ASCII.GetBytes(name, ascii);
        return _head.TryGet(ascii[..name.Length], out var line) ? _head.Value(line) : default;
    }
}
