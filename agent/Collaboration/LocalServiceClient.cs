using System.Buffers;
using System.Collections.Frozen;
using System.Text;
using Cheops.Agent.Identity;
using Cheops.Agent.Interception;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Http;

namespace Cheops.Agent.Collaboration;

/// <summary>The agent's own small requests to service instances of this site, over their pools.</summary>
internal sealed class LocalServiceClient(string site, FrozenDictionary<string, LocalService> services, Deadlines deadlines) : IServiceClient
{
    /// <inheritdoc/>
    public async Task<ServiceAnswer> CallAsync(ServiceRequest request, CancellationToken cancellation)
    {
        if (!services.TryGetValue(request.Service, out var service)) throw new IOException($"{site} has no instance of {request.Service}");
        var connection = await service.Pool.AcquireAsync(request.User is not null, fresh: true);
        try
        {
            var limits = new CallLimits(Bounds.OwnCallAnswerSizeMax, Bounds.OwnCallTimeMaxMs);
            var answer = await connection.CallAsync(Encode(request), null, HeadMethod(request), limits, deadlines);
            return new ServiceAnswer(answer.Status, answer.Body);
        }
        finally
        {
            await connection.DisposeAsync();
        }
    }

    private static Proto.Http.HttpMethod HeadMethod(ServiceRequest request) =>
        request.Method == "HEAD" ? Proto.Http.HttpMethod.Head : Proto.Http.HttpMethod.Get;

    private static ReadOnlyMemory<byte> Encode(ServiceRequest request)
    {
        var lines = new FieldLines().Add("Host"u8, request.Service).Add("Accept"u8, "application/json"u8).Add("User-Agent"u8, "cheops"u8);
        if (request.User is { } user)
        {
            lines.Add("X-Remote-User"u8, user.Name);
            foreach (var group in user.Groups) lines.Add("X-Remote-Group"u8, group);
        }

        if (!request.Json.IsEmpty)
        {
            lines.Add("Content-Type"u8, "application/json"u8);
            lines.Add("Content-Length"u8, request.Json.Length.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }

        var buffer = new ArrayBufferWriter<byte>(512 + request.Json.Length);
        buffer.Write(Encoding.ASCII.GetBytes($"{request.Method} {request.Target} HTTP/1.1\r\n"));
        buffer.Write(lines.Written);
        buffer.Write("\r\n"u8);
        buffer.Write(request.Json.Span);
        return buffer.WrittenMemory;
    }
}
