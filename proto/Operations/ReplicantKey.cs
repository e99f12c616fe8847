namespace Cheops.Proto.Operations;

/// <summary>Names a replicant: the same at every site.</summary>
/// <param name="Service">The service.</param>
/// <param name="Collection">The path of its collection, normalized, with all variables filled in.</param>
/// <param name="MetaId">Its meta-id, as text and not percent-encoded; empty while the create that makes it is not decided and the service chooses the id.</param>
public sealed record ReplicantKey(string Service, string Collection, string MetaId)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Service} {Collection}/{MetaId}";

    internal void Write(EntryWriter writer) => writer.Text(Service).Text(Collection).Text(MetaId);

    internal static ReplicantKey Read(ref EntryReader reader) =>
        new(reader.Text(Bounds.ServiceNameLengthMax), reader.Text(Bounds.TargetSizeMax), reader.Text(Bounds.LocalIdSizeMax));
}
