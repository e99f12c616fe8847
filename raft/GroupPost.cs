using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Cheops.Proto;
using Cheops.Raft.Protocol;

namespace Cheops.Raft;

/// <summary>
/// Questions and answers over the transport: cuts what is too large for one frame, puts it together again, and finds for
/// each answer who asked. What cannot be understood is counted and dropped.
/// </summary>
internal sealed class GroupPost : IDisposable
{
    private readonly IGroupTransport _transport;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<ulong, Question> _questions = new();
    private readonly ConcurrentDictionary<string, FragmentAssembly> _assemblies = new(StringComparer.Ordinal);
    private long _number;
    private long _dropped;
    private long _sent;

    /// <summary>Begins to take messages.</summary>
    /// <param name="transport">What carries them.</param>
    /// <param name="time">The clock of the timeouts.</param>
    /// <param name="seed">Where the numbers of the questions begin: so that no answer to a former process is taken for one.</param>
    public GroupPost(IGroupTransport transport, TimeProvider time, ulong seed)
    {
        (_transport, _time, _number) = (transport, time, (long)(seed >> 2));
        Incarnation = Incarnation.Of(transport.Incarnation);
    }

    /// <summary>This site's incarnation.</summary>
    public Incarnation Incarnation { get; }

    /// <summary>Takes what is no answer, and has a body of its own.</summary>
    public Action<string, GroupMessage>? Asked { get; set; }

    /// <summary>Messages that were not understood.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <summary>Messages sent.</summary>
    public long Sent => Volatile.Read(ref _sent);

    /// <summary>Whether the mesh knows a site as there.</summary>
    public bool IsUp(string site) => _transport.Peer(site) is { IsUp: true };

    /// <summary>Asks, and waits for the answer.</summary>
    /// <param name="site">Whom.</param>
    /// <param name="frame">The question; its number and incarnation are set here.</param>
    /// <param name="body">Its body.</param>
    /// <param name="timeout">How long to wait.</param>
    /// <param name="cancellation">Cancels the waiting.</param>
    /// <exception cref="IOException">The question was not sent.</exception>
    /// <exception cref="TimeoutException">No answer came: whether it arrived is not known.</exception>
    public async Task<GroupMessage> AskAsync(
        string site, GroupFrame frame, ReadOnlyMemory<byte> body, TimeSpan timeout, CancellationToken cancellation = default)
    {
        var number = (ulong)Interlocked.Increment(ref _number);
        var question = new Question(site);
        _questions[number] = question;
        try
        {
            await SendAsync(site, frame with { Request = number }, body, timeout);
            return await question.Answer.Task.WaitAsync(timeout, _time, cancellation);
        }
        finally
        {
            _questions.TryRemove(number, out _);
        }
    }

    /// <summary>Answers a question; that it cannot be sent is the same as that it is lost.</summary>
    public async ValueTask AnswerAsync(
        string site, GroupFrame question, GroupFrame answer, ReadOnlyMemory<byte> body = default, TimeSpan? timeToLive = null)
    {
        if (question.Request == 0) return;
        try
        {
            await SendAsync(site, answer with { Request = question.Request }, body, timeToLive ?? TimeSpan.FromSeconds(10));
        }
        catch (IOException)
        {
            // The asker's time passes.
        }
    }

    /// <summary>Sends a message that wants no answer.</summary>
    /// <exception cref="IOException">It was not sent.</exception>
    public async ValueTask SendAsync(string site, GroupFrame frame, ReadOnlyMemory<byte> body, TimeSpan timeToLive)
    {
        var size = GroupFrame.HeaderSize + body.Length;
        if (size > Bounds.GroupMessageSizeMax) throw new IOException($"a message of {size} bytes is larger than one may be");
        var message = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            (frame with { Incarnation = Incarnation }).Write(message);
            body.Span.CopyTo(message.AsSpan(GroupFrame.HeaderSize));
            Interlocked.Increment(ref _sent);
            if (size <= Bounds.FramePayloadSizeMax) await _transport.SendAsync(site, message.AsMemory(0, size), timeToLive);
            else await SendFragmentsAsync(site, message.AsMemory(0, size), timeToLive);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(message);
        }
    }

    /// <summary>Takes a message as it arrived.</summary>
    public void Take(string site, ReadOnlySpan<byte> message)
    {
        if (!TryRead(message, out var frame))
        {
            return;
        }

        var body = message[GroupFrame.HeaderSize..];
        switch (frame.Kind)
        {
            case GroupFrameKind.Fragment:
                TakeFragment(site, frame, body);
                break;
            case GroupFrameKind.Reply or GroupFrameKind.Refused:
                TakeAnswer(site, new GroupMessage(frame, body.ToArray()));
                break;
            default:
                Asked?.Invoke(site, new GroupMessage(frame, body.ToArray()));
                break;
        }
    }

    /// <summary>Ends all waiting for a site that is not there any more: what it was asked may have arrived.</summary>
    public void GiveUp(string site)
    {
        foreach (var question in _questions.Values)
        {
            if (string.Equals(question.Site, site, StringComparison.Ordinal)) question.Answer.TrySetException(new TimeoutException($"{site} is not there any more"));
        }
    }

    /// <summary>Ends all waiting.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "There is no finalizer.")]
    public void Dispose()
    {
        foreach (var question in _questions.Values) question.Answer.TrySetException(new IOException("the host of the groups is closing"));
    }

    private bool TryRead(ReadOnlySpan<byte> message, out GroupFrame frame)
    {
        if (GroupFrame.Read(message, out frame) == GroupFrameStatus.Understood) return true;
        Interlocked.Increment(ref _dropped);
        return false;
    }

    private void TakeAnswer(string site, GroupMessage answer)
    {
        if (_questions.TryGetValue(answer.Frame.Request, out var question) && string.Equals(question.Site, site, StringComparison.Ordinal))
            question.Answer.TrySetResult(answer);
    }

    private void TakeFragment(string site, in GroupFrame frame, ReadOnlySpan<byte> piece)
    {
        var assembly = _assemblies.GetOrAdd(site, _ => new FragmentAssembly());
        byte[]? whole;
        lock (assembly) whole = assembly.Take(frame, piece);
        if (whole is null || !TryRead(whole, out var inner)) return;
        var message = new GroupMessage(inner, whole.AsMemory(GroupFrame.HeaderSize));
        if (inner.Kind is GroupFrameKind.Reply or GroupFrameKind.Refused) TakeAnswer(site, message);
        else if (inner.Kind != GroupFrameKind.Fragment) Asked?.Invoke(site, message);
    }

    private async ValueTask SendFragmentsAsync(string site, ReadOnlyMemory<byte> message, TimeSpan timeToLive)
    {
        var number = Interlocked.Increment(ref _number);
        var buffer = ArrayPool<byte>.Shared.Rent(Bounds.FramePayloadSizeMax);
        try
        {
            for (var i = 0; i < FragmentAssembly.CountOf(message.Length); i++)
            {
                var piece = message.Slice(i * FragmentAssembly.PieceSize);
                if (piece.Length > FragmentAssembly.PieceSize) piece = piece[..FragmentAssembly.PieceSize];
                new GroupFrame { Kind = GroupFrameKind.Fragment, Incarnation = Incarnation, A = number, B = i, C = message.Length }.Write(buffer);
                piece.Span.CopyTo(buffer.AsSpan(GroupFrame.HeaderSize));
                await _transport.SendAsync(site, buffer.AsMemory(0, GroupFrame.HeaderSize + piece.Length), timeToLive);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private sealed class Question(string site)
    {
        public string Site { get; } = site;

        public TaskCompletionSource<GroupMessage> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
