using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Workflows;
using Cheops.Proto.Scopes;

namespace Cheops.Tests.Fuzz.Scopes;

/// <summary>
/// Fields that clients send, one a line: <c>name: value</c>. Whatever they are, a workflow that begins with them is found
/// again by what is sent on, and its fields are fit for a head.
/// </summary>
public sealed class WorkflowTarget : IFuzzTarget
{
    private static readonly ProfileSet Profiles = ProfileSet.Combine([BuiltInProfiles.Find("openstack")!], out _);
    private static readonly Scope Scope = ScopeParser.TryParse("glance: Site2", out var scope, out _) ? scope : throw new InvalidOperationException();

    public string Name => "workflow";

    public string Purpose => "whatever ids a client sends, its workflow is found again by what is sent on";

    public IEnumerable<byte[]> Seeds =>
        from text in new[]
        {
            "", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\ntracestate: a=b,c=d\nbaggage: x=1;p=q, y=2",
            "x-request-id: abc\nx-openstack-request-id: req-0af76519-16cd-43dd-8448-eb211c80319c", "baggage: cheops-workflow=00000000000000000000000000000001",
        }
        select Encoding.ASCII.GetBytes(text);

    public IReadOnlyList<byte[]> Words { get; } =
    [
        .. new[]
        {
            "traceparent: ", "tracestate: ", "baggage: ", "x-request-id: ", "x-openstack-request-id: ", "\n", ",", ";", "=", "cheops=", "cheops-workflow=", "req-", "00-", "-01", "-",
            "00000000000000000000000000000001", "00000000-0000-0000-0000-000000000001", "0af7651916cd43dd8448eb211c80319c",
        }.Select(Encoding.ASCII.GetBytes),
    ];

    public int Run(byte[] input)
    {
        var fields = new Fields(input);
        ulong lastId = 0;
        var table = new WorkflowTable(TimeProvider.System, () => new WorkflowId(++lastId), Profiles);
        var (workflow, set) = table.Begin(Scope, Profiles.For("nova"), fields);
        foreach (var field in set)
        {
            FuzzException.Demand(field.Value.Length is > 0 and <= 8192 && field.Value.All(c => c is >= ' ' and <= '~' or '\t'), $"{field.Name} cannot be sent: {field.Value}");
            fields.Set(field);
        }

        var match = table.Match(fields);
        FuzzException.Demand(match.Workflow == workflow, $"not found again: {match.Kind} {match.Detail}");
        return HashCode.Combine(
            set.Length, fields.Find("tracestate").Count((byte)','), fields.Find("baggage").Count((byte)','), fields.Find("x-request-id").Length == 36,
            TraceParent.TryParse(fields.Find("traceparent"), out var trace) && trace.TraceId == workflow.Id.Value);
    }

    private sealed class Fields : IFieldSource
    {
        private readonly Dictionary<string, byte[]> _fields = [];

        public Fields(byte[] lines)
        {
            foreach (var line in Encoding.Latin1.GetString(lines).Split('\n'))
            {
                if (line.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon)
                    _fields.TryAdd(line[..colon].ToLowerInvariant(), Encoding.Latin1.GetBytes(line[(colon + 1)..].Trim(' ', '\t')));
            }
        }

        public void Set(OutgoingField field) => _fields[field.Name] = Encoding.Latin1.GetBytes(field.Value);

        public ReadOnlySpan<byte> Find(string name) => _fields.GetValueOrDefault(name);
    }
}
