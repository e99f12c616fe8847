using BenchmarkDotNet.Running;
using Cheops.Tests.Benchmarks.Mesh;

if (args is ["link", .. var rest])
{
    await LinkBench.RunAsync(rest);
    return 0;
}

BenchmarkSwitcher.FromAssembly(typeof(Cheops.Tests.Benchmarks.Scopes.ScopeBenchmarks).Assembly).Run(args);
return 0;
