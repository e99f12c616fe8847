using System.Text.RegularExpressions;
using Cheops.Tests.Fuzz.Wire;
using Cheops.Tests.Unit.Interception;

namespace Cheops.Tests.Unit.Conformance;

/// <summary>
/// Carries a script out: the agent's interception stands between clients and a service, both ends of channels in memory.
/// At the end nothing may be left that the script does not tell of, and all readers must agree on what was forwarded.
/// </summary>
internal sealed partial class Play(Rig rig, bool byteByByte)
{
    [GeneratedRegex(@"(?:\A|\r\n)(?<method>[A-Z]+) [^\r\n ]+ HTTP/1", RegexOptions.ExplicitCapture)]
    private static partial Regex Asked { get; }

    private readonly SortedDictionary<string, Heard> _clients = new(StringComparer.Ordinal);
    private readonly List<Heard> _services = [];
    private string _client = "client 1";

    private Heard Client => _clients.TryGetValue(_client, out var client) ? client : _clients[_client] = new Heard(rig.Connect(), isClient: true);

    /// <summary>Carries all steps out, and looks at what is left.</summary>
    public static async Task RunAsync(Script script, bool byteByByte)
    {
        await using var rig = new Rig(capacity: 4 << 20);
        var play = new Play(rig, byteByByte);
        foreach (var step in script.Steps) await play.StepAsync(step);
        await play.SettleAsync();
    }

    private Task StepAsync(Step step) => step.Act switch
    {
        Act.ClientSends => ClientSendsAsync(step),
        Act.ServiceSends => ServiceSendsAsync(step),
        Act.ServiceGot => ServiceGotAsync(step),
        _ => ClientGotAsync(step),
    };

    // ---- sending --------------------------------------------------------------------------------------------------

    private async Task ClientSendsAsync(Step step)
    {
        if (step.Signal.StartsWith("client ", StringComparison.Ordinal))
        {
            _client = step.Signal;
            return;
        }

        if (step.Signal.Length == 0) Client.Methods.AddRange(Asked.Matches(step.Lines[0]).Select(match => match.Groups["method"].Value));
        await SendAsync(Client.End, step);
    }

    private async Task ServiceSendsAsync(Step step) => await SendAsync((await ServiceAsync()).End, step);

    private async Task SendAsync(End end, Step step)
    {
        try
        {
            switch (step.Signal)
            {
                case "end": await end.EndAsync(); break;
                case "reset": end.Abort(); break;
                case "": await SendAsync(end, step.Lines[0]); break;
                default: throw new FormatException($"no signal of a sender: {step.Signal}");
            }
        }
        catch (IOException)
        {
            // The agent has refused what came before: what it answered decides.
        }
    }

    private async Task SendAsync(End end, string text)
    {
        if (!byteByByte || text.Length > 4096) await end.SendAsync(text);
        else foreach (var one in text) await end.SendAsync(one.ToString());
    }

    // ---- receiving ------------------------------------------------------------------------------------------------

    private async Task<Heard> ServiceAsync()
    {
        if (_services.Count == 0) await AcceptAsync();
        return _services[^1];
    }

    private async Task AcceptAsync() => _services.Add(new Heard(await rig.AcceptAsync(), isClient: false));

    private async Task ServiceGotAsync(Step step)
    {
        if (step.Signal == "new connection") await AcceptAsync();
        else await GotAsync(await ServiceAsync(), step);
    }

    private Task ClientGotAsync(Step step) => GotAsync(Client, step);

    private static async Task GotAsync(Heard heard, Step step)
    {
        switch (step.Signal)
        {
            case "end" or "reset":
                Assert.Equal(step.Signal, await heard.EndingAsync());
                break;
            case "anything":
                heard.TakesAnything = true;
                break;
            case "raw":
                var raw = Script.Unescape(step.Lines[0]);
                Assert.Equal(raw, await heard.RawAsync(raw.Length));
                break;
            default:
                Expect(await heard.NextAsync(headOnly: step.Signal == "head"), step.Lines);
                break;
        }
    }

    private static void Expect(WireMessage message, string[] lines)
    {
        if (message.Status == 0) Assert.Equal(Script.Unescape(lines[0]), message.Start);
        else Assert.StartsWith("HTTP/1.1 " + Script.Unescape(lines[0]), message.Start, StringComparison.Ordinal);
        foreach (var named in lines.Skip(1).Where(Expectation.IsField).GroupBy(line => line.Split(':')[0]))
        {
            var values = named.Select(line => Script.Unescape(line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim()));
            Assert.Equal(string.Join(" | ", values), string.Join(" | ", message.Values(named.Key.ToLowerInvariant())));
        }

        foreach (var line in lines.Skip(1).Where(line => !Expectation.IsField(line))) Expectation.Check(message, line);
    }

    // ---- what is left ---------------------------------------------------------------------------------------------

    private async Task SettleAsync()
    {
        foreach (var client in _clients.Values)
        {
            try
            {
                await client.End.EndAsync();
            }
            catch (IOException)
            {
            }

            await client.EndingAsync();
            Assert.Equal("", client.Rest);
            if (!client.IsTunnel) Agreement.Demand(client.Text, [.. client.Methods, .. Enumerable.Repeat("GET", 9)]);
        }

        Assert.False(rig.HasDialed, "the agent made a connection to the service that the script does not tell of");
        foreach (var service in _services)
        {
            service.TakeArrived();
            Assert.Equal("", service.TakesAnything ? "" : service.Rest);
            if (!service.IsTunnel) Agreement.Demand(service.Text);
        }
    }
}
