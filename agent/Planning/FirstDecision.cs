namespace Cheops.Agent.Planning;

/// <summary>What came of trying one location.</summary>
public enum AttemptKind
{
    /// <summary>Surely not executed: not connected, known as down, refused by the other agent before the request was sent on.</summary>
    NotReached,
    /// <summary>The application answered.</summary>
    Answered,
    /// <summary>The request was sent, and no answer came: it may have been executed.</summary>
    Lost,
}

/// <summary>What came of trying one location, with the application's status if it answered.</summary>
/// <param name="Kind">What came of it.</param>
/// <param name="Status">The final status, 100 to 599; 0 unless <see cref="AttemptKind.Answered"/>.</param>
public readonly record struct AttemptOutcome(AttemptKind Kind, int Status = 0)
{
    /// <summary>Surely not executed.</summary>
    public static AttemptOutcome NotReached => new(AttemptKind.NotReached);

    /// <summary>Sent, and never answered.</summary>
    public static AttemptOutcome Lost => new(AttemptKind.Lost);

    /// <summary>The application answered.</summary>
    public static AttemptOutcome Answered(int status) => new(AttemptKind.Answered, status);
}

/// <summary>What an executor does next.</summary>
public enum FirstAction
{
    /// <summary>Try the location at <see cref="FirstStep.Index"/>.</summary>
    TryNext,
    /// <summary>Give the client the application's answer from the location at <see cref="FirstStep.Index"/>.</summary>
    Answer,
    /// <summary>No location was reached: 503.</summary>
    NothingReached,
    /// <summary>No application answered, and at least one may have executed the request: 502.</summary>
    AnswerLost,
}

/// <summary>One decision of <see cref="FirstDecision"/>.</summary>
/// <param name="Action">What to do.</param>
/// <param name="Index">The location it is about, from 0; -1 for none.</param>
/// <param name="RetrySafe">Whether the request surely was executed nowhere so far; what Cheops' own error tells the client.</param>
public readonly record struct FirstStep(FirstAction Action, int Index, bool RetrySafe);

/// <summary>
/// Decides when <em>otherwise</em> goes on to the next location (DESIGN.md section 3): whenever the one before surely
/// left nothing behind. That is when it was not reached or the application refused (4xx), and for idempotent methods
/// (RFC 9110 section 9.2.2) also after 5xx and lost answers. A 5xx or a lost answer to any other method ends it. When
/// all fail, the first answer that an application gave stands. Not thread-safe: one per request.
/// </summary>
public sealed class FirstDecision
{
    private readonly bool _idempotent;
    private readonly int _count;
    private int _tried;
    private bool _retrySafe = true;

    /// <summary>A decision over some locations, of which the first is being tried.</summary>
    /// <param name="idempotent">Whether the request's method is idempotent.</param>
    /// <param name="count">How many locations there are, at least one.</param>
    public FirstDecision(bool idempotent, int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        (_idempotent, _count) = (idempotent, count);
    }

    /// <summary>The location whose answer is to be kept while others are tried, from 0; null while there is none.</summary>
    public int? KeptAnswer { get; private set; }

    /// <summary>Decides after the location that was tried last.</summary>
    /// <exception cref="InvalidOperationException">It was over already.</exception>
    public FirstStep Next(AttemptOutcome outcome)
    {
        if (_tried >= _count)
            throw new InvalidOperationException("Every location was tried.");
        var index = _tried++;
        if (outcome.Kind == AttemptKind.Answered)
            KeptAnswer ??= index;

        if (!LeftNothingBehind(outcome))
            _retrySafe = false;
        if (IsFinal(outcome))
            return End(outcome.Kind == AttemptKind.Answered ? index : null);
        return _tried < _count ? new FirstStep(FirstAction.TryNext, _tried, _retrySafe) : End(KeptAnswer);
    }

    private bool IsFinal(AttemptOutcome outcome) => outcome.Kind switch
    {
        AttemptKind.NotReached => false,
        AttemptKind.Lost => !_idempotent,
        _ => outcome.Status < 400 || (outcome.Status >= 500 && !_idempotent),
    };

    private static bool LeftNothingBehind(AttemptOutcome outcome) =>
        outcome.Kind == AttemptKind.NotReached || outcome is { Kind: AttemptKind.Answered, Status: >= 400 and < 500 };

    private FirstStep End(int? answer)
    {
        _tried = _count;
        if (answer is { } index)
            return new FirstStep(FirstAction.Answer, index, _retrySafe);
        return new FirstStep(_retrySafe ? FirstAction.NothingReached : FirstAction.AnswerLost, -1, _retrySafe);
    }
}
