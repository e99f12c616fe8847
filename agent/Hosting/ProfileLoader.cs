using System.Collections.Immutable;
using Cheops.Agent.Profiles;
using Cheops.Agent.Settings;
using Cheops.Proto;

namespace Cheops.Agent.Hosting;

/// <summary>Reads the profiles that the settings name.</summary>
public static class ProfileLoader
{
    /// <summary>Reads them all.</summary>
    /// <param name="references">What the settings name.</param>
    /// <param name="mistakes">Every mistake, each naming its profile and JSON path.</param>
    public static ProfileSet Load(ImmutableArray<ProfileReference> references, out ImmutableArray<SettingMistake> mistakes)
    {
        var found = ImmutableArray.CreateBuilder<SettingMistake>();
        var profiles = new List<Profile>();
        foreach (var reference in references)
        {
            if (Read(reference, found) is { } profile) profiles.Add(profile);
        }

        var set = ProfileSet.Combine(profiles, out var conflicts);
        foreach (var conflict in conflicts) found.Add(new SettingMistake("CHEOPS_PROFILES", conflict));
        mistakes = found.ToImmutable();
        return set;
    }

    private static Profile? Read(ProfileReference reference, ImmutableArray<SettingMistake>.Builder mistakes)
    {
        if (!reference.IsFile)
        {
            var profile = BuiltInProfiles.Find(reference.Name);
            if (profile is null)
            {
                mistakes.Add(new SettingMistake(
                    "CHEOPS_PROFILES",
                    $"no profile '{reference.Name}' is built in; there are {string.Join(", ", BuiltInProfiles.Names)}{NearestName.Hint(reference.Name, BuiltInProfiles.Names)}, "
                    + "and files, whose names end in .json"));
            }

            return profile;
        }

        try
        {
            if (ProfileReader.TryRead(File.ReadAllBytes(reference.Name), out var profile, out var wrong)) return profile;
            foreach (var mistake in wrong) mistakes.Add(new SettingMistake("CHEOPS_PROFILES", $"{reference.Name}: {mistake}"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            mistakes.Add(new SettingMistake("CHEOPS_PROFILES", $"{reference.Name} cannot be read: {e.Message}"));
        }

        return null;
    }
}
