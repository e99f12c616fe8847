using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Cheops.Proto;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>
/// Parses scopes, remembering recent ones: clients send the same few again and again. Bounded: two generations of at
/// most half of <see cref="Bounds.ScopeCacheCountMax"/> each, of which the older is dropped whole. Mistakes are not
/// remembered. Safe from any thread; finding a remembered scope allocates nothing and takes no lock.
/// </summary>
public sealed class ScopeCache
{
    private ConcurrentDictionary<string, Scope> _young = new();
    private ConcurrentDictionary<string, Scope> _old = new();
    private int _youngCount;

    /// <summary>How many are remembered, for tests.</summary>
    internal int Count => _young.Count + _old.Count;

    /// <summary>Parses or remembers; see <see cref="ScopeParser.TryParse"/>.</summary>
    public bool TryParse(ReadOnlySpan<char> text, [NotNullWhen(true)] out Scope? scope, [NotNullWhen(false)] out ScopeError? error)
    {
        error = null;
        if (text.Length > Bounds.ScopeCachedLengthMax)
            return ScopeParser.TryParse(text, out scope, out error);
        if (_young.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(text, out scope))
            return true;
        if (!_old.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(text, out scope) && !ScopeParser.TryParse(text, out scope, out error))
            return false;
        Remember(text.ToString(), scope);
        return true;
    }

    /// <summary>The same for a header's value as it came; bytes above ASCII are taken one by one, and refused by the parser.</summary>
    public bool TryParse(ReadOnlySpan<byte> text, [NotNullWhen(true)] out Scope? scope, [NotNullWhen(false)] out ScopeError? error)
    {
        if (text.Length > Bounds.ScopeCachedLengthMax)
            return ScopeParser.TryParse(Encoding.Latin1.GetString(text), out scope, out error);
        Span<char> characters = stackalloc char[Bounds.ScopeCachedLengthMax];
        return TryParse(characters[..Encoding.Latin1.GetChars(text, characters)], out scope, out error);
    }

    // Two threads that both find the generation full drop one generation too many, which costs some parsing.
    private void Remember(string text, Scope scope)
    {
        if (!_young.TryAdd(text, scope) || Interlocked.Increment(ref _youngCount) <= Bounds.ScopeCacheCountMax / 2)
            return;
        _old = Interlocked.Exchange(ref _young, new ConcurrentDictionary<string, Scope>());
        Volatile.Write(ref _youngCount, 0);
    }
}
