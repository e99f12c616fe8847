using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Cheops.Agent.Profiles;

/// <summary>The profiles that an agent uses, together. A service that none of them names gets REST conventions.</summary>
public sealed class ProfileSet
{
    private readonly FrozenDictionary<string, ServiceProfile> _services;
    private readonly ServiceProfile _other;

    private ProfileSet(FrozenDictionary<string, ServiceProfile> services, ServiceProfile other) => (_services, _other) = (services, other);

    /// <summary>The services that the profiles name, without <c>*</c>.</summary>
    public ImmutableArray<string> ServiceNames => _services.Keys;

    /// <summary>Puts profiles together.</summary>
    /// <param name="profiles">The profiles in the order of the settings.</param>
    /// <param name="mistakes">Services that two of them name, with the profiles' names.</param>
    public static ProfileSet Combine(IEnumerable<Profile> profiles, out ImmutableArray<string> mistakes)
    {
        var services = new Dictionary<string, (ServiceProfile Service, string Profile)>();
        var twice = ImmutableArray.CreateBuilder<string>();
        foreach (var profile in profiles)
        {
            foreach (var (name, service) in profile.Services)
            {
                if (!services.TryAdd(name, (service, profile.Name)))
                    twice.Add($"the profiles '{services[name].Profile}' and '{profile.Name}' both describe the service '{name}'");
            }
        }

        mistakes = twice.ToImmutable();
        var other = services.Remove(Profile.AnyService, out var any) ? any.Service : BuiltInProfiles.Find("rest")!.Services[Profile.AnyService];
        return new ProfileSet(services.ToFrozenDictionary(pair => pair.Key, pair => pair.Value.Service), other);
    }

    /// <summary>What is known of every service, and of those that no profile names.</summary>
    public IEnumerable<ServiceProfile> Services => _services.Values.Append(_other);

    /// <summary>What is known of a service.</summary>
    public ServiceProfile For(string service) => _services.GetValueOrDefault(service, _other);
}
