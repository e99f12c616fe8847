using BenchmarkDotNet.Running;

BenchmarkSwitcher.FromAssembly(typeof(Cheops.Tests.Benchmarks.Scopes.ScopeBenchmarks).Assembly).Run(args);
return 0;
