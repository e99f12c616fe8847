namespace Cheops.Tests.Simulation.Linearizability;

/// <summary>One call of a client on a shared object.</summary>
/// <typeparam name="TInput">What it asks.</typeparam>
/// <typeparam name="TOutput">What it is answered.</typeparam>
/// <param name="Input">What was asked.</param>
/// <param name="Begun">When the call began.</param>
/// <param name="Output">What was answered; meaningless when nothing was.</param>
/// <param name="Ended">When it was answered; <see cref="long.MaxValue"/> when never: it may have taken effect at any time, or not at all.</param>
public sealed record Call<TInput, TOutput>(TInput Input, long Begun, TOutput Output, long Ended)
{
    /// <summary>Whether it was never answered.</summary>
    public bool IsOpen => Ended == long.MaxValue;
}

/// <summary>What an object does when only one call is made at a time.</summary>
/// <typeparam name="TState">Its state; equal states must be equal as values.</typeparam>
/// <typeparam name="TInput">What it is asked.</typeparam>
/// <typeparam name="TOutput">What it answers.</typeparam>
public interface ISequentialModel<TState, TInput, TOutput>
{
    /// <summary>The state it begins with.</summary>
    TState Initial { get; }

    /// <summary>What it answers in a state, and the state after that.</summary>
    (TOutput Output, TState Next) Step(TState state, TInput input);
}

/// <summary>A register: <c>null</c> reads, anything else writes; both answer the value that is there then.</summary>
public sealed class RegisterModel : ISequentialModel<string, string?, string>
{
    /// <inheritdoc/>
    public string Initial => "";

    /// <inheritdoc/>
    public (string Output, string Next) Step(string state, string? input) => input is null ? (state, state) : (input, input);
}

/// <summary>
/// A log, of which it is only asked how long it is: <c>true</c> adds an entry and answers its place, <c>false</c> answers how many
/// there are. What stands at a place <see cref="LogJudge"/> compares.
/// </summary>
/// <param name="length">How long it is in the beginning.</param>
public sealed class LogModel(int length) : ISequentialModel<int, bool, int>
{
    /// <inheritdoc/>
    public int Initial => length;

    /// <inheritdoc/>
    public (int Output, int Next) Step(int state, bool input) => (state, input ? state + 1 : state);
}
