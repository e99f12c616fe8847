namespace Cheops.Proto.Operations;

/// <summary>What the deciding site made of an operation.</summary>
public enum Decision : byte
{
    /// <summary>The application did it: every other site does it too.</summary>
    Accepted = 1,
    /// <summary>The application refused it: no other site does it.</summary>
    Refused = 2,
    /// <summary>It surely was not executed, and never will be.</summary>
    NotExecuted = 3,
    /// <summary>The replicant is another group's by now, and so is the operation: no site decides it here. Told by no entry.</summary>
    Moved = 4,
}

/// <summary>What became of an operation at a site that follows.</summary>
public enum SiteResult : byte
{
    /// <summary>Carried out.</summary>
    Applied = 1,
    /// <summary>Refused by the application there: divergence.</summary>
    Failed = 2,
    /// <summary>Left out by decision of a person.</summary>
    Skipped = 3,
    /// <summary>It may have been executed, and that cannot be told by looking: a person decides.</summary>
    InDoubt = 4,
}

/// <summary>One entry of a replicant group's log. <c>ENTRIES.md</c> beside this file draws its bytes.</summary>
public abstract record GroupEntry
{
    private const byte Version = 1;

    private protected GroupEntry()
    {
    }

    private protected abstract byte Tag { get; }

    private protected abstract void Write(EntryWriter writer);

    /// <summary>Encodes it.</summary>
    public ReadOnlyMemory<byte> Encode()
    {
        var writer = new EntryWriter().Byte(Version).Byte(Tag);
        Write(writer);
        return writer.Written;
    }

    /// <summary>Decodes an entry; null when it is malformed, breaks a bound, or is of a version or kind not known here.</summary>
    /// <param name="bytes">The entry; the result refers into it.</param>
    public static GroupEntry? Decode(ReadOnlyMemory<byte> bytes)
    {
        var reader = new EntryReader(bytes);
        if (reader.Byte() != Version) return null;
        GroupEntry? entry = reader.Byte() switch
        {
            1 => new ProposedEntry(Operation.Read(ref reader)),
            2 => OutcomeEntry.Read(ref reader),
            3 => AppliedEntry.Read(ref reader),
            4 => new DeciderEntry(reader.Id(), reader.Text(Bounds.SiteNameLengthMax), reader.Text(Bounds.SiteNameLengthMax)),
            5 => ResolvedEntry.Read(ref reader),
            6 => ClosingEntry.Read(ref reader),
            7 => OpeningEntry.Read(ref reader),
            8 => new MovedEntry(reader.Id(), ReplicantKey.Read(ref reader), reader.Number()),
            9 => new RemovedEntry(reader.Text(Bounds.SiteNameLengthMax)),
            10 => new FreedEntry(reader.Id(), ReplicantKey.Read(ref reader)),
            16 => AppliedManyEntry.Read(ref reader),
            _ => null,
        };
        return reader.IsWhole && entry is { IsValid: true } ? entry : null;
    }

    private protected abstract bool IsValid { get; }

    private protected static void WriteResult(EntryWriter writer, OperationId id, string site, byte result, ServiceResult answer)
    {
        writer.Id(id).Text(site).Byte(result).Small(answer.Status).Text(answer.LocalId).Text(answer.Excerpt);
    }

    private protected static ServiceResult ReadAnswer(ref EntryReader reader) =>
        new(reader.Small(), reader.Text(Bounds.LocalIdSizeMax), reader.Text(Bounds.AnswerExcerptSizeMax));
}

/// <summary>What a service instance answered, as far as the group remembers it.</summary>
/// <param name="Status">The status code; 0 when there was no answer.</param>
/// <param name="LocalId">The replica's id at the site; empty when the operation made none.</param>
/// <param name="Excerpt">The beginning of the answer's body, where it was a refusal; for people.</param>
public sealed record ServiceResult(int Status, string LocalId, string Excerpt);

/// <summary>An operation is proposed: from here it has its place among those on its replicant.</summary>
public sealed record ProposedEntry(Operation Operation) : GroupEntry
{
    private protected override byte Tag => 1;

    private protected override void Write(EntryWriter writer) => Operation.Write(writer);

    private protected override bool IsValid => Operation is { IsValid: true, Kind: not OperationKind.Move };
}

/// <summary>The deciding site has decided. Only the first outcome, by whoever is the deciding site then, counts.</summary>
/// <param name="Id">The operation.</param>
/// <param name="Site">The deciding site.</param>
/// <param name="Decision">What came of it.</param>
/// <param name="MetaId">The replicant's meta-id, where the create did not have one yet; else empty.</param>
/// <param name="Answer">What its service answered.</param>
/// <param name="Claim">
/// Index of the entry by which the site last became the deciding one, 0 for the proposal itself: what an agent recorded
/// before it crashed, and what arrives late, does not count any more once it has claimed the operation anew.
/// </param>
public sealed record OutcomeEntry(OperationId Id, string Site, Decision Decision, string MetaId, ServiceResult Answer, long Claim = 0) : GroupEntry
{
    private protected override byte Tag => 2;

    private protected override void Write(EntryWriter writer)
    {
        WriteResult(writer, Id, Site, (byte)Decision, Answer);
        writer.Text(MetaId).Number(Claim);
    }

    internal static OutcomeEntry Read(ref EntryReader reader)
    {
        var id = reader.Id();
        var site = reader.Text(Bounds.SiteNameLengthMax);
        var decision = (Decision)reader.Byte();
        var answer = ReadAnswer(ref reader);
        return new OutcomeEntry(id, site, decision, reader.Text(Bounds.LocalIdSizeMax), answer, reader.Number());
    }

    private protected override bool IsValid => Site.Length > 0 && Decision is (Decision.Accepted or Decision.Refused or Decision.NotExecuted) && Claim >= 0;
}

/// <summary>What became of an operation at a following site.</summary>
/// <param name="Id">The operation.</param>
/// <param name="Site">The site.</param>
/// <param name="Result">What came of it.</param>
/// <param name="Answer">What its service answered.</param>
public sealed record AppliedEntry(OperationId Id, string Site, SiteResult Result, ServiceResult Answer) : GroupEntry
{
    private protected override byte Tag => 3;

    private protected override void Write(EntryWriter writer) => WriteResult(writer, Id, Site, (byte)Result, Answer);

    internal static AppliedEntry Read(ref EntryReader reader)
    {
        var id = reader.Id();
        var site = reader.Text(Bounds.SiteNameLengthMax);
        var result = (SiteResult)reader.Byte();
        return new AppliedEntry(id, site, result, ReadAnswer(ref reader));
    }

    private protected override bool IsValid => Site.Length > 0 && Enum.IsDefined(Result);
}

/// <summary>
/// Another site decides an operation, since the one that was to has fallen silent; or the same site claims it anew, after
/// a crash, before it looks at what it may have executed.
/// </summary>
/// <param name="Id">The operation.</param>
/// <param name="Before">Who was to decide; when that is somebody else by now, nothing changes.</param>
/// <param name="Now">Who decides.</param>
public sealed record DeciderEntry(OperationId Id, string Before, string Now) : GroupEntry
{
    private protected override byte Tag => 4;

    private protected override void Write(EntryWriter writer) => writer.Id(Id).Text(Before).Text(Now);

    private protected override bool IsValid => Before.Length > 0 && Now.Length > 0;
}

/// <summary>How a person resolves what failed, or is in doubt, at a site.</summary>
public enum Resolve : byte
{
    /// <summary>Carry it out, again if need be.</summary>
    Retry = 1,
    /// <summary>Leave it out.</summary>
    Skip = 2,
    /// <summary>It was executed there.</summary>
    Done = 3,
}

/// <summary>A person has resolved what failed, or is in doubt, at a site.</summary>
/// <param name="Id">The operation.</param>
/// <param name="Site">The site.</param>
/// <param name="How">What is to be done there, or was.</param>
/// <param name="LocalId">The id that the replica got there, of a create that was executed; else empty.</param>
/// <param name="MetaId">The replicant's meta-id, where it has none yet; else empty.</param>
public sealed record ResolvedEntry(OperationId Id, string Site, Resolve How, string LocalId = "", string MetaId = "") : GroupEntry
{
    private protected override byte Tag => 5;

    private protected override void Write(EntryWriter writer) => writer.Id(Id).Text(Site).Byte((byte)How).Text(LocalId).Text(MetaId);

    internal static ResolvedEntry Read(ref EntryReader reader) => new(
        reader.Id(), reader.Text(Bounds.SiteNameLengthMax), (Resolve)reader.Byte(), reader.Text(Bounds.LocalIdSizeMax), reader.Text(Bounds.LocalIdSizeMax));

    private protected override bool IsValid => Site.Length > 0 && Enum.IsDefined(How);
}
