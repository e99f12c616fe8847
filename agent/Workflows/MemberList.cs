using System.Text;

namespace Cheops.Agent.Workflows;

/// <summary>
/// Lists of <c>key=value</c> members: <c>tracestate</c> (W3C Trace Context section 3.3) and <c>baggage</c> (W3C Baggage
/// section 3.3). Others' members are passed on as they are.
/// </summary>
internal static class MemberList
{
    /// <summary>The value of a key, without properties; empty when there is none.</summary>
    public static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> list, ReadOnlySpan<byte> key)
    {
        while (!list.IsEmpty)
        {
            var member = Next(ref list);
            if (IsOf(member, key))
                return ValueOf(member);
        }

        return default;
    }

    /// <summary>The list with our member in front, in place of an older one of the key. Members that would pass a bound are dropped from the end.</summary>
    public static string Put(ReadOnlySpan<byte> list, string key, string value, int countMax, int lengthMax)
    {
        var text = new StringBuilder(key).Append('=').Append(value);
        var keyBytes = Encoding.ASCII.GetBytes(key);
        for (var count = 1; count < countMax && !list.IsEmpty;)
        {
            var member = Next(ref list);
            if (member.IsEmpty || IsOf(member, keyBytes) || !IsPrintable(member))
                continue;
            if (text.Length + 1 + member.Length > lengthMax)
                break;
            text.Append(',').Append(Encoding.ASCII.GetString(member));
            count++;
        }

        return text.ToString();
    }

    private static ReadOnlySpan<byte> Next(scoped ref ReadOnlySpan<byte> list)
    {
        var comma = list.IndexOf((byte)',');
        var member = comma < 0 ? list : list[..comma];
        list = comma < 0 ? default : list[(comma + 1)..];
        return Trim(member);
    }

    private static bool IsOf(ReadOnlySpan<byte> member, ReadOnlySpan<byte> key)
    {
        var equals = member.IndexOf((byte)'=');
        return equals > 0 && Trim(member[..equals]).SequenceEqual(key);
    }

    private static ReadOnlySpan<byte> ValueOf(ReadOnlySpan<byte> member)
    {
        var value = member[(member.IndexOf((byte)'=') + 1)..];
        return Trim(value.IndexOf((byte)';') is >= 0 and var properties ? value[..properties] : value);
    }

    private static bool IsPrintable(ReadOnlySpan<byte> member) => !member.ContainsAnyExceptInRange((byte)' ', (byte)'~');

    private static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> text) => text.Trim(" \t"u8);
}
