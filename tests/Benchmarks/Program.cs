using System.Globalization;
using BenchmarkDotNet.Running;
using Cheops.Tests.Benchmarks.Mesh;
using Cheops.Tests.Benchmarks.Replication;

switch (args)
{
    case ["link", .. var rest]:
        await LinkBench.RunAsync(rest);
        break;
    case ["nats", "answer" or "ask" or "copy", _, _, ..]:
        await NatsPeer.RunAsync(args[1..]);
        break;
    case ["replicants", var directory, var count, "client" or "service"]:
        await ReplicantsFill.RunAsync(directory, int.Parse(count, CultureInfo.InvariantCulture), args[3] == "service");
        break;
    case ["groups", var directory, var count]:
        await GroupsFill.RunAsync(directory, int.Parse(count, CultureInfo.InvariantCulture));
        break;
    default:
        BenchmarkSwitcher.FromAssembly(typeof(Cheops.Tests.Benchmarks.Scopes.ScopeBenchmarks).Assembly).Run(args);
        break;
}

return 0;
