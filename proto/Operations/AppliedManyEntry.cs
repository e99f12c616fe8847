using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Cheops.Proto.Operations;

/// <summary>
/// Operations that were carried out at a following site, told together: as good as an <see cref="AppliedEntry"/> for each,
/// with <see cref="SiteResult.Applied"/>.
/// </summary>
/// <param name="Site">The site.</param>
/// <param name="Applied">The operations with what its service answered, whose excerpts are not kept; 1 to <see cref="Bounds.AppliedManyMax"/>.</param>
public sealed record AppliedManyEntry(string Site, ImmutableArray<(OperationId Id, ServiceResult Answer)> Applied) : GroupEntry
{
    private protected override byte Tag => 16;

    private protected override void Write(EntryWriter writer)
    {
        writer.Text(Site).Small(Applied.Length);
        foreach (var (id, answer) in Applied) writer.Id(id).Small(answer.Status).Text(answer.LocalId);
    }

    internal static AppliedManyEntry Read(ref EntryReader reader)
    {
        var site = reader.Text(Bounds.SiteNameLengthMax);
        var applied = new (OperationId, ServiceResult)[reader.Count(Bounds.AppliedManyMax)];
        for (var i = 0; i < applied.Length; i++) applied[i] = (reader.Id(), new ServiceResult(reader.Small(), reader.Text(Bounds.LocalIdSizeMax), ""));
        return new AppliedManyEntry(site, ImmutableCollectionsMarshal.AsImmutableArray(applied));
    }

    private protected override bool IsValid => Site.Length > 0 && Applied.Length > 0;

    /// <inheritdoc/>
    public bool Equals(AppliedManyEntry? other) => other is not null && Site == other.Site && Applied.SequenceEqual(other.Applied);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Site, Applied.Length, Applied.IsEmpty ? default : Applied[0].Id);
}
