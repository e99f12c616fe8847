using System.Collections.Immutable;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Api;

/// <summary>A part of the API that may wait, or change something.</summary>
public interface IApiSection
{
    /// <summary>The paths at which it answers, for people; what follows one of them after a slash is its too.</summary>
    ImmutableArray<string> Paths { get; }

    /// <summary>Answers one request.</summary>
    ValueTask<ApiAnswer> AnswerAsync(ApiRequest request);
}

/// <summary>A request to the API.</summary>
/// <param name="Method">The method.</param>
/// <param name="Path">The path.</param>
/// <param name="Query">The query's values, decoded.</param>
/// <param name="MayChange">Whether the client is on this machine: only then may anything be changed.</param>
public sealed record ApiRequest(HttpMethod Method, string Path, ImmutableDictionary<string, string> Query, bool MayChange);
