using System.Net;
using System.Net.Sockets;
using System.Text;
using Cheops.Agent.Settings;
using Cheops.Proto;
using Cheops.Proto.Http;

namespace Cheops.Agent.Cli;

/// <summary>An answer of an agent's API.</summary>
internal sealed record ApiReply(int Status, string Body);

/// <summary>The agent was not reached, or what answered is none.</summary>
internal sealed class ApiUnreachableException(string message, Exception? inner = null) : IOException(message, inner);

/// <summary>Asks an agent's API: one request on a connection of its own.</summary>
internal sealed class ApiClient(HostPort address, TimeProvider time)
{
    /// <summary>Finds the agent to ask from <c>--api</c>, else from the settings.</summary>
    /// <returns>Null when there is a mistake, which <paramref name="mistake"/> tells.</returns>
    public static ApiClient? From(Invocation invocation, out string mistake)
    {
        mistake = "";
        if (invocation.Value(CommonOptions.Api) is { } given)
        {
            var text = given.StartsWith("http://", StringComparison.Ordinal) ? given["http://".Length..].TrimEnd('/') : given;
            if (HostPort.TryParse(text, out var api) is not { } wrong) return new ApiClient(api, invocation.Context.Time);
            mistake = $"--api: {wrong}";
            return null;
        }

        if (SettingsLoader.Variables(invocation, out mistake) is not { } variables) return null;
        var listen = SettingsReader.ReadApiListen(variables, out var wrongSetting);
        if (wrongSetting is not null) mistake = wrongSetting.ToString();
        else if (listen is null) mistake = "CHEOPS_API_LISTEN is empty: the agent of this site has no API; say --api HOST:PORT";
        if (listen is null || wrongSetting is not null) return null;
        var host = listen.Address.Equals(IPAddress.Any) ? "127.0.0.1" : listen.Address.Equals(IPAddress.IPv6Any) ? "::1" : listen.Address.ToString();
        return new ApiClient(new HostPort(host, listen.Port), invocation.Context.Time);
    }

    /// <summary>Asks.</summary>
    /// <exception cref="ApiUnreachableException">There was no answer within <see cref="Bounds.ApiTimeMaxMs"/>, or none in HTTP.</exception>
    public Task<ApiReply> GetAsync(string target) => SendAsync("GET", target, Bounds.ApiTimeMaxMs);

    /// <summary>Has something changed.</summary>
    /// <param name="target">What, and how.</param>
    /// <param name="timeMaxMs">How long the answer may take, in milliseconds.</param>
    /// <exception cref="ApiUnreachableException">There was no answer within that time, or none in HTTP.</exception>
    public Task<ApiReply> PostAsync(string target, int timeMaxMs = Bounds.ApiTimeMaxMs) => SendAsync("POST", target, timeMaxMs);

    private async Task<ApiReply> SendAsync(string method, string target, int timeMaxMs)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(timeMaxMs), time);
        try
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(address.Host, address.Port, limit.Token);
            await using var stream = new NetworkStream(socket);
            var request = $"{method} {target} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: cheops\r\nConnection: close\r\n\r\n";
            await stream.WriteAsync(Encoding.ASCII.GetBytes(request), limit.Token);
            return Read(await ReadToEndAsync(stream, limit.Token));
        }
        catch (OperationCanceledException e)
        {
            throw new ApiUnreachableException($"the agent at {address} did not answer within {timeMaxMs / 1000} s", e);
        }
        catch (Exception e) when (e is SocketException or IOException and not ApiUnreachableException)
        {
            throw new ApiUnreachableException($"no agent answers at {address} ({e.Message}); is it running? --api or CHEOPS_API_LISTEN says where it is", e);
        }
    }

    private static async Task<ReadOnlyMemory<byte>> ReadToEndAsync(NetworkStream stream, CancellationToken cancellation)
    {
        using var all = new MemoryStream();
        var buffer = new byte[64 * 1024];
        while (await stream.ReadAsync(buffer, cancellation) is > 0 and var read)
        {
            all.Write(buffer, 0, read);
            if (all.Length > Bounds.ApiAnswerSizeMax) throw new IOException("the answer is too large");
        }

        return all.ToArray();
    }

    private ApiReply Read(ReadOnlyMemory<byte> all)
    {
        var head = new ResponseHead { RequestMethod = Proto.Http.HttpMethod.Get };
        if (new HeadParser().Parse(all.Span, head, out var consumed, out _) != ParseStatus.Done)
            throw new ApiUnreachableException($"what answers at {address} is no agent: its answer is no HTTP");
        var body = all[(int)consumed..];
        return head.Framing switch
        {
            BodyFraming.Length when body.Length < head.ContentLength => throw new ApiUnreachableException($"the answer from {address} is incomplete"),
            BodyFraming.Length => new ApiReply(head.Status, Encoding.UTF8.GetString(body.Span[..(int)head.ContentLength])),
            BodyFraming.Chunked => throw new ApiUnreachableException($"what answers at {address} is no agent: an agent's answers are not chunked"),
            _ => new ApiReply(head.Status, Encoding.UTF8.GetString(body.Span)),
        };
    }
}
