using System.Collections.Immutable;

namespace Cheops.Proto.Scopes;

/// <summary>Gives one service its location.</summary>
/// <param name="Service">The service, <see cref="AnyOther"/>, or <see cref="Addressed"/>.</param>
/// <param name="Location">Where the service's part of the workflow is to run.</param>
public sealed record Binding(string Service, Location Location)
{
    /// <summary><c>*</c>: every service that the scope does not name.</summary>
    public const string AnyOther = "*";

    /// <summary>The service that was addressed: what a bare location binds.</summary>
    public const string Addressed = "";
}

/// <summary>
/// What a request asks for: which location for which service (DESIGN.md section 3). Immutable, compared by structure;
/// made by <see cref="ScopeParser"/>.
/// </summary>
/// <param name="Bindings">One or more, no service twice; a bare location is one binding of the addressed service.</param>
public sealed record Scope(ImmutableArray<Binding> Bindings)
{
    private string? _text;

    /// <summary>Whether the scope is a bare location, which binds only the service that was addressed.</summary>
    public bool IsBare => Bindings.Length == 1 && Bindings[0].Service.Length == 0;

    /// <summary>Whether <c>here</c> stands anywhere in it.</summary>
    public bool MentionsHere
    {
        get
        {
            foreach (var binding in Bindings)
            {
                if (binding.Location.MentionsHere)
                    return true;
            }

            return false;
        }
    }

    /// <summary>The location for a service: its own binding, else that of <c>*</c>, else null (where the request is).</summary>
    /// <param name="service">The service of the request at hand.</param>
    /// <param name="addressed">Whether it is the one the client addressed, to which a bare location belongs.</param>
    public Location? LocationOf(string service, bool addressed = true)
    {
        Location? other = null;
        foreach (var binding in Bindings)
        {
            if (binding.Service == service || (addressed && binding.Service.Length == 0))
                return binding.Location;
            if (binding.Service == Binding.AnyOther)
                other = binding.Location;
        }

        return other;
    }

    /// <summary>The same scope with <c>here</c> replaced by the site where the request came in, so that it can travel.</summary>
    public Scope WithHere(string site)
    {
        if (!MentionsHere)
            return this;
        var bindings = ImmutableArray.CreateBuilder<Binding>(Bindings.Length);
        foreach (var binding in Bindings)
            bindings.Add(binding with { Location = binding.Location.WithHere(site) });
        return new Scope(bindings.MoveToImmutable());
    }

    /// <summary>
    /// The scope as it belongs to a workflow: a bare location is bound to the service that was addressed, so that it
    /// does not spread to the services that one calls, and <c>here</c> is replaced.
    /// </summary>
    public Scope Resolve(string addressedService, string here)
    {
        var scope = WithHere(here);
        return scope.IsBare ? new Scope([scope.Bindings[0] with { Service = addressedService }]) : scope;
    }

    /// <inheritdoc/>
    public bool Equals(Scope? other) => other is not null && Bindings.AsSpan().SequenceEqual(other.Bindings.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var binding in Bindings)
            hash.Add(binding);
        return hash.ToHashCode();
    }

    /// <summary>The canonical text; parsing it gives an equal scope. Made once.</summary>
    public override string ToString() => _text ??= ScopePrinter.Print(this);
}
