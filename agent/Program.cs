using System.Collections;
using System.Text;
using Cheops.Agent.Cli;

// Strict UTF-8 without a byte order mark, written as lines come.
var context = new CliContext
{
    Out = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { AutoFlush = true },
    Error = new StreamWriter(Console.OpenStandardError(), new UTF8Encoding(false)) { AutoFlush = true },
    Environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(pair => (string)pair.Key, pair => (string?)pair.Value ?? ""),
    Time = TimeProvider.System,
};
return await CommandLine.RunAsync(args, context);
