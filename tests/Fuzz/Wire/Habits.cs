namespace Cheops.Tests.Fuzz.Wire;

/// <summary>
/// The ways in which HTTP readers in use differ from each other, each known from a published hole. A message that all of
/// them understand alike cannot be used to smuggle another past one of them.
/// </summary>
/// <param name="Name">What the reader is known by in a failure.</param>
public sealed record Habits(string Name)
{
    /// <summary>A line may end in a line feed alone (RFC 9112 2.2 allows it; CVE-2025-22871).</summary>
    public bool EndsLinesAtLineFeed { get; init; }

    /// <summary>A line ends at a carriage return, whatever follows (CVE-2023-30589).</summary>
    public bool EndsLinesAtCarriageReturn { get; init; }

    /// <summary>Content-Length counts where both it and Transfer-Encoding stand (TE.CL).</summary>
    public bool PrefersLength { get; init; }

    /// <summary>Transfer-Encoding is not known at all (HTTP/1.0 servers).</summary>
    public bool KnowsNoCodings { get; init; }

    /// <summary>Any Transfer-Encoding that has <c>chunked</c> somewhere in it is chunked (TE.TE).</summary>
    public bool FindsChunkedAnywhere { get; init; }

    /// <summary>The last of several lengths counts, not the first (CVE-2023-40225 among others).</summary>
    public bool TakesLastLength { get; init; }

    /// <summary>White space around a name, and before its colon, is taken away (CVE-2019-16276, CVE-2024-27982).</summary>
    public bool TrimsNames { get; init; }

    /// <summary>A line that begins with white space goes on with the line before (RFC 9112 5.2; CVE-2025-32094).</summary>
    public bool JoinsFoldedLines { get; init; }

    /// <summary><c>_</c> in a name is <c>-</c> (CGI, WSGI, Rack).</summary>
    public bool ReadsUnderscoresAsDashes { get; init; }

    /// <summary>A chunk's size is what its line begins with; the rest of the line, up to any line feed, is skipped (CVE-2025-55315).</summary>
    public bool SkipsExtensions { get; init; }

    /// <summary>Two bytes after a chunk's data are skipped unseen (CVE-2025-47905).</summary>
    public bool SkipsChunkEnds { get; init; }

    /// <summary>A field whose name is empty ends the head (CVE-2023-25725).</summary>
    public bool EndsHeadAtEmptyName { get; init; }

    /// <summary>The reader that takes nothing but what the grammars of RFC 9112 say.</summary>
    public static readonly Habits Strict = new("strict");

    /// <summary>Readers with one habit each, and some with several that are found together.</summary>
    public static readonly Habits[] Lenient =
    [
        new("ends lines at line feeds") { EndsLinesAtLineFeed = true },
        new("ends lines at carriage returns") { EndsLinesAtLineFeed = true, EndsLinesAtCarriageReturn = true },
        new("prefers lengths") { PrefersLength = true },
        new("finds chunked anywhere") { FindsChunkedAnywhere = true },
        new("takes the last length") { TakesLastLength = true, PrefersLength = true },
        new("trims names") { TrimsNames = true, FindsChunkedAnywhere = true },
        new("joins folded lines") { JoinsFoldedLines = true, FindsChunkedAnywhere = true },
        new("reads underscores as dashes") { ReadsUnderscoresAsDashes = true, FindsChunkedAnywhere = true },
        new("skips extensions") { SkipsExtensions = true, EndsLinesAtLineFeed = true },
        new("skips ends of chunks") { SkipsChunkEnds = true },
        new("ends heads at empty names") { EndsHeadAtEmptyName = true },
        new("takes all there is")
        {
            EndsLinesAtLineFeed = true, FindsChunkedAnywhere = true, TakesLastLength = true, TrimsNames = true, JoinsFoldedLines = true,
            ReadsUnderscoresAsDashes = true, SkipsExtensions = true, SkipsChunkEnds = true,
        },
    ];
}
