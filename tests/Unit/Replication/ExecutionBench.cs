using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Identity;
using Cheops.Agent.Profiles;
using Cheops.Agent.Replication;
using Cheops.Agent.Replication.State;
using Cheops.Proto.Operations;
using Cheops.Store.Log;
using Cheops.Store.Table;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Replication;

/// <summary>What carries out operations at Site1, which shares its replicants with Site2, against one service.</summary>
internal sealed class ExecutionBench : IDisposable
{
    public static readonly ImmutableArray<string> Sites = ["Site1", "Site2"];

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-unit-");
    private readonly CredentialSeal _seal;

    public ExecutionBench(string profile, IReplicaService shop)
    {
        Assert.True(ProfileReader.TryRead(Encoding.UTF8.GetBytes(profile), out var read, out _));
        Profiles = ProfileSet.Combine([read!], out _);
        _seal = CredentialSeal.Open(Path.Combine(_directory.FullName, "key"));
        Calls = new UserCalls("Site1", shop, _seal, NoServiceCredentials.Instance, new ServiceLines(Time, CancellationToken.None));
        Replicants = new Replicants("Site1", Profiles, new MemoryReplicantTable(), _ => Sites);
        Ids = new IdTranslation(Replicants);
        var requests = new ReplicaRequests("Site1", Profiles, null!, Ids, bytes => bytes.Fill(7));
        var journal = new Journal.Recovery().Open(new MemoryOperationLog(), new LogRetention());
        Execution = new Execution("Site1", Calls, requests, new Doubt(Calls, requests), journal, Time, Warnings.Add);
    }

    public FakeTimeProvider Time { get; } = new();

    public ProfileSet Profiles { get; }

    public UserCalls Calls { get; }

    public Replicants Replicants { get; }

    public IdTranslation Ids { get; }

    public Execution Execution { get; }

    public List<string> Warnings { get; } = [];

    /// <summary>An operation as this site's to do: to decide, or as Site2 has decided it.</summary>
    public static ExecutionTask TaskOf(Operation operation, bool decides, bool mayBeExecuted) => new(
        default, operation, new OperationState(operation, 1, decides ? "Site1" : "Site2", Sites), null, decides, mayBeExecuted, () => true, () => true, _ => { });

    public Course Begin(ExecutionTask task) => new(Time.GetTimestamp(), task.MayBeExecuted);

    public async Task<Verdict> CarryOutAsync(ExecutionTask task) => (await Execution.TryAsync(task, Begin(task), CancellationToken.None)).Verdict!;

    public void Dispose()
    {
        _seal.Dispose();
        _directory.Delete(recursive: true);
    }
}
