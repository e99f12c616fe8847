using System.Collections.Immutable;
using System.Text;

namespace Cheops.Proto.Operations;

/// <summary>What an operation does to its replicant.</summary>
public enum OperationKind : byte
{
    /// <summary>It makes the replicant.</summary>
    Create = 1,
    /// <summary>It changes it.</summary>
    Update = 2,
    /// <summary>It ends it.</summary>
    Delete = 3,
    /// <summary>It moves it to another set of sites.</summary>
    Move = 4,
}

/// <summary>How an operation in doubt is told to have been executed.</summary>
public enum Repetition : byte
{
    /// <summary>It need not be told: carrying it out twice is as once.</summary>
    Idempotent = 1,
    /// <summary>By looking for the resource: by its id or its natural key.</summary>
    Lookup = 2,
    /// <summary>Not at all: a durable mark is made before it is sent, and what the mark leaves open is for a person.</summary>
    Marked = 3,
}

/// <summary>
/// One change to one replicant: the HTTP request as the group's log records it, with meta-ids. <c>ENTRIES.md</c> draws its
/// bytes.
/// </summary>
public sealed record Operation
{
    private const int MethodSizeMax = 32;

    /// <summary>Its id.</summary>
    public required OperationId Id { get; init; }

    /// <summary>What it does.</summary>
    public required OperationKind Kind { get; init; }

    /// <summary>The replication operator of the scope (0: <c>&amp;</c>, 1: <c>&amp;&amp;</c>, 2: <c>&amp;~</c>).</summary>
    public byte Operator { get; init; }

    /// <summary>How it is resolved when in doubt.</summary>
    public Repetition Repetition { get; init; } = Repetition.Marked;

    /// <summary>The site where the request came in; it decides, if it is of the group.</summary>
    public required string Origin { get; init; }

    /// <summary>The replicant; a create whose id the service chooses has an empty meta-id.</summary>
    public required ReplicantKey Replicant { get; init; }

    /// <summary>The resource's name in its profile.</summary>
    public required string Resource { get; init; }

    /// <summary>The method.</summary>
    public required string Method { get; init; }

    /// <summary>The target as the client sent it, without a scope's prefix, with meta-ids.</summary>
    public required string Target { get; init; }

    /// <summary>The field lines that go to the service, each with its CR LF; no credential is among them.</summary>
    public ReadOnlyMemory<byte> Fields { get; init; }

    /// <summary>The body; empty when there is none or when <see cref="BodyHash"/> names it.</summary>
    public ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>SHA-256 of a body that is kept by its content; empty for none.</summary>
    public ReadOnlyMemory<byte> BodyHash { get; init; }

    /// <summary>Bytes of the body.</summary>
    public long BodySize { get; init; }

    /// <summary>Whether there is a body at all, be it an empty one.</summary>
    public bool HasBody { get; init; }

    /// <summary>The user that the agent has verified; empty for none.</summary>
    public string User { get; init; } = "";

    /// <summary>The groups of <see cref="User"/>.</summary>
    public ImmutableArray<string> UserGroups { get; init; } = [];

    /// <summary>The credential's field lines, sealed for each site that has a key; a site that has none is not among them.</summary>
    public ImmutableArray<(string Site, ReadOnlyMemory<byte> Sealed)> Credentials { get; init; } = [];

    /// <summary>When it came in, in milliseconds since 1970 by the clock of <see cref="Origin"/>: for people only.</summary>
    public long AtUnixMs { get; init; }

    /// <summary>
    /// What of it is larger than an entry may have it, so that other sites would not understand the entry; null when it
    /// fits. What is made of a client's request is asked this before it is proposed.
    /// </summary>
    public string? Misfit() =>
        TooLong(Replicant.MetaId, Bounds.LocalIdSizeMax) ? $"the id in its path has more than {Bounds.LocalIdSizeMax} bytes"
        : TooLong(Method, MethodSizeMax) ? $"its method has more than {MethodSizeMax} bytes"
        : TooLong(Target, Bounds.TargetSizeMax) || TooLong(Replicant.Collection, Bounds.TargetSizeMax) ? $"its target has more than {Bounds.TargetSizeMax} bytes"
        : Fields.Length > Bounds.HeadSizeMax ? $"its fields have more than {Bounds.HeadSizeMax} bytes"
        : Body.Length > Bounds.BodyMemorySizeMax ? $"its body, with ids translated, has more than {Bounds.BodyMemorySizeMax} bytes"
        : TooLong(User, Bounds.UserNameLengthMax) || UserGroups.Any(static group => TooLong(group, Bounds.UserNameLengthMax)) ? $"its user's name, or one of the user's groups, has more than {Bounds.UserNameLengthMax} bytes"
        : UserGroups.Length > Bounds.UserGroupCountMax ? $"its user is in more than {Bounds.UserGroupCountMax} groups"
        : Credentials.Any(static one => one.Sealed.Length > Bounds.SealedSizeMax) ? $"its credential, sealed for a site, has more than {Bounds.SealedSizeMax} bytes"
        : SizeAtMost > Bounds.GroupEntrySizeMax && new ProposedEntry(this).Encode().Length > Bounds.GroupEntrySizeMax ? $"with its credential for {Credentials.Length} sites it makes an entry of more than {Bounds.GroupEntrySizeMax} bytes"
        : null;

    // Told without writing the entry: a text has at most three bytes a character.
    private long SizeAtMost =>
        1024 + Fields.Length + Body.Length + Credentials.Sum(static one => Bounds.SiteNameLengthMax + 8L + one.Sealed.Length)
        + (3L * (Target.Length + Replicant.Collection.Length + Replicant.MetaId.Length + Resource.Length + User.Length + UserGroups.Sum(static group => group.Length + 4L)));

    private static bool TooLong(string text, int sizeMax) => text.Length > sizeMax || Encoding.UTF8.GetByteCount(text) > sizeMax;

    internal void Write(EntryWriter writer)
    {
        writer.Id(Id).Byte((byte)Kind).Byte(Operator).Byte((byte)Repetition).Byte(HasBody ? (byte)1 : (byte)0).Number(AtUnixMs).Text(Origin);
        Replicant.Write(writer);
        writer.Text(Resource).Text(Method).Text(Target).Bytes(Fields.Span).Bytes(Body.Span).Bytes(BodyHash.Span).Number(BodySize);
        writer.Text(User).Texts(UserGroups);
        writer.Small(Credentials.Length);
        foreach (var (site, @sealed) in Credentials) writer.Text(site).Bytes(@sealed.Span);
    }

    internal static Operation Read(ref EntryReader reader)
    {
        var id = reader.Id();
        var kind = (OperationKind)reader.Byte();
        var op = reader.Byte();
        var repetition = (Repetition)reader.Byte();
        var hasBody = reader.Byte() != 0;
        return new Operation
        {
            Id = id,
            Kind = kind,
            Operator = op,
            Repetition = repetition,
            HasBody = hasBody,
            AtUnixMs = reader.Number(),
            Origin = reader.Text(Bounds.SiteNameLengthMax),
            Replicant = ReplicantKey.Read(ref reader),
            Resource = reader.Text(Bounds.ServiceNameLengthMax * 4),
            Method = reader.Text(MethodSizeMax),
            Target = reader.Text(Bounds.TargetSizeMax),
            Fields = reader.Bytes(Bounds.HeadSizeMax),
            Body = reader.Bytes(Bounds.BodyMemorySizeMax),
            BodyHash = reader.Bytes(32),
            BodySize = reader.Number(),
            User = reader.Text(Bounds.UserNameLengthMax),
            UserGroups = [.. reader.Texts(Bounds.UserGroupCountMax, Bounds.UserNameLengthMax)],
            Credentials = ReadCredentials(ref reader),
        };
    }

    private static ImmutableArray<(string, ReadOnlyMemory<byte>)> ReadCredentials(ref EntryReader reader)
    {
        var count = reader.Count(Bounds.GroupSitesMax);
        var credentials = ImmutableArray.CreateBuilder<(string, ReadOnlyMemory<byte>)>(count);
        for (var i = 0; i < count; i++) credentials.Add((reader.Text(Bounds.SiteNameLengthMax), reader.Bytes(Bounds.SealedSizeMax)));
        return credentials.MoveToImmutable();
    }

    internal bool IsValid =>
        Id.Value != UInt128.Zero && Enum.IsDefined(Kind) && Enum.IsDefined(Repetition) && Operator <= 2 && Origin.Length > 0
        && Replicant.Service.Length > 0 && Replicant.Collection.Length > 0 && Method.Length > 0 && Target.StartsWith('/')
        && BodyHash.Length is 0 or 32 && BodySize >= 0 && (HasBody || (Body.IsEmpty && BodyHash.IsEmpty));
}
