using System.Buffers;
using Cheops.Proto.Http;

namespace Cheops.Agent.Interception;

/// <summary>An answer that was kept whole.</summary>
/// <param name="Status">The status code.</param>
/// <param name="Fields">The field lines that pass a hop, each with its CR LF; neither Content-Length nor Date is among them.</param>
/// <param name="Body">The body, decoded from its framing.</param>
internal sealed record KeptAnswer(int Status, ReadOnlyMemory<byte> Fields, ReadOnlyMemory<byte> Body)
{
    private static readonly ulong NotKept =
        KnownField.Connection.Bit() | KnownField.KeepAlive.Bit() | KnownField.ProxyConnection.Bit() | KnownField.TransferEncoding.Bit()
        | KnownField.Upgrade.Bit() | KnownField.Trailer.Bit() | KnownField.ContentLength.Bit() | KnownField.Cheops.Bit()
        | KnownField.Date.Bit();

    /// <summary>The value of a field; empty when it is not there.</summary>
    public string Field(string name) => FieldText.ValueOf(Fields.Span, name);

    internal static ReadOnlyMemory<byte> FieldsOf(MessageHead head) => FieldsOf(head, NotKept);

    /// <summary>The field lines of a head that pass a hop, without some.</summary>
    /// <param name="head">The head.</param>
    /// <param name="removed">The fields left out, as a mask.</param>
    internal static ReadOnlyMemory<byte> FieldsOf(MessageHead head, ulong removed)
    {
        var kept = new ArrayBufferWriter<byte>(head.Length + 1);
        foreach (ref readonly var line in head.Fields)
        {
            var name = head.Name(line);
            if ((line.Known != KnownField.Other && (line.Known.Bit() & removed) != 0) || head.ConnectionNames(name)) continue;
            kept.Write(name);
            kept.Write(": "u8);
            kept.Write(head.Value(line));
            kept.Write("\r\n"u8);
        }

        return kept.WrittenMemory;
    }
}

/// <summary>What an exchange of the agent's own may take.</summary>
/// <param name="SizeMax">Bytes of the answer's body.</param>
/// <param name="TimeMaxMs">Milliseconds in all.</param>
internal readonly record struct CallLimits(int SizeMax, int TimeMaxMs);
