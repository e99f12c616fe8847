using System.Collections.Concurrent;
using System.Text;
using Cheops.Proto;

namespace Cheops.Agent.Identity;

/// <summary>
/// The keys by which credentials are sealed for other sites (<see cref="CredentialSeal"/>), as each was heard to tell last. They are
/// kept, so that a credential is sealed also for a site that has not been heard since the agent's start. Safe from any thread.
/// </summary>
/// <remarks>What is kept is text: for each site a line with its name, a space and its key.</remarks>
public sealed class SiteKeys
{
    private readonly ConcurrentDictionary<string, string> _keys = new(StringComparer.Ordinal);
    private readonly Action<string> _keep;
    private readonly Action<string> _warn;
    private string _kept;
    private bool _hasFailed;

    /// <summary>The keys that were kept.</summary>
    /// <param name="kept">What <paramref name="keep"/> was given last; empty for nothing. Lines that are none are passed over: the keys are heard again.</param>
    /// <param name="keep">Keeps text durably in place of the one before; throws <see cref="IOException"/> when it cannot.</param>
    /// <param name="warn">Told once when keys cannot be kept; that is tried again each time.</param>
    public SiteKeys(string kept, Action<string> keep, Action<string> warn)
    {
        (_kept, _keep, _warn) = (kept, keep, warn);
        foreach (var line in kept.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Split(' ') is [{ Length: > 0 and <= Bounds.SiteNameLengthMax } site, { Length: > 0 } key]) _keys[site] = key;
        }
    }

    /// <summary>Keys that are kept nowhere.</summary>
    public static SiteKeys InMemory() => new("", static _ => { }, static _ => { });

    /// <summary>A site's key; empty when it was never heard.</summary>
    public string Of(string site) => _keys.GetValueOrDefault(site, "");

    /// <summary>Takes in what sites tell of themselves now, and keeps what is new. Not from two threads at once.</summary>
    /// <param name="told">Names and keys; an empty key says nothing.</param>
    public void Heard(IEnumerable<(string Site, string Key)> told)
    {
        foreach (var (site, key) in told)
        {
            if (key.Length > 0) _keys[site] = key;
        }

        var text = new StringBuilder();
        foreach (var (site, key) in _keys.OrderBy(pair => pair.Key, StringComparer.Ordinal)) text.Append(site).Append(' ').Append(key).Append('\n');
        if (text.Equals(_kept.AsSpan())) return;
        try
        {
            _keep(text.ToString());
            (_kept, _hasFailed) = (text.ToString(), false);
        }
        catch (IOException e)
        {
            if (!_hasFailed) _warn($"the keys by which credentials are sealed for other sites cannot be kept: {e.Message}");
            _hasFailed = true;
        }
    }
}
