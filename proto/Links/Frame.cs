using System.Buffers.Binary;

namespace Cheops.Proto.Links;

/// <summary>What a frame is for.</summary>
public enum FrameKind : byte
{
    /// <summary>Liveness, round-trip time and status.</summary>
    Heartbeat = 1,
    /// <summary>Opens a stream, with its first bytes.</summary>
    Open = 2,
    /// <summary>A piece of a stream.</summary>
    Data = 3,
    /// <summary>Lets the peer send a stream up to an offset.</summary>
    Credit = 4,
    /// <summary>Ends both directions of a stream at once.</summary>
    Reset = 5,
    /// <summary>Says how much of the bulk link has arrived.</summary>
    BulkAcknowledgement = 6,
    /// <summary>One message to a channel of the other agent (Raft), without a stream.</summary>
    Message = 7,
}

/// <summary>Marks on a frame.</summary>
[Flags]
public enum FrameFlags : byte
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary>After this piece the sender's direction of the stream ends in an orderly way.</summary>
    End = 1,
}

/// <summary>What reading a frame's header gave.</summary>
public enum FrameStatus : byte
{
    /// <summary>A frame that is understood.</summary>
    Understood,
    /// <summary>A frame of a kind that a newer minor version added: to be passed over.</summary>
    UnknownKind,
    /// <summary>A newer major version: nothing of it can be understood.</summary>
    NewerMajor,
    /// <summary>No frame, or one that breaks a bound.</summary>
    Malformed,
}

/// <summary>The header of a frame between two agents; LAYOUT.md beside this file draws its bytes.</summary>
public readonly record struct Frame
{
    /// <summary>First byte of every frame.</summary>
    public const byte Magic = 0xC5;

    /// <summary>Major version: changes when an older agent could misunderstand.</summary>
    public const byte Major = 1;

    /// <summary>Minor version: grows when kinds or trailing header bytes are added, which older agents pass over.</summary>
    public const byte Minor = 0;

    /// <summary>Bytes of this version's header.</summary>
    public const int HeaderSize = 48;

    /// <summary>What the frame is for.</summary>
    public required FrameKind Kind { get; init; }

    /// <summary>Marks.</summary>
    public FrameFlags Flags { get; init; }

    /// <summary>
    /// Counts, wrapping, how often the link's streams were given up because frames were lost; both ends take the later
    /// one they see. A frame of an earlier epoch is void.
    /// </summary>
    public ushort Epoch { get; init; }

    /// <summary>The sender's session: a random number of the process that sends.</summary>
    public uint FromSession { get; init; }

    /// <summary>The session that the frame is meant for; 0 in heartbeats while it is not known, or no longer heard.</summary>
    public uint ToSession { get; init; }

    /// <summary>How long after <see cref="SentAtMs"/> the frame is worth anything, in milliseconds.</summary>
    public uint TimeToLiveMs { get; init; }

    /// <summary>When it was sent, in milliseconds since the sender's session began, wrapping.</summary>
    public uint SentAtMs { get; init; }

    /// <summary>The stream; 0 for none. Odd numbers are opened by the site whose name comes first in ordinal order.</summary>
    public ulong Stream { get; init; }

    /// <summary>An offset in the stream or on the link, as the kind says.</summary>
    public ulong Offset { get; init; }

    /// <summary>Counts the frames of a lane from 1 in each epoch: a gap tells that frames were lost. A heartbeat repeats the last.</summary>
    public ulong Sequence { get; init; }

    /// <summary>Writes the header to the start of <paramref name="to"/>.</summary>
    public void Write(Span<byte> to)
    {
        to[0] = Magic;
        to[1] = Major;
        to[2] = Minor;
        to[3] = (byte)Kind;
        to[4] = (byte)Flags;
        to[5] = HeaderSize;
        BinaryPrimitives.WriteUInt16LittleEndian(to[6..], Epoch);
        BinaryPrimitives.WriteUInt32LittleEndian(to[8..], FromSession);
        BinaryPrimitives.WriteUInt32LittleEndian(to[12..], ToSession);
        BinaryPrimitives.WriteUInt32LittleEndian(to[16..], TimeToLiveMs);
        BinaryPrimitives.WriteUInt32LittleEndian(to[20..], SentAtMs);
        BinaryPrimitives.WriteUInt64LittleEndian(to[24..], Stream);
        BinaryPrimitives.WriteUInt64LittleEndian(to[32..], Offset);
        BinaryPrimitives.WriteUInt64LittleEndian(to[40..], Sequence);
    }

    /// <summary>Reads a frame.</summary>
    /// <param name="message">The whole message.</param>
    /// <param name="frame">The header.</param>
    /// <param name="payload">What follows the header.</param>
    public static FrameStatus Read(ReadOnlySpan<byte> message, out Frame frame, out ReadOnlySpan<byte> payload)
    {
        frame = default;
        payload = default;
        if (message.Length < 6 || message[0] != Magic) return FrameStatus.Malformed;
        if (message[1] != Major) return message[1] > Major ? FrameStatus.NewerMajor : FrameStatus.Malformed;
        var headerSize = message[5];
        if (headerSize < HeaderSize || message.Length < headerSize) return FrameStatus.Malformed;
        payload = message[headerSize..];
        if (payload.Length > Bounds.FramePayloadSizeMax) return FrameStatus.Malformed;
        frame = new Frame
        {
            Kind = (FrameKind)message[3],
            Flags = (FrameFlags)message[4],
            Epoch = BinaryPrimitives.ReadUInt16LittleEndian(message[6..]),
            FromSession = BinaryPrimitives.ReadUInt32LittleEndian(message[8..]),
            ToSession = BinaryPrimitives.ReadUInt32LittleEndian(message[12..]),
            TimeToLiveMs = BinaryPrimitives.ReadUInt32LittleEndian(message[16..]),
            SentAtMs = BinaryPrimitives.ReadUInt32LittleEndian(message[20..]),
            Stream = BinaryPrimitives.ReadUInt64LittleEndian(message[24..]),
            Offset = BinaryPrimitives.ReadUInt64LittleEndian(message[32..]),
            Sequence = BinaryPrimitives.ReadUInt64LittleEndian(message[40..]),
        };
        return frame.Kind is >= FrameKind.Heartbeat and <= FrameKind.Message ? FrameStatus.Understood : FrameStatus.UnknownKind;
    }
}
