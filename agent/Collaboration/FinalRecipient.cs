using System.Buffers;
using Cheops.Agent.Interception;
using Cheops.Proto.Http;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Collaboration;

/// <summary>
/// Answers the requests that may go no further than this agent: OPTIONS and TRACE with <c>Max-Forwards: 0</c>
/// (RFC 9110 7.6.2).
/// </summary>
internal static class FinalRecipient
{
    // What tells of a user is not sent back (RFC 9110 9.3.8): a page's script could read it there.
    private static readonly ulong Secrets =
        KnownField.Authorization.Bit() | KnownField.ProxyAuthorization.Bit() | KnownField.Cookie.Bit() | KnownField.XAuthToken.Bit() | KnownField.XRemote.Bit();

    // An agent passes every method on but CONNECT: these are the ones with a meaning of their own.
    private static readonly FieldLines Methods = new FieldLines().Add("Allow"u8, "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, TRACE");

    /// <summary>Answers OPTIONS with what passes the agent, and TRACE with the request as it arrived, without its secrets.</summary>
    public static ValueTask AnswerAsync(Exchange exchange) =>
        exchange.Request.Method == HttpMethod.Trace
            ? exchange.RespondAsync(200, "message/http", Reflect(exchange.Request))
            : exchange.RespondAsync(200, "", default, Methods);

    private static ReadOnlyMemory<byte> Reflect(RequestHead head)
    {
        var message = new ArrayBufferWriter<byte>(head.Length);
        message.Write(head.Bytes[..(head.Bytes.IndexOf("\r\n"u8) + 2)]);
        foreach (ref readonly var line in head.Fields)
        {
            if (line.Known != KnownField.Other && (line.Known.Bit() & Secrets) != 0) continue;
            message.Write(head.Name(line));
            message.Write(": "u8);
            message.Write(head.Value(line));
            message.Write("\r\n"u8);
        }

        message.Write("\r\n"u8);
        return message.WrittenMemory;
    }
}
