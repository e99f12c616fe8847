namespace Cheops.Agent.Settings;

/// <summary>Text from outside as a message may show it.</summary>
internal static class Shown
{
    private const int LengthMax = 80;

    /// <summary>At most 80 characters, all of them printable ASCII.</summary>
    public static string Of(string text)
    {
        var cut = text.Length > LengthMax;
        return string.Create(cut ? LengthMax + 3 : text.Length, text, static (span, source) =>
        {
            for (var i = 0; i < span.Length; i++)
                span[i] = i >= LengthMax ? '.' : source[i] is >= ' ' and <= '~' ? source[i] : '?';
        });
    }
}
