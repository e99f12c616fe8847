using System.Collections.Immutable;
using System.Text.Json;
using Cheops.Proto;

namespace Cheops.Agent.Profiles;

/// <summary>
/// One JSON object of a profile while it is read: hands out members, notes every mistake with its path, and knows in
/// the end which members nobody asked for.
/// </summary>
internal sealed class ProfileObject
{
    private readonly Dictionary<string, JsonElement> _members = [];
    private readonly List<string> _asked = [];
    private readonly List<ProfileMistake> _mistakes;

    public ProfileObject(JsonElement element, string path, List<ProfileMistake> mistakes)
    {
        Path = path;
        _mistakes = mistakes;
        if (element.ValueKind != JsonValueKind.Object)
        {
            Mistake(path, $"an object is expected, {Describe(element)} was found");
            return;
        }

        foreach (var member in element.EnumerateObject())
        {
            if (!_members.TryAdd(member.Name, member.Value))
                Mistake(PathOf(member.Name), "occurs twice");
        }
    }

    public string Path { get; }

    /// <summary>All members, each with its path: for objects whose member names are data.</summary>
    public IEnumerable<(string Name, JsonElement Value, string Path)> Members => _members.Select(pair => (pair.Key, pair.Value, PathOf(pair.Key)));

    public string PathOf(string member) => member.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-')
        ? $"{Path}.{member}"
        : $"{Path}['{member}']";

    public bool Has(string member)
    {
        Ask(member);
        return _members.ContainsKey(member);
    }

    public ProfileObject? Object(string member) =>
        Find(member) is { } element ? new ProfileObject(element, PathOf(member), _mistakes) : null;

    public string? Text(string member, bool required = false)
    {
        if (Find(member) is not { } element)
        {
            if (required)
                Mistake(Path, $"'{member}' is missing");
            return null;
        }

        return TextOf(element, PathOf(member));
    }

    /// <summary>A text, or a list of texts.</summary>
    public ImmutableArray<string> Texts(string member)
    {
        if (Find(member) is not { } element)
            return [];
        if (element.ValueKind != JsonValueKind.Array)
            return TextOf(element, PathOf(member)) is { } single ? [single] : [];
        var texts = ImmutableArray.CreateBuilder<string>();
        foreach (var (index, entry) in element.EnumerateArray().Index())
        {
            if (TextOf(entry, $"{PathOf(member)}[{index}]") is { } text)
                texts.Add(text);
        }

        return texts.ToImmutable();
    }

    public bool Flag(string member)
    {
        if (Find(member) is not { } element)
            return false;
        if (element.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            Mistake(PathOf(member), $"true or false is expected, {Describe(element)} was found");
        return element.ValueKind == JsonValueKind.True;
    }

    public T Choice<T>(string member, T otherwise, params ReadOnlySpan<(string Text, T Value)> choices) =>
        Text(member) is { } text ? ChoiceOf(text, PathOf(member), otherwise, choices) : otherwise;

    public T ChoiceOf<T>(string text, string path, T otherwise, params ReadOnlySpan<(string Text, T Value)> choices)
    {
        var texts = new List<string>();
        foreach (var (choice, value) in choices)
        {
            if (choice == text)
                return value;
            texts.Add(choice);
        }

        Mistake(path, $"'{text}' is not one of {string.Join(", ", texts)}{NearestName.Hint(text, texts)}");
        return otherwise;
    }

    /// <summary>A list of things that are each written as a text; what cannot be read is a mistake.</summary>
    public ImmutableArray<T> Each<T>(string member, Func<string, T?> parse, string expected) where T : class
    {
        var things = ImmutableArray.CreateBuilder<T>();
        foreach (var text in Texts(member))
        {
            if (parse(text) is { } thing)
                things.Add(thing);
            else
                Mistake(PathOf(member), $"'{text}' is not {expected}");
        }

        return things.ToImmutable();
    }

    /// <summary>Notes members that nobody asked for.</summary>
    public void Done()
    {
        foreach (var name in _members.Keys.Except(_asked))
            Mistake(PathOf(name), $"is not known here; known are {string.Join(", ", _asked.Distinct())}{NearestName.Hint(name, _asked)}");
    }

    public void Mistake(string path, string message)
    {
        if (_mistakes.Count < Bounds.ProfileMistakeCountMax)
            _mistakes.Add(new ProfileMistake(path, message));
    }

    public string? TextOf(JsonElement element, string path)
    {
        if (element.ValueKind == JsonValueKind.String && TryGetString(element, out var text))
            return text;
        Mistake(path, $"a text is expected, {Describe(element)} was found");
        return null;
    }

    // JSON may hold escaped lone surrogates, which are no text.
    private static bool TryGetString(JsonElement element, out string? text)
    {
        try
        {
            text = element.GetString();
            return true;
        }
        catch (InvalidOperationException)
        {
            text = null;
            return false;
        }
    }

    private JsonElement? Find(string member)
    {
        Ask(member);
        return _members.TryGetValue(member, out var element) ? element : null;
    }

    private void Ask(string member) => _asked.Add(member);

    private static string Describe(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "true or false",
    };
}
