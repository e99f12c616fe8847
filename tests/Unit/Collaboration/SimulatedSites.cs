using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Identity;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Agent.Profiles;
using Cheops.Agent.Replication;
using Cheops.Agent.Transport;
using Cheops.Agent.Workflows;
using Cheops.Raft.Simulated;
using Cheops.Store.Bodies;
using Cheops.Store.Contents;
using Cheops.Store.Log;
using Cheops.Store.Table;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Collaboration;

/// <summary>What a scripted service gets.</summary>
internal sealed record Asked(string Head, string Body)
{
    public string FirstLine => Head.Split("\r\n")[0];

    /// <summary>The body without the framing of its chunks.</summary>
    public string Content
    {
        get
        {
            if (Field("Transfer-Encoding") is null) return Body;
            var content = new StringBuilder();
            for (var at = 0; ;)
            {
                var end = Body.IndexOf("\r\n", at, StringComparison.Ordinal);
                var size = int.Parse(Body[at..end], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
                if (size == 0) return content.ToString();
                content.Append(Body, end + 2, size);
                at = end + 4 + size;
            }
        }
    }

    public string? Field(string name) =>
        Head.Split("\r\n").Skip(1).FirstOrDefault(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))?[(name.Length + 1)..].Trim();
}

/// <summary>Whole sites in this process, without sockets or real time: handlers, pools, connections and links over memory.</summary>
internal sealed class SimulatedSites : IAsyncDisposable
{
    private readonly Dictionary<string, Site> _sites = [];
    private int _workflows;

    public SimulatedSites(params string[] names)
        : this(new MemoryBodyStore(), names)
    {
    }

    public SimulatedSites(IBodyStore bodies, params string[] names)
        : this(BuiltInProfiles.Find("rest")!, bodies, names)
    {
    }

    public SimulatedSites(Profile profile, IBodyStore bodies, params string[] names)
    {
        (Bodies, Profile) = (bodies, profile);
        foreach (var name in names) _sites[name] = new Site(this, name);
    }

    /// <summary>From now on the sites replicate.</summary>
    public async Task ReplicateAsync(int seed, CredentialSeal seal)
    {
        Groups = new SimulatedGroups(Time, new Random(seed));
        foreach (var site in _sites.Values) await site.ReplicateAsync(Groups, seal, new Random(++seed));
    }

    /// <summary>Their groups; null before they replicate.</summary>
    public SimulatedGroups? Groups { get; private set; }

    /// <summary>Lets time pass until something is done.</summary>
    public async Task<T> WithTimeAsync<T>(Task<T> task)
    {
        await UntilAsync("it completes", () => task.IsCompleted);
        return await task;
    }

    /// <summary>Lets time pass, no faster than the work that hangs on it, until it is so.</summary>
    public async Task UntilAsync(string what, Func<bool> holds)
    {
        var waited = System.Diagnostics.Stopwatch.StartNew();
        while (!holds())
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(60), $"not within 60 s: {what}\n{string.Join('\n', _sites.Values.SelectMany(site => site.Warnings))}");
            await Task.Delay(1);
            Time.Advance(TimeSpan.FromMilliseconds(5));
        }
    }

    public FakeTimeProvider Time { get; } = new();

    public Site this[string name] => _sites[name];

    public HashSet<string> Down { get; } = [];

    /// <summary>Sites that have told nothing of themselves since the others' start.</summary>
    public HashSet<string> Unheard { get; } = [];

    public IBodyStore Bodies { get; }

    /// <summary>What is known of the services beside <c>kube</c>.</summary>
    public Profile Profile { get; }

    public async ValueTask DisposeAsync()
    {
        foreach (var site in _sites.Values) await site.DisposeAsync();
    }

    /// <summary>A plain answer.</summary>
    public static string Answer(int status, string body, string fields = "") =>
        string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 {status} Said\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n{fields}\r\n{body}");

    internal sealed class Site : IMesh, IRequestLog, IServiceClient, IAsyncDisposable
    {
        private readonly SimulatedSites _all;
        private readonly Deadlines _deadlines;
        private readonly RequestHandlerParts _parts;
        private RequestHandler _handler;
        private string _sealingKey = "";
        private readonly Dictionary<string, UpstreamPool> _pools = [];

        public Site(SimulatedSites all, string name)
        {
            (_all, Name) = (all, name);
            _deadlines = new Deadlines(all.Time);
            var profiles = ProfileSet.Combine([BuiltInProfiles.Find("kubernetes")!, all.Profile], out _);
            foreach (var service in (string[])["shop", "items", "kube"]) _pools[service] = new UpstreamPool((_, _) => new(Connect(service)), _deadlines, all.Time);
            _parts = new RequestHandlerParts
            {
                Site = name,
                Services = _pools.ToFrozenDictionary(pool => pool.Key, pool => new LocalService(pool.Key, profiles.For(pool.Key), pool.Value)),
                Profiles = profiles,
                Mesh = this,
                Counters = new CollaborationCounters(all.Time),
                Workflows = new WorkflowTable(all.Time, () => new WorkflowId((UInt128)(ulong)++all._workflows << 64 | 7), profiles),
                Bodies = all.Bodies,
                Tokens = new TokenUsers(this, all.Time),
                Replicants = EmptyReplicantIndex.Instance,
            };
            _handler = new RequestHandler(_parts);
        }

        /// <summary>Its replication; null before there is one.</summary>
        public Replicator? Replicator { get; private set; }

        /// <summary>Its groups' host; null before there is one.</summary>
        public SimulatedGroupHost? Host { get; private set; }

        /// <summary>Finds what other sites have; null before it replicates.</summary>
        public Elsewhere? Elsewhere { get; private set; }

        /// <summary>The keys of sites that are not heard.</summary>
        public SiteKeys SiteKeys { get; } = SiteKeys.InMemory();

        /// <summary>The site's own credentials for its services.</summary>
        public IServiceCredentials Credentials { get; set; } = NoServiceCredentials.Instance;

        public System.Collections.Concurrent.ConcurrentQueue<string> Warnings { get; } = new();

        public async Task ReplicateAsync(SimulatedGroups groups, CredentialSeal seal, Random chance)
        {
            _sealingKey = seal.PublicKey;
            var contents = new Contents(Name, new MemoryContentStore(_all.Time), this, _deadlines, _all.Time);
            Replicator = await Replicator.OpenAsync(new ReplicatorParts
            {
                Site = Name,
                Profiles = _parts.Profiles,
                Mesh = this,
                Table = new MemoryReplicantTable(),
                Journal = new Journal.Recovery().Open(new MemoryOperationLog(), new LogRetention()),
                Contents = contents,
                Service = new PooledReplicaService(Name, _parts.Services, _deadlines),
                Seal = seal,
                SiteKeys = SiteKeys,
                Credentials = Credentials,
                Deadlines = _deadlines,
                Time = _all.Time,
                Chance = bytes =>
                {
                    lock (chance) chance.NextBytes(bytes);
                },
                OpenHost = machines => new(Host = groups.Join(Name, machines)),
                Warn = Warnings.Enqueue,
            });
            Elsewhere = new Elsewhere(Name, this, Replicator, _deadlines, _all.Time);
            _handler = new RequestHandler(_parts with { Replicants = Replicator.Replicants, Replicator = Replicator, Contents = contents, Elsewhere = Elsewhere });
        }

        public string Name { get; }

        /// <summary>What each service answers; null breaks the connection off.</summary>
        public Dictionary<string, Func<Asked, Task<string?>>> Services { get; } = [];

        /// <summary>Services that answer a request's head, whatever follows it.</summary>
        public HashSet<string> AnswerHeads { get; } = [];

        /// <summary>What each service was asked.</summary>
        public List<(string Service, Asked Asked)> Log { get; } = [];

        public List<Exception> Errors { get; } = [];

        private Channel Connect(string service)
        {
            if (!Services.ContainsKey(service)) throw new IOException($"{service} does not run");
            var (ours, theirs) = MemoryTransport.Pair();
            _ = ServeAsync(service, theirs);
            return ours;
        }

        private async Task ServeAsync(string service, Channel channel)
        {
            await using var ending = channel;
            while (await RawHttp.ReadAsync(channel, headOnly: AnswerHeads.Contains(service)) is { } asked)
            {
                lock (Log) Log.Add((service, asked));
                if (await Services[service](asked) is not { } answer) return;
                await channel.Output.WriteAsync(Encoding.UTF8.GetBytes(answer));
            }
        }

        /// <summary>Sends a request to a service's listener and reads the whole answer, until the connection ends.</summary>
        public async Task<Asked> AskAsync(string service, string method, string target, string fields = "", string body = "")
        {
            var (client, server) = MemoryTransport.Pair();
            var origin = new ExchangeOrigin { Service = service, Scheme = "http", ClientAddress = "192.0.2.1" };
            var serving = new ServerConnection(server, origin, Context()).RunAsync();
            var length = body.Length > 0 && !fields.Contains("Transfer-Encoding", StringComparison.Ordinal) ? $"Content-Length: {body.Length}\r\n" : "";
            var head = $"{method} {target} HTTP/1.1\r\nHost: {service}.test\r\nConnection: close\r\n{fields}{length}\r\n";
            var waits = fields.Contains("Expect: 100-continue", StringComparison.Ordinal);
            await client.Output.WriteAsync(Encoding.Latin1.GetBytes(waits ? head : head + body));
            var answer = await RawHttp.ReadAsync(client) ?? new Asked("", "");
            if (waits && answer.FirstLine.Contains(" 100 ", StringComparison.Ordinal))
            {
                await client.Output.WriteAsync(Encoding.Latin1.GetBytes(body));
                answer = await RawHttp.ReadAsync(client) ?? new Asked("", "");
            }

            await client.DisposeAsync();
            await serving;
            return answer;
        }

        private ServerContext Context() =>
            new(_handler, _deadlines, new InterceptionCounters(), _all.Time, Name, Encoding.ASCII.GetBytes($"Cheops-Site: {Name}\r\n"), this);

        public ImmutableArray<SiteStatus> Sites =>
        [
            .. _all._sites.Keys.Select(site => new SiteStatus
            {
                Name = site,
                IsSelf = site == Name,
                State = _all.Down.Contains(site) ? SiteState.Down : SiteState.Up,
                SealingKey = _all.Unheard.Contains(site) ? "" : _sealingKey,
                HoldsReplicants = _all._sites[site].Replicator?.Replicants.Any == true,
                Services = _pools.Keys.ToImmutableDictionary(service => service, _ => ""),
            }),
        ];

        public Func<InboundStream, Task> StreamHandler
        {
            set => throw new NotSupportedException("streams go straight to the other handler");
        }

        /// <summary>Told of each stream that it opens: where to, and how.</summary>
        public Action<string, StreamOpening>? Opening { get; set; }

        public Channel OpenStream(string site, StreamOpening opening)
        {
            Opening?.Invoke(site, opening);
            if (_all.Down.Contains(site)) throw new LinkException(site, LinkError.SiteDown, $"{site} is down");
            var (ours, theirs) = MemoryTransport.Pair();
            var there = _all[site];
            var origin = new ExchangeOrigin { Service = opening.Service, Scheme = opening.Scheme, Link = new InboundStream(Name, opening, theirs) };
            _ = new ServerConnection(theirs, origin, there.Context()).RunAsync();
            return ours;
        }

        public Task<ServiceAnswer> CallAsync(ServiceRequest request, CancellationToken cancellation) =>
            Task.FromResult(new ServiceAnswer(201, """{"status":{"authenticated":true,"user":{"username":"dev","groups":["devs"]}}}"""u8.ToArray()));

        public void Failed(Exchange exchange)
        {
            // Whatever fails, whoever is told must be told where.
            if (exchange.Failure is not { Site.Length: > 0, Service.Length: > 0 }) Errors.Add(new InvalidOperationException($"a problem without its site or service: {exchange.Failure}"));
        }

        public void Unexpected(Exchange exchange, Exception error) => Errors.Add(error);

        public async ValueTask DisposeAsync()
        {
            if (Replicator is not null) await Replicator.DisposeAsync();
            foreach (var pool in _pools.Values) await pool.DisposeAsync();
            _deadlines.Dispose();
        }
    }
}

/// <summary>Reads messages off a channel in the plainest way, for both sides of a test.</summary>
internal static class RawHttp
{
    /// <summary>The next message, or its head with what has come by then; null at the end.</summary>
    public static async Task<Asked?> ReadAsync(Channel channel, bool headOnly = false)
    {
        var text = new StringBuilder();
        try
        {
            while (true)
            {
                var whole = text.ToString();
                var end = whole.IndexOf("\r\n\r\n", StringComparison.Ordinal);
                if (end >= 0)
                {
                    var asked = new Asked(whole[..end], whole[(end + 4)..]);
                    if (headOnly) return asked;
                    var length = asked.Field("Content-Length") is { } number ? int.Parse(number, CultureInfo.InvariantCulture) : 0;
                    var chunked = asked.Field("Transfer-Encoding") is not null;
                    if (chunked ? asked.Body.EndsWith("0\r\n\r\n", StringComparison.Ordinal) : asked.Body.Length >= length) return asked;
                }

                var read = await channel.Input.ReadAsync();
                foreach (var piece in read.Buffer) text.Append(Encoding.Latin1.GetString(piece.Span));
                channel.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted && read.Buffer.IsEmpty) return null;
            }
        }
        catch (IOException)
        {
            return null;
        }
    }
}
