using System.Collections;
using System.Text;
using Cheops.Agent.Cli;
using Cheops.Agent.Hosting;

// Strict UTF-8 without a byte order mark, written as lines come.
var context = new CliContext
{
    Out = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { AutoFlush = true },
    Error = new StreamWriter(Console.OpenStandardError(), new UTF8Encoding(false)) { AutoFlush = true },
    Environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(pair => (string)pair.Key, pair => (string?)pair.Value ?? ""),
    Time = TimeProvider.System,
    Compose = static parts => new Agent(parts),
};
return await CommandLine.RunAsync(args, context);
