using SharpFuzz;

namespace Cheops.Tests.Fuzz;

/// <summary>Lets the product's assemblies beside this one count the branches they take.</summary>
internal static class Instrumentation
{
    private static readonly string[] Product = ["Cheops.Proto.dll", "Cheops.Store.dll", "Cheops.Raft.dll", "cheops.dll"];

    /// <summary>Instruments them; they must not be loaded yet, and not be instrumented.</summary>
    public static void Run()
    {
        foreach (var file in Product.Select(name => Path.Combine(AppContext.BaseDirectory, name)).Where(File.Exists))
        {
            // A new file takes the place of the old one, which is never half written.
            var made = file + ".new";
            File.Copy(file, made, overwrite: true);
            SharpFuzz.Fuzzer.Instrument(made, _ => true, Options.Value);
            File.Move(made, file, overwrite: true);
            Console.WriteLine($"instrumented {Path.GetFileName(file)}");
        }
    }
}
