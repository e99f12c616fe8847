using System.Globalization;
using Cheops.Agent.Mesh.Protocol;
using Cheops.Proto;
using NATS.Client.Core;

namespace Cheops.Agent.Mesh.Nats;

/// <summary>Where and how a lane's connection signs in at the local nats-server.</summary>
/// <param name="Url">The server.</param>
/// <param name="User">The user.</param>
/// <param name="Password">The password.</param>
internal sealed record NatsSignIn(string Url, string User, string Password);

/// <summary>
/// A link over NATS: one connection to the local server for each lane, each in an account of this pair of sites alone.
/// </summary>
internal sealed class NatsLinkTransport : ILinkTransport, IAsyncDisposable
{
    private readonly string _self;
    private readonly string _peer;
    private readonly Func<bool, NatsSignIn> _signIn;
    private readonly TimeProvider _time;
    private readonly NatsConnection?[] _connections = new NatsConnection?[2];
    private readonly CancellationTokenSource _stopping = new();
    private readonly string _nobody;

    // The connection holds its subscriptions weakly: without this they would fall silent at the next collection.
    private readonly List<NatsSubscription>[] _subscriptions = [[], []];
    private volatile bool _peerSharesBulk;
    private Task _subscribing = Task.CompletedTask;

    /// <summary>Prepares the link.</summary>
    /// <param name="self">This site.</param>
    /// <param name="peer">The other site.</param>
    /// <param name="sharesBulk">Whether this site has one link to it for both lanes.</param>
    /// <param name="signIn">How to sign in now, for bulk or control.</param>
    /// <param name="time">The clock.</param>
    public NatsLinkTransport(string self, string peer, bool sharesBulk, Func<bool, NatsSignIn> signIn, TimeProvider time)
    {
        _self = self;
        _peer = peer;
        _signIn = signIn;
        _time = time;
        _nobody = "nobody." + self;
        SharesBulk = sharesBulk;
    }

    /// <inheritdoc/>
    public bool SharesBulk { get; }

    /// <inheritdoc/>
    public bool PeerSharesBulk
    {
        set => _peerSharesBulk = value;
    }

    /// <inheritdoc/>
    public void Start(Action<LinkLane, ReadOnlyMemory<byte>> receive, Action<ulong> undeliverable)
    {
        // With shared links bulk arrives in the control account: from a peer that shares, or because this site does.
        _subscribing = Task.WhenAll(
            ConnectAsync(
                LinkLane.Control,
                connection => Received(connection, LinkLane.Control, receive),
                connection => Nobody(connection, undeliverable),
                connection => SharesBulk ? null : Received(connection, LinkLane.Bulk, receive)),
            ConnectAsync(
                LinkLane.Bulk,
                connection => Received(connection, LinkLane.Bulk, receive),
                connection => SharesBulk ? null : Nobody(connection, undeliverable)));
    }

    private NatsSubscription Received(NatsConnection connection, LinkLane lane, Action<LinkLane, ReadOnlyMemory<byte>> receive) =>
        new(connection, NatsNames.Inbox(_self, lane == LinkLane.Bulk), (_, _, payload) => receive(lane, payload));

    // The server answers "no responders" to the reply subject of a message that nobody is there to receive.
    private NatsSubscription Nobody(NatsConnection connection, Action<ulong> undeliverable) =>
        new(connection, _nobody + ".*", (subject, noResponders, _) =>
        {
            if (noResponders && ulong.TryParse(subject.AsSpan(_nobody.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var token))
                undeliverable(token);
        });

    // Subscriptions live through reconnections; until the first connection stands, the server is tried again and again.
    private async Task ConnectAsync(LinkLane lane, params Func<NatsConnection, NatsSubscription?>[] subscriptions)
    {
        var connection = new NatsConnection(Options(lane));
        connection.OnConnectingAsync = _ => ValueTask.FromResult(CurrentAddress(lane));
        var made = 0;
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await connection.ConnectAsync();
                for (; made < subscriptions.Length; made++)
                {
                    if (subscriptions[made](connection) is not { } subscription) continue;
                    await connection.AddSubAsync(subscription, _stopping.Token);
                    _subscriptions[(int)lane].Add(subscription);
                }

                Volatile.Write(ref _connections[(int)lane], connection);
                if (_stopping.IsCancellationRequested) break;
                return;
            }
            catch (Exception e) when (e is NatsException or OperationCanceledException or ObjectDisposedException or IOException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(Bounds.NatsRestartPauseMinMs), _time);
            }
        }

        await connection.DisposeAsync();
    }

    // The server may come back at another port.
    private (string, int) CurrentAddress(LinkLane lane)
    {
        var url = new Uri(_signIn(lane == LinkLane.Bulk).Url);
        return (url.Host, url.Port);
    }

    private NatsOpts Options(LinkLane lane)
    {
        var signIn = _signIn(lane == LinkLane.Bulk && !SharesBulk);
        return NatsOpts.Default with
        {
            Url = signIn.Url,
            AuthOpts = new NatsAuthOpts { Username = signIn.User, Password = signIn.Password },
            Name = $"cheops {_self} to {_peer} {lane}",
            SerializerRegistry = RawRegistry.Instance,
            IgnoreAuthErrorAbort = true,
            MaxReconnectRetry = -1,
            ReconnectWaitMin = TimeSpan.FromMilliseconds(50),
            ReconnectWaitMax = TimeSpan.FromMilliseconds(500),
            ReconnectJitter = TimeSpan.FromMilliseconds(50),
            WriterBufferSize = Bounds.FramePayloadSizeMax + 4096,
            ReaderBufferSize = 64 * 1024,
        };
    }

    /// <inheritdoc/>
    public async ValueTask SendAsync(LinkLane lane, ReadOnlyMemory<byte> message, ulong token, CancellationToken cancellation)
    {
        var connection = Volatile.Read(ref _connections[(int)(lane == LinkLane.Bulk && _peerSharesBulk ? LinkLane.Control : lane)]);

        // With the server gone a publish would hang, and be sent long after: refuse it now.
        if (connection is not { ConnectionState: NatsConnectionState.Open }) throw new NotSentException("the local nats-server is not connected");
        var replyTo = token == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"{_nobody}.{token}");
        try
        {
            var sending = connection.PublishAsync(NatsNames.Inbox(_peer, lane == LinkLane.Bulk), message, replyTo: replyTo, cancellationToken: cancellation);
            if (sending.IsCompletedSuccessfully) return;
            await sending.AsTask().WaitAsync(TimeSpan.FromMilliseconds(Bounds.LinkSendTimeMaxMs), _time, cancellation);
        }
        catch (Exception e) when (e is NatsException or TimeoutException or ObjectDisposedException or OperationCanceledException)
        {
            throw new IOException($"the local nats-server did not take a message: {e.Message}", e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _subscribing;
        foreach (var connection in _connections)
        {
            if (connection is not null) await connection.DisposeAsync();
        }

        _stopping.Dispose();
    }

    private sealed class RawRegistry : INatsSerializerRegistry
    {
        public static RawRegistry Instance { get; } = new();

        public INatsSerialize<T> GetSerializer<T>() => NatsRawSerializer<T>.Default;

        public INatsDeserialize<T> GetDeserializer<T>() => NatsRawSerializer<T>.Default;
    }
}
