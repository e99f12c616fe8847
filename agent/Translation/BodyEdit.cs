using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using Cheops.Proto;

namespace Cheops.Agent.Translation;

/// <summary>
/// Changes fields of a JSON body as it streams by, from any split of its bytes, in constant memory; byte for byte otherwise,
/// except that of white space before a removed member's neighbour at most <see cref="Bounds.JsonSpaceKeptMax"/> bytes stay.
/// Malformed JSON passes as it is from there on. For one body.
/// </summary>
public sealed class BodyEdit
{
    private readonly BodyChanges _changes;
    private readonly JsonTokenizer _tokens = new();
    private readonly JsonPlaces<EditPlace> _places;

    // A comma, and the space after it, of which it is not known yet whether something follows that stays.
    private readonly ArrayBufferWriter<byte> _comma = new(64);
    private bool _dropsSpace;

    // A member's name, with the colon and space after it, of which the value tells whether it stays.
    private readonly ArrayBufferWriter<byte> _name = new(64);

    // The depth at which a value is passed over, that of what contains it; below zero for none.
    private int _passedOver = -1;

    // Of each open object or list, whether anything in it was kept, and whether the way to the field to set was met.
    private readonly Stack<(bool Kept, bool Met)> _inside = [];

    /// <summary>An edit of one body.</summary>
    public BodyEdit(BodyChanges changes)
    {
        _changes = changes;
        _places = new JsonPlaces<EditPlace>(_tokens, changes.Root);
    }

    /// <summary>Takes the next piece of the body.</summary>
    public void Feed(ReadOnlySpan<byte> input, IBufferWriter<byte> output)
    {
        var (at, done) = (0, 0);
        while (true)
        {
            var token = _tokens.Next(input, ref at);
            Space(input[done..token.Start], output);
            if (token.Kind == JsonTokenKind.Malformed)
            {
                FlushName(output);
                output.Write(token.IsHeld ? token.Bytes : []);
                output.Write(input[(token.IsHeld ? token.End : token.Start)..]);
                return;
            }

            if (token.Kind == JsonTokenKind.None) return;
            done = token.End;
            Take(token, output);
        }
    }

    /// <summary>Ends the body: what was held goes out as it is.</summary>
    public void Complete(IBufferWriter<byte> output)
    {
        FlushName(output);
        if (_passedOver < 0) output.Write(_tokens.Held);
    }

    private void Space(ReadOnlySpan<byte> space, IBufferWriter<byte> output)
    {
        // Also the rest of a long token, which is no space.
        if (space.IsEmpty || _passedOver >= 0 || _dropsSpace) return;
        var held = _name.WrittenCount > 0 ? _name : _comma;
        if (held.WrittenCount == 0) output.Write(space);
        else held.Write(space[..Math.Min(space.Length, Math.Max(0, Bounds.JsonSpaceKeptMax - held.WrittenCount))]);
    }

    private void Take(in JsonToken token, IBufferWriter<byte> output)
    {
        if (_passedOver >= 0)
        {
            PassOver(token.Kind);
            return;
        }

        _dropsSpace = false;
        switch (token.Kind)
        {
            case JsonTokenKind.Name or JsonTokenKind.LongName:
                TakeName(token, output);
                break;
            case JsonTokenKind.Comma when _places.Around?.Known.RemovesInside == true:
                // Instead of the comma before a member that goes, the one after it goes where it was the first.
                if (_inside.Peek().Kept) _comma.Write(","u8);
                else _dropsSpace = true;
                break;
            case JsonTokenKind.EndObject or JsonTokenKind.EndArray:
                TakeEnd(token, output);
                break;
            case JsonTokenKind.Colon when _name.WrittenCount > 0:
                _name.Write(token.Bytes);
                break;
            case JsonTokenKind.Colon or JsonTokenKind.Comma:
                output.Write(token.Bytes);
                break;
            default:
                TakeValue(token, output);
                break;
        }
    }

    private void PassOver(JsonTokenKind kind)
    {
        var ends = kind is JsonTokenKind.String or JsonTokenKind.Number or JsonTokenKind.Literal or JsonTokenKind.LongValue or JsonTokenKind.EndObject or JsonTokenKind.EndArray;
        if (ends && _tokens.Depth == _passedOver) PassedOver(kind);
    }

    private void PassedOver(JsonTokenKind kind)
    {
        _passedOver = -1;

        // The rest of a long value comes like the space before the next token.
        _dropsSpace = kind == JsonTokenKind.LongValue;
    }

    private void TakeName(in JsonToken token, IBufferWriter<byte> output)
    {
        var place = token.Kind == JsonTokenKind.Name ? _places.Name(token.Bytes) : null;
        if (token.Kind == JsonTokenKind.LongName) _places.Member(null);
        if (place?.Known.IsRemoved == true)
        {
            if (place.Known.Kept is not null)
            {
                _name.Write(token.Bytes);
                return;
            }

            _comma.ResetWrittenCount();
            _passedOver = _tokens.Depth;
            return;
        }

        Keep(output, met: place is { Known: { Value: not null } or { Missing.IsEmpty: false } });
        output.Write(token.Bytes);
    }

    private void TakeValue(in JsonToken token, IBufferWriter<byte> output)
    {
        var opens = token.Kind is JsonTokenKind.StartObject or JsonTokenKind.StartArray;
        var place = opens ? _places.OfOpened : _places.OfValue;
        if (_name.WrittenCount > 0)
        {
            TakeValueOfName(token, place!.Known.Kept!, opens, output);
            return;
        }

        if (place?.Known.IsRemoved == true && _tokens.IsArray(opens ? _tokens.Depth - 1 : _tokens.Depth))
        {
            _comma.ResetWrittenCount();
            Replaced(token.Kind, opens);
            return;
        }

        Keep(output, met: false);
        if (place?.Known.Value is { } value)
        {
            output.Write(value.Span);
            Replaced(token.Kind, opens);
            return;
        }

        output.Write(token.Bytes);
        if (!opens) return;
        _places.Enter(place);
        _inside.Push((false, false));
    }

    private void TakeValueOfName(in JsonToken token, byte[] kept, bool opens, IBufferWriter<byte> output)
    {
        if (token.Kind == JsonTokenKind.String && _places.TryUnescape(token.Bytes, out var text) && text.SequenceEqual(kept))
        {
            Keep(output, met: false);
            FlushName(output);
            output.Write(token.Bytes);
            return;
        }

        _comma.ResetWrittenCount();
        _name.ResetWrittenCount();
        Replaced(token.Kind, opens);
    }

    // What stood here does not go out: neither what is inside it, nor what of it is still to come.
    private void Replaced(JsonTokenKind kind, bool opens)
    {
        if (opens) _passedOver = _tokens.Depth - 1;
        else PassedOver(kind);
    }

    private void TakeEnd(in JsonToken token, IBufferWriter<byte> output)
    {
        var (kept, met) = _inside.Pop();
        var missing = token.Kind == JsonTokenKind.EndObject && !met ? _places.JustLeft?.Known.Missing ?? [] : [];
        if (!missing.IsEmpty) Insert(missing, kept, output);
        output.Write(token.Bytes);
    }

    private void Insert(ImmutableArray<string> missing, bool afterOthers, IBufferWriter<byte> output)
    {
        if (afterOthers) output.Write(","u8);
        for (var i = 0; i < missing.Length; i++)
        {
            if (i > 0) output.Write("{"u8);
            JsonText.Write(Encoding.UTF8.GetBytes(missing[i]), output);
            output.Write(":"u8);
        }

        output.Write(_changes.Value.Span);
        for (var i = 1; i < missing.Length; i++) output.Write("}"u8);
    }

    private void Keep(IBufferWriter<byte> output, bool met)
    {
        Flush(output);
        if (!_inside.TryPop(out var inside)) return;
        _inside.Push((true, inside.Met || met));
    }

    private void FlushName(IBufferWriter<byte> output)
    {
        Flush(output);
        output.Write(_name.WrittenSpan);
        _name.ResetWrittenCount();
    }

    private void Flush(IBufferWriter<byte> output)
    {
        output.Write(_comma.WrittenSpan);
        _comma.ResetWrittenCount();
    }
}
