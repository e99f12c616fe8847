using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Identity;
using Cheops.Agent.Mesh;
using Cheops.Agent.Profiles;
using Cheops.Agent.Replication;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;
using Cheops.Raft.Simulated;
using Cheops.Store.Contents;
using Cheops.Store.Log;
using Cheops.Store.Table;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Sites that replicate, in memory and simulated time: groups, tables, journals and services; to be crashed and started.</summary>
internal sealed class SimulatedReplicas : IDisposable
{
    private const string Profile = """
        { "profile": "p", "services": {
            "numbers": { "resources": { "things": { "collection": "/v1/things", "naturalKey": ["key"] } } },
            "letters": { "resources": { "things": { "collection": "/v1/things", "naturalKey": ["key"] } } } } }
        """;

    private int _passed;
    private readonly FakeTimeProvider _time = new();
    private readonly ProfileSet _profiles;
    private readonly SimulatedGroups _groups;
    private readonly Random _chance;
    private readonly CredentialSeal _seal;
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-unit-");

    public SimulatedReplicas(int seed, SimulatedFaults? faults = null)
    {
        _chance = new Random(seed);
        _groups = new SimulatedGroups(_time, new Random(seed), faults);
        Assert.True(ProfileReader.TryRead(Encoding.UTF8.GetBytes(Profile), out var profile, out _));
        _profiles = ProfileSet.Combine([profile!], out _);
        _seal = CredentialSeal.Open(Path.Combine(_directory.FullName, "key"));
        Sites = [.. Names.Select((name, at) => new Site(this, name, new SimulatedThings(1000 * (at + 1), new Random(seed + at)), new SimulatedThings(1000 * (at + 1), new Random(seed + at))))];
    }

    public static ImmutableArray<string> Names { get; } = ["Site1", "Site2", "Site3"];

    public ImmutableArray<Site> Sites { get; }

    /// <summary>Sites that are not of the mesh any more.</summary>
    public HashSet<string> Gone { get; } = [];

    public ConcurrentQueue<string> Warnings { get; } = new();

    public void Dispose()
    {
        foreach (var site in Sites) site.Crash();
        _seal.Dispose();
        _directory.Delete(recursive: true);
    }

    /// <summary>Cuts a site's group off from the others, or lets it come back.</summary>
    public void CutOff(string site, bool isCut) => _groups.CutOff(site, isCut);

    /// <summary>Lets time pass.</summary>
    public async Task PassAsync()
    {
        // What has become due runs on the pool of threads: on a busy machine time must not run away from it.
        _time.Advance(TimeSpan.FromMilliseconds(5));
        if (++_passed % 50 == 0) await Task.Delay(1);
        else await Task.Yield();
    }

    /// <summary>Lets time pass until it is so.</summary>
    public async Task UntilAsync(string what, Func<bool> holds)
    {
        var waited = System.Diagnostics.Stopwatch.StartNew();
        while (!holds())
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(180), $"not within 180 s: {what}\n{string.Join('\n', Warnings.TakeLast(20).Concat(Sites.SelectMany(Standing)))}");
            await PassAsync();
        }
    }

    // What is open at a site, for whoever asks why nothing goes on.
    private static IEnumerable<string> Standing(Site site) => site.Runner is not { } runner ? [] : runner.Look(state => state.Open
        .Select(one => $"{site.Name}, applied {runner.AppliedIndex}: {one.Id} at {one.Index} {one.Decision?.ToString() ?? "undecided"} by {one.Decider}, claim {one.Claim}: {one.Describe()}; waits: {runner.WhyWaiting(one)}").ToArray());

    /// <summary>Lets time pass until everything is done everywhere.</summary>
    public Task QuietAsync() => UntilAsync(
        "everything is done everywhere",
        () =>
        {
            var last = Sites.Max(site => site.Runner!.AppliedIndex);
            return Sites.All(site => site.Runner!.AppliedIndex == last && site.Runner.Look(state => state.OpenCount == 0));
        });

    /// <summary>Lets time pass until a task completes, and gives what it threw.</summary>
    public async Task CompleteAsync(Task task)
    {
        await UntilAsync("it completes", () => task.IsCompleted);
        await task;
    }

    /// <summary>A create whose id the services choose, each its own.</summary>
    public Operation Create(int number, string origin, string key) => new()
    {
        Id = new OperationId((UInt128)number),
        Kind = OperationKind.Create,
        Repetition = Repetition.Lookup,
        Origin = origin,
        Replicant = new ReplicantKey("numbers", "/v1/things", ""),
        Resource = "things",
        Method = "POST",
        Target = "/v1/things",
        HasBody = true,
        Body = Encoding.UTF8.GetBytes($$"""{"key":"{{key}}","value":"made"}"""),
        AtUnixMs = _time.GetUtcNow().ToUnixTimeMilliseconds(),
    };

    /// <summary>The same at the other service.</summary>
    public static Operation OfLetters(Operation operation) => operation with { Replicant = operation.Replicant with { Service = "letters" } };

    // Sites draw from threads of their own.
    private void Draw(Span<byte> bytes)
    {
        lock (_chance) _chance.NextBytes(bytes);
    }

    /// <summary>Gives a thing another value.</summary>
    public Operation Put(int number, string origin, string metaId, string key, string value) => Create(number, origin, key) with
    {
        Kind = OperationKind.Update,
        Repetition = Repetition.Idempotent,
        Replicant = new ReplicantKey("numbers", "/v1/things", metaId),
        Method = "PUT",
        Target = $"/v1/things/{metaId}",
        Body = Encoding.UTF8.GetBytes($$"""{"key":"{{key}}","value":"{{value}}"}"""),
    };

    /// <summary>One site; its service outlives its crashes, as do its table's checkpoints and what its log made durable.</summary>
    internal sealed class Site(SimulatedReplicas all, string name, SimulatedThings things, SimulatedThings letters)
    {
        private MemoryReplicantTable? _table;
        private MemoryOperationLog? _log;
        private CancellationTokenSource? _running;
        private SimulatedGroupHost? _host;

        public string Name => name;

        /// <summary>Its service <c>numbers</c>.</summary>
        public SimulatedThings Things => things;

        /// <summary>Its service <c>letters</c>.</summary>
        public SimulatedThings Letters => letters;

        public bool IsUp => _running is not null;

        public GroupRunner? Runner { get; private set; }

        /// <summary>What it knows of replicants in this life.</summary>
        public Replicants? Replicants { get; private set; }

        /// <summary>What it does not know yet since it was started.</summary>
        public Settling? Settling { get; private set; }

        /// <summary>The disk has no more room for the table.</summary>
        public void FillTable() => _table!.Capacity = _table.DiskBytes;

        /// <summary>There is room for the table again.</summary>
        public void ExtendTable() => _table!.Capacity = long.MaxValue;

        /// <summary>Starts the agent; with its group, which is founded by the first that needs it.</summary>
        public void Start()
        {
            _running = new CancellationTokenSource();
            _table = _table?.Crash() ?? new MemoryReplicantTable();
            var recovery = new Journal.Recovery();
            _log = _log?.Crash(all._chance, recovery.Visit) ?? new MemoryOperationLog();
            var opened = new TaskCompletionSource<IGroupHost>(TaskCreationOptions.RunContinuationsAsynchronously);
            var parts = PartsOf(recovery.Open(_log, new LogRetention()), opened.Task, _running.Token);
            var from = CheckpointMark.Read(_table.Mark);
            _host = all._groups.Join(name, founding => Runner = new GroupRunner(founding, parts, from.GetValueOrDefault(founding.Id, 1)));
            opened.SetResult(_host);
            Settling = new Settling(Replicants!, _ => Runner, all._time, _running.Token);
            Settling.Begin(Runner is null ? [] : [Runner]);
        }

        /// <summary>A runner that is given entries by hand, with the replicants that it knows; without a host it carries nothing out.</summary>
        public (GroupRunner Runner, Replicants Replicants) ByHand(IGroupHost? host = null, CancellationToken closing = default)
        {
            _table = _table?.Crash() ?? new MemoryReplicantTable();
            var journal = new Journal.Recovery().Open(new MemoryOperationLog(), new LogRetention());
            var parts = PartsOf(journal, host is null ? new TaskCompletionSource<IGroupHost>().Task : Task.FromResult(host), closing);
            var founding = new GroupFounding { Sites = Names };
            Runner = new GroupRunner(founding, parts, CheckpointMark.Read(_table.Mark).GetValueOrDefault(founding.Id, 1));
            return (Runner, parts.Replicants);
        }

        /// <summary>Makes the table durable.</summary>
        public async Task CheckpointAsync()
        {
            var from = Runner!.ReplayFromNow();
            await _table!.CheckpointAsync(CheckpointMark.Write([(Runner.Founding.Id, from)]));
            Runner.Checkpointed(from);
        }

        public async Task FoundAsync() => await _host!.FoundAsync(Names, null);

        /// <summary>By decision of a person, a site leaves the group.</summary>
        public async Task RemoveAsync(string gone)
        {
            Assert.All(await _host!.RemoveSiteAsync(gone), removal => Assert.Equal("", removal.Reason));
            await Runner!.RecordRemovedAsync(CancellationToken.None);
        }

        /// <summary>Ends the agent without a word.</summary>
        public void Crash()
        {
            if (_running is null) return;
            things.Crash(_running);
            _running = null;
            _log!.Fail();
            _ = _host!.DisposeAsync().AsTask();
        }

        private GroupRunnerParts PartsOf(Journal journal, Task<IGroupHost> host, CancellationToken closing)
        {
            var mesh = new NoMesh();
            var contents = new Contents(name, new MemoryContentStore(all._time), mesh, new Deadlines(all._time), all._time);
            var replicants = Replicants = new Replicants(name, all._profiles, _table!, _ => Names);
            var requests = new ReplicaRequests(name, all._profiles, contents, new IdTranslation(replicants), all.Draw);
            var lines = new ServiceLines(all._time, closing);
            var services = new SimulatedServices(("numbers", things.For(closing)), ("letters", letters.For(closing)));
            var calls = new UserCalls(name, services, all._seal, NoServiceCredentials.Instance, lines);
            return new GroupRunnerParts
            {
                Site = name,
                Replicants = replicants,
                Execution = new Execution(name, calls, requests, new Doubt(calls, requests), journal, all._time, all.Warnings.Enqueue),
                Journal = journal,
                Contents = contents,
                Time = all._time,
                Lines = lines,
                IsOfMesh = other => !all.Gone.Contains(other),
                Host = host,
                Checkpoint = CheckpointAsync,
                EarlierRunOver = Task.Delay(TimeSpan.FromMilliseconds(Bounds.AbandonedTimeMaxMs), all._time, closing),
                Closing = closing,
                Warn = all.Warnings.Enqueue,
            };
        }
    }

    private sealed class SimulatedServices(params (string Name, IReplicaService Service)[] services) : IReplicaService
    {
        public Task<ServiceReply> SendAsync(ServiceSend send, CancellationToken cancellation) => Of(send).SendAsync(send, cancellation);

        public Task<ServiceReply> ReadAsync(ServiceSend send, Func<ReadOnlyMemory<byte>, ValueTask> take, CancellationToken cancellation) =>
            Of(send).ReadAsync(send, take, cancellation);

        private IReplicaService Of(ServiceSend send) => services.Single(one => one.Name == send.Service).Service;
    }

    private sealed class NoMesh : IMesh
    {
        public ImmutableArray<SiteStatus> Sites => [];

        public Func<InboundStream, Task> StreamHandler
        {
            set
            {
            }
        }

        public Channel OpenStream(string site, StreamOpening opening) => throw new LinkException(site, LinkError.UnknownSite, "there are no links");
    }
}
