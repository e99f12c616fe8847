using System.Buffers.Binary;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Raft.Protocol;

/// <summary>What a frame asks or tells; LAYOUT.md beside this file says what its numbers are.</summary>
internal enum GroupFrameKind : byte
{
    /// <summary>Would you vote for me?</summary>
    PreVote = 1,
    /// <summary>Vote for me.</summary>
    Vote = 2,
    /// <summary>Append entries; a heartbeat when there are none.</summary>
    Append = 3,
    /// <summary>A piece of a snapshot.</summary>
    Snapshot = 4,
    /// <summary>Propose this entry for me.</summary>
    Propose = 5,
    /// <summary>How far is committed, as a majority knows it?</summary>
    Barrier = 6,
    /// <summary>An entry is committed. Not answered.</summary>
    Committed = 7,
    /// <summary>The group has nothing to do: stop, if you have neither.</summary>
    Sleep = 8,
    /// <summary>A member is to lead: vote for it at once.</summary>
    Grant = 9,
    /// <summary>Hand the leadership to a member.</summary>
    Lead = 10,
    /// <summary>Found a group, or learn how it was founded.</summary>
    Found = 11,
    /// <summary>How this site's groups stand that the other is a member of.</summary>
    Compare = 12,
    /// <summary>Remove a member.</summary>
    Remove = 14,
    /// <summary>Remove a site from all groups of the asked.</summary>
    RemoveSite = 15,
    /// <summary>Have you met this site, with these data?</summary>
    HasMet = 16,
    /// <summary>Answers a question.</summary>
    Reply = 64,
    /// <summary>Says why a question is not answered.</summary>
    Refused = 65,
    /// <summary>A part of a message that is too large for one frame.</summary>
    Fragment = 96,
}

/// <summary>Why a question is not answered.</summary>
internal enum GroupRefusal : byte
{
    /// <summary>The group is not known here.</summary>
    UnknownGroup = 1,
    /// <summary>Asker or asked is not the incarnation that belongs to the group.</summary>
    Incarnation = 2,
    /// <summary>It cannot be done now: the log failed, the disk is full, the host is closing.</summary>
    Unable = 3,
    /// <summary>The asked does not lead.</summary>
    NotLeader = 4,
    /// <summary>Too much is waiting.</summary>
    Busy = 5,
    /// <summary>The disk is full.</summary>
    Full = 6,
    /// <summary>The asker is no member, or asks what it may not.</summary>
    NotMember = 7,
    /// <summary>The asked has not met every other member: it does not vote.</summary>
    NotMet = 8,
    /// <summary>The site that is to be removed is there.</summary>
    IsUp = 9,
}

/// <summary>What reading a frame gave.</summary>
internal enum GroupFrameStatus : byte
{
    /// <summary>A frame.</summary>
    Understood,
    /// <summary>A kind that a newer version added: to be passed over.</summary>
    UnknownKind,
    /// <summary>A newer version: nothing of it can be understood.</summary>
    NewerVersion,
    /// <summary>Too short, or it breaks a bound.</summary>
    Malformed,
}

/// <summary>The header of a message between the hosts of two sites.</summary>
internal readonly record struct GroupFrame
{
    /// <summary>The version written.</summary>
    public const byte Version = 1;

    /// <summary>Bytes of the header.</summary>
    public const int HeaderSize = 80;

    /// <summary>What it asks or tells.</summary>
    public required GroupFrameKind Kind { get; init; }

    /// <summary>How often the group was reopened, as the sender knows it.</summary>
    public uint Generation { get; init; }

    /// <summary>The group; zero where a frame is about none or many.</summary>
    public GroupId Group { get; init; }

    /// <summary>The sender's incarnation.</summary>
    public Incarnation Incarnation { get; init; }

    /// <summary>Number of the question, of the asker's choice; an answer repeats it. 0 when no answer is wanted.</summary>
    public ulong Request { get; init; }

    /// <summary>First number.</summary>
    public long A { get; init; }

    /// <summary>Second number.</summary>
    public long B { get; init; }

    /// <summary>Third number.</summary>
    public long C { get; init; }

    /// <summary>Fourth number.</summary>
    public long D { get; init; }

    /// <summary>Writes the header to the start of <paramref name="to"/>.</summary>
    public void Write(Span<byte> to)
    {
        to[0] = Version;
        to[1] = (byte)Kind;
        BinaryPrimitives.WriteUInt16LittleEndian(to[2..], 0);
        BinaryPrimitives.WriteUInt32LittleEndian(to[4..], Generation);
        Group.Write(to[8..]);
        Incarnation.Write(to[24..]);
        BinaryPrimitives.WriteUInt64LittleEndian(to[40..], Request);
        BinaryPrimitives.WriteInt64LittleEndian(to[48..], A);
        BinaryPrimitives.WriteInt64LittleEndian(to[56..], B);
        BinaryPrimitives.WriteInt64LittleEndian(to[64..], C);
        BinaryPrimitives.WriteInt64LittleEndian(to[72..], D);
    }

    /// <summary>Reads a header; what follows its <see cref="HeaderSize"/> bytes is the body. No number is negative.</summary>
    public static GroupFrameStatus Read(ReadOnlySpan<byte> message, out GroupFrame frame)
    {
        frame = default;
        if (message.Length == 0) return GroupFrameStatus.Malformed;
        if (message[0] != Version) return message[0] > Version ? GroupFrameStatus.NewerVersion : GroupFrameStatus.Malformed;
        if (message.Length is < HeaderSize or > Bounds.GroupMessageSizeMax) return GroupFrameStatus.Malformed;
        var kind = (GroupFrameKind)message[1];
        if (!Enum.IsDefined(kind)) return GroupFrameStatus.UnknownKind;
        frame = new GroupFrame
        {
            Kind = kind,
            Generation = BinaryPrimitives.ReadUInt32LittleEndian(message[4..]),
            Group = GroupId.Read(message[8..]),
            Incarnation = Incarnation.Read(message[24..]),
            Request = BinaryPrimitives.ReadUInt64LittleEndian(message[40..]),
            A = BinaryPrimitives.ReadInt64LittleEndian(message[48..]),
            B = BinaryPrimitives.ReadInt64LittleEndian(message[56..]),
            C = BinaryPrimitives.ReadInt64LittleEndian(message[64..]),
            D = BinaryPrimitives.ReadInt64LittleEndian(message[72..]),
        };
        return (frame.A | frame.B | frame.C | frame.D) < 0 ? GroupFrameStatus.Malformed : GroupFrameStatus.Understood;
    }
}
