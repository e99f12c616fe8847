using System.Text;
using Cheops.Tests.Fuzz.Wire;
using Cheops.Tests.Unit.Interception;

namespace Cheops.Tests.Unit.Conformance;

/// <summary>One end of a connection, with all that it ever received.</summary>
internal sealed class Heard(End end, bool isClient)
{
    private static readonly WireReader Reader = new(Habits.Strict);

    private readonly StringBuilder _text = new();
    private int _at;
    private bool _ended;
    private bool _reset;

    public End End => end;

    /// <summary>All that was received, a character a byte.</summary>
    public string Text => _text.ToString();

    /// <summary>What was received and not yet looked at.</summary>
    public string Rest => Text[_at..];

    /// <summary>Whether how much arrives after this is chance.</summary>
    public bool TakesAnything { get; set; }

    /// <summary>The methods of what was asked, in order; of a client.</summary>
    public List<string> Methods { get; } = [];

    /// <summary>Whether bytes passed that are no HTTP any more.</summary>
    public bool IsTunnel { get; private set; }

    private int Answered { get; set; }

    private string? Method => !isClient ? null : Answered < Methods.Count ? Methods[Answered] : "GET";

    /// <summary>The next message, whole; <paramref name="headOnly"/>: its head.</summary>
    public async Task<WireMessage> NextAsync(bool headOnly)
    {
        while (true)
        {
            var message = headOnly ? Reader.ReadHead(Text, ref _at, Method) : Reader.Read(Text, ref _at, Method, _ended && !_reset);
            if (message is not null)
            {
                if (message.Status is 0 or >= 200 or 101) Answered++;
                return message;
            }

            if (_ended) Assert.Fail($"the connection ended before a whole message: {Rest}");
            await FillAsync();
        }
    }

    /// <summary>Bytes behind a switch of protocols.</summary>
    public async Task<string> RawAsync(int count)
    {
        IsTunnel = true;
        while (_text.Length - _at < count && !_ended) await FillAsync();
        var taken = Rest[..Math.Min(count, Rest.Length)];
        _at += taken.Length;
        return taken;
    }

    /// <summary>Reads until the connection ends; says how it did.</summary>
    public async Task<string> EndingAsync()
    {
        while (!_ended) await FillAsync();
        if (!_reset) return "end";

        // What a reset cut off is no message, and how much of it arrived is chance.
        _at = _text.Length;
        return "reset";
    }

    /// <summary>Takes in what has arrived, without waiting.</summary>
    public void TakeArrived()
    {
        try
        {
            while (!_ended && end.Channel.Input.TryRead(out var read)) Take(read);
        }
        catch (IOException)
        {
            _ended = _reset = true;
        }
    }

    private async Task FillAsync()
    {
        try
        {
            Take(await end.Channel.Input.ReadAsync().AsTask().WaitAsync(Rig.Patience));
        }
        catch (IOException)
        {
            _ended = _reset = true;
        }
        catch (TimeoutException)
        {
            Assert.Fail($"awaited in vain; what there is: {Rest}");
        }
    }

    private void Take(System.IO.Pipelines.ReadResult read)
    {
        foreach (var piece in read.Buffer) _text.Append(Encoding.Latin1.GetString(piece.Span));
        end.Channel.Input.AdvanceTo(read.Buffer.End);
        if (read.IsCompleted) _ended = true;
    }
}
