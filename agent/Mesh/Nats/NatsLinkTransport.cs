using System.Globalization;
using System.Threading.Channels;
using Cheops.Agent.Mesh.Protocol;
using Cheops.Proto;
using NATS.Client.Core;

namespace Cheops.Agent.Mesh.Nats;

/// <summary>Where and how a lane's connection signs in at the local nats-server.</summary>
/// <param name="Url">The server.</param>
/// <param name="User">The user; empty to use what <paramref name="Url"/> says.</param>
/// <param name="Password">The password.</param>
internal sealed record NatsSignIn(string Url, string User, string Password);

/// <summary>
/// A link over NATS: one connection to the local server for each lane, each in the account of this pair of sites.
/// </summary>
internal sealed class NatsLinkTransport : ILinkTransport, IAsyncDisposable
{
    private readonly string _self;
    private readonly string _peer;
    private readonly Func<bool, NatsSignIn> _signIn;
    private readonly TimeProvider _time;
    private readonly NatsConnection[] _connections = new NatsConnection[2];
    private readonly CancellationTokenSource _stopping = new();
    private Task _receiving = Task.CompletedTask;

    /// <summary>Prepares the link.</summary>
    /// <param name="self">This site.</param>
    /// <param name="peer">The other site.</param>
    /// <param name="signIn">How to sign in, for bulk or control.</param>
    /// <param name="time">The clock.</param>
    public NatsLinkTransport(string self, string peer, Func<bool, NatsSignIn> signIn, TimeProvider time)
    {
        _self = self;
        _peer = peer;
        _signIn = signIn;
        _time = time;
    }

    public void Start(Action<LinkLane, ReadOnlyMemory<byte>> receive, Action<ulong> undeliverable)
    {
        foreach (var lane in (ReadOnlySpan<LinkLane>)[LinkLane.Control, LinkLane.Bulk])
            _connections[(int)lane] = new NatsConnection(Options(lane));
        _receiving = Task.WhenAll(
            ReceiveAsync(LinkLane.Control, receive),
            ReceiveAsync(LinkLane.Bulk, receive),
            WatchUndeliverableAsync(undeliverable));
    }

    private NatsOpts Options(LinkLane lane)
    {
        var signIn = _signIn(lane == LinkLane.Bulk);
        return NatsOpts.Default with
        {
            Url = signIn.Url,
            AuthOpts = signIn.User.Length > 0 ? new NatsAuthOpts { Username = signIn.User, Password = signIn.Password } : NatsAuthOpts.Default,
            Name = $"cheops {_self} to {_peer} {lane}",
            SerializerRegistry = RawRegistry.Instance,
            IgnoreAuthErrorAbort = true,
            MaxReconnectRetry = -1,
            ReconnectWaitMin = TimeSpan.FromMilliseconds(100),
            ReconnectWaitMax = TimeSpan.FromMilliseconds(500),
            ReconnectJitter = TimeSpan.FromMilliseconds(50),
            WriterBufferSize = Bounds.FramePayloadSizeMax + 4096,
            ReaderBufferSize = 64 * 1024,

            // A dropped message would be a lost frame: the connection waits instead.
            SubPendingChannelCapacity = Bounds.LinkReceiveQueueMax,
            SubPendingChannelFullMode = BoundedChannelFullMode.Wait,
        };
    }

    private async Task ReceiveAsync(LinkLane lane, Action<LinkLane, ReadOnlyMemory<byte>> receive)
    {
        var connection = _connections[(int)lane];
        await KeepAsync(connection, async () =>
        {
            await foreach (var message in connection.SubscribeAsync<NatsMemoryOwner<byte>>(NatsNames.Inbox(_self), cancellationToken: _stopping.Token))
            {
                using var data = message.Data;
                receive(lane, data.Memory);
            }
        });
    }

    private string UndeliverableSubject => "nobody." + _self;

    // The server answers "no responders" to the reply subject of a message that nobody is there to receive.
    private async Task WatchUndeliverableAsync(Action<ulong> undeliverable)
    {
        var connection = _connections[(int)LinkLane.Control];
        await KeepAsync(connection, async () =>
        {
            await foreach (var message in connection.SubscribeAsync<NatsMemoryOwner<byte>>(UndeliverableSubject + ".*", cancellationToken: _stopping.Token))
            {
                message.Data.Dispose();
                if (message.HasNoResponders
                    && ulong.TryParse(message.Subject.AsSpan(UndeliverableSubject.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var token))
                    undeliverable(token);
            }
        });
    }

    // A subscription lives through reconnections; what ends it all the same must not end the link for good.
    private async Task KeepAsync(NatsConnection connection, Func<Task> subscribe)
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await connection.ConnectAsync();
                await subscribe();
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is NatsException or OperationCanceledException or ObjectDisposedException or IOException)
            {
                if (_stopping.IsCancellationRequested) return;
                await Task.Delay(TimeSpan.FromMilliseconds(Bounds.NatsRestartPauseMinMs), _time);
            }
        }
    }

    public async ValueTask SendAsync(LinkLane lane, ReadOnlyMemory<byte> message, ulong token, CancellationToken cancellation)
    {
        var connection = _connections[(int)lane];

        // With the server gone a publish would hang, and be sent long after: refuse it now.
        if (connection is not { ConnectionState: NatsConnectionState.Open }) throw new IOException("the local nats-server is not connected");
        var replyTo = token == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"{UndeliverableSubject}.{token}");
        try
        {
            var sending = connection.PublishAsync(NatsNames.Inbox(_peer), message, replyTo: replyTo, cancellationToken: cancellation);
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
        foreach (var connection in _connections)
        {
            if (connection is not null) await connection.DisposeAsync();
        }

        await _receiving;
        _stopping.Dispose();
    }

    private sealed class RawRegistry : INatsSerializerRegistry
    {
        public static RawRegistry Instance { get; } = new();

        public INatsSerialize<T> GetSerializer<T>() => NatsRawSerializer<T>.Default;

        public INatsDeserialize<T> GetDeserializer<T>() => NatsRawSerializer<T>.Default;
    }
}
