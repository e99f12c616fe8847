namespace Cheops.Agent.Replication;

/// <summary>Fills bytes with chance that nobody can guess; a simulation fills them from its seed.</summary>
internal delegate void Chance(Span<byte> bytes);
