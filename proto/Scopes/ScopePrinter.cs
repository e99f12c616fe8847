using System.Globalization;
using System.Text;

namespace Cheops.Proto.Scopes;

/// <summary>
/// Writes scopes as canonical text: one space after <c>,</c> <c>:</c> and <c>;</c> and around the other operators,
/// parentheses only where the tree needs them, no braces. Pure ASCII, fit for a header field.
/// </summary>
public static class ScopePrinter
{
    // How tightly each form binds; an operand that binds no tighter than its operator needs parentheses.
    private const int FirstLevel = 1;
    private const int AllLevel = 2;
    private const int SpreadLevel = 3;
    private const int PrimaryLevel = 4;

    /// <summary>The canonical text of a scope.</summary>
    public static string Print(Scope scope)
    {
        var text = new StringBuilder();
        foreach (var binding in scope.Bindings)
        {
            if (text.Length > 0)
                text.Append(", ");
            if (binding.Service.Length > 0)
                text.Append(binding.Service).Append(": ");
            Append(text, binding.Location);
        }

        return text.ToString();
    }

    /// <summary>The canonical text of a location.</summary>
    public static string Print(Location location)
    {
        if (location is SiteLocation site)
            return site.Name;
        var text = new StringBuilder();
        Append(text, location);
        return text.ToString();
    }

    /// <summary>A round-trip time as scope-lang writes it: whole seconds as <c>2s</c>, all else in <c>ms</c>, exactly.</summary>
    public static string PrintDuration(TimeSpan duration)
    {
        if (duration.Ticks > 0 && duration.Ticks % TimeSpan.TicksPerSecond == 0)
            return string.Create(CultureInfo.InvariantCulture, $"{duration.Ticks / TimeSpan.TicksPerSecond}s");
        var milliseconds = (decimal)duration.Ticks / TimeSpan.TicksPerMillisecond;
        return string.Create(CultureInfo.InvariantCulture, $"{milliseconds:0.####}ms");
    }

    /// <summary>An operator as scope-lang writes it.</summary>
    public static string PrintOperator(ReplicationOperator replication) => replication switch
    {
        ReplicationOperator.Eventual => "&",
        ReplicationOperator.Strong => "&&",
        _ => "&~",
    };

    private static void Append(StringBuilder text, Location location)
    {
        switch (location)
        {
            case SiteLocation site:
                text.Append(site.Name);
                break;
            case AroundLocation around:
                text.Append("around(").Append(around.Center.Name).Append(", ").Append(PrintDuration(around.Within)).Append(')');
                break;
            case FirstLocation first:
                Join(text, first.Alternatives.AsSpan(), "; ", FirstLevel);
                break;
            case SpreadLocation spread:
                Join(text, spread.Parts.AsSpan(), " % ", SpreadLevel);
                break;
            case AllLocation all:
                AppendAll(text, all);
                break;
        }
    }

    // A chain groups from the left, so a first operand with another operator stands without parentheses.
    private static void AppendAll(StringBuilder text, AllLocation all)
    {
        var joiner = all.Operator switch { ReplicationOperator.Eventual => " & ", ReplicationOperator.Strong => " && ", _ => " &~ " };
        if (all.Replicas[0] is not AllLocation inner || inner.Operator == all.Operator)
        {
            Join(text, all.Replicas.AsSpan(), joiner, AllLevel);
            return;
        }

        Append(text, inner);
        text.Append(joiner);
        Join(text, all.Replicas.AsSpan()[1..], joiner, AllLevel);
    }

    private static void Join(StringBuilder text, ReadOnlySpan<Location> operands, string joiner, int level)
    {
        for (var i = 0; i < operands.Length; i++)
        {
            if (i > 0)
                text.Append(joiner);
            var parenthesized = LevelOf(operands[i]) <= level;
            if (parenthesized)
                text.Append('(');
            Append(text, operands[i]);
            if (parenthesized)
                text.Append(')');
        }
    }

    private static int LevelOf(Location location) => location switch
    {
        FirstLocation => FirstLevel,
        AllLocation => AllLevel,
        SpreadLocation => SpreadLevel,
        _ => PrimaryLevel,
    };
}
