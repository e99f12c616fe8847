using System.Buffers;
using System.Text;
using BenchmarkDotNet.Attributes;
using Cheops.Store.Table;

namespace Cheops.Tests.Benchmarks.Store;

/// <summary>What asking the replicant table costs a request.</summary>
[MemoryDiagnoser]
public class TableBenchmarks
{
    private const int Keys = 100_000;

    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-bench-").FullName;
    private readonly ArrayBufferWriter<byte> _value = new();
    private readonly byte[] _absent = Key(Keys + 1);
    private readonly byte[] _inMemory = Key(Keys - 1);
    private readonly byte[] _onDisk = Key(1);
    private FasterReplicantTable _table = null!;

    /// <summary>Fills a table.</summary>
    [GlobalSetup]
    public void Fill()
    {
        _table = FasterReplicantTable.Open(_directory);
        for (var i = 0; i < Keys; i++) _table.Put(Key(i), new byte[190]);
    }

    /// <summary>Removes it.</summary>
    [GlobalCleanup]
    public void Remove()
    {
        _table.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>What every request to a resource that is not replicated pays.</summary>
    [Benchmark]
    public bool NotThere() => _table.MayHold(_absent);

    /// <summary>A replicant of late.</summary>
    [Benchmark]
    public bool ReadFromMemory() => Read(_inMemory);

    /// <summary>A replicant whose record is on the disk (in the kernel's cache).</summary>
    [Benchmark]
    public bool ReadFromDisk() => Read(_onDisk);

    /// <summary>A replicant's record written again.</summary>
    [Benchmark]
    public void Write() => _table.Put(_inMemory, new byte[190]);

    private bool Read(byte[] key)
    {
        _value.ResetWrittenCount();
        return _table.TryGet(key, _value);
    }

    private static byte[] Key(int index) => Encoding.ASCII.GetBytes($"R0123456789abcdef/shop/orders/{index:D30}");
}
