using System.Runtime.InteropServices;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;
using Cheops.Raft.Protocol;
using static Cheops.Tests.Fuzz.FuzzException;

namespace Cheops.Tests.Fuzz.Groups;

/// <summary>Messages between hosts of groups: any bytes give a message within its bounds or none; what was read is written again.</summary>
internal sealed class GroupMessageTarget : IFuzzTarget
{
    private static readonly FoundingRecord Founding = new()
    {
        Members = [new("A", new Incarnation(1)), new("B", new Incarnation(2)), new("W", new Incarnation(3))],
        HasWitness = true,
        Founder = "A",
        Generation = 2,
        Index = 7,
        Since = 1,
        IsOpen = true,
    };

    public string Name => "group";

    public string Purpose => "messages between hosts of groups, entries, foundings, fragments: within bounds or refused, written as read";

    public IEnumerable<byte[]> Seeds
    {
        get
        {
            foreach (var kind in Enum.GetValues<GroupFrameKind>())
            {
                var frame = new GroupFrame { Kind = kind, Generation = 1, Group = GroupId.Of(["A", "B"]), Incarnation = new Incarnation(5), Request = 6, A = 1, B = 0, C = Bounds.FramePayloadSizeMax + 100, D = 4 };
                var header = new byte[GroupFrame.HeaderSize];
                frame.Write(header);
                yield return [.. header, .. BodyOf(kind)];
            }
        }
    }

    public IReadOnlyList<byte[]> Words { get; } =
    [
        [1], [2], [0xFF], [0, 0, 0, 0, 0, 0, 0, 0x80], [1, (byte)'A'], new byte[16], new byte[200],
    ];

    public int Run(byte[] input)
    {
        var status = GroupFrame.Read(input, out var frame);
        if (status != GroupFrameStatus.Understood) return (int)status;
        var header = new byte[GroupFrame.HeaderSize];
        frame.Write(header);
        Demand(input.AsSpan(0, 2).SequenceEqual(header.AsSpan(0, 2)) && input.AsSpan(4, 76).SequenceEqual(header.AsSpan(4)), "a header is written as it was read");
        var body = input.AsMemory(GroupFrame.HeaderSize);
        return ((int)frame.Kind << 8) | frame.Kind switch
        {
            GroupFrameKind.Append => Entries(body),
            GroupFrameKind.Found => Record(body.Span),
            GroupFrameKind.Compare => Compared(body.Span),
            GroupFrameKind.HasMet => Met(body.Span),
            // What the answer to it carries.
            GroupFrameKind.RemoveSite => Removed(body.Span),
            GroupFrameKind.Fragment => Fragment(frame, body.Span),
            _ => 0,
        };
    }

    private static byte[] BodyOf(GroupFrameKind kind)
    {
        if (kind == GroupFrameKind.Found) return Founding.ToBytes();
        if (kind == GroupFrameKind.Compare) return ComparedGroup.ToBytes([new ComparedGroup(GroupId.Of(["A"]), 1, new Incarnation(1), 2, 3, 4)]);
        if (kind == GroupFrameKind.RemoveSite) return RemovedGroups.ToBytes([new SiteRemoval(["A", "B"], "no majority"), new SiteRemoval(["B", "C", "D"], "")]);
        if (kind == GroupFrameKind.HasMet) return MetSites.ToBytes([new("A", new Incarnation(1)), new("B", new Incarnation(2))]);
        if (kind == GroupFrameKind.Fragment) return new byte[180];
        if (kind != GroupFrameKind.Append) return [1, 2, 3];
        LoggedEntry[] entries = [LoggedEntry.Make(3, EntryKind.Begin, 0, []), LoggedEntry.Make(3, EntryKind.Proposed, 1, [1, 2]), LoggedEntry.Make(4, EntryKind.Roster, 1, Founding.ToBytes())];
        var body = new byte[entries.Sum(EntryBatch.SizeOf)];
        EntryBatch.Write(body, entries);
        return body;
    }

    private static int Entries(ReadOnlyMemory<byte> body)
    {
        if (EntryBatch.Read(body) is not { } entries) return 1;
        var again = new byte[entries.Sum(EntryBatch.SizeOf)];
        EntryBatch.Write(again, CollectionsMarshal.AsSpan(entries));
        Demand(body.Span.SequenceEqual(again), "entries are written as they were read");
        return 2 + Math.Min(entries.Count, 5);
    }

    private static int Removed(ReadOnlySpan<byte> body)
    {
        if (RemovedGroups.Read(body) is not { } removals) return 1;
        Demand(body.SequenceEqual(RemovedGroups.ToBytes(removals)), "removed groups are written as they were read");
        return 2 + Math.Min(removals.Length, 5);
    }

    private static int Record(ReadOnlySpan<byte> body)
    {
        if (FoundingRecord.Read(body) is not { } record) return 1;
        Demand(body.SequenceEqual(record.ToBytes()), "a founding is written as it was read");
        Demand(record.Founding.Sites.Length > 0, "a founding has sites");
        return 2 + record.Members.Length;
    }

    private static int Compared(ReadOnlySpan<byte> body)
    {
        if (ComparedGroup.Read(body) is not { } groups) return 1;
        Demand(body.SequenceEqual(ComparedGroup.ToBytes(groups)), "compared groups are written as they were read");
        return 2 + Math.Min(groups.Length, 3);
    }

    private static int Met(ReadOnlySpan<byte> body)
    {
        if (MetSites.Read(body) is not { } met) return 1;
        Demand(body.SequenceEqual(MetSites.ToBytes(met)), "met sites are written as they were read");
        return 2 + Math.Min(met.Count, 3);
    }

    private static int Fragment(GroupFrame frame, ReadOnlySpan<byte> piece)
    {
        var assembly = new FragmentAssembly();
        var whole = assembly.Take(frame, piece);
        for (var number = 0; number < 8; number++) assembly.Take(frame with { A = number, B = 1, C = Bounds.GroupMessageSizeMax }, piece);
        Demand(assembly.HeldSize <= Bounds.GroupPartialSizeMax, "what is held is bounded");
        return whole is null ? 1 : 2;
    }
}
