using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Cheops.Store.Log.Segments;

/// <summary>
/// Segments as files <c>NAME.N</c> of one directory, and the slots in a file <c>NAME.commits</c>, which is held locked while
/// the files are open.
/// </summary>
public sealed class DiskSegmentFiles : ISegmentFiles
{
    // Slots lie apart so that no write of one touches the block of the other.
    private const int SlotDistance = 4096;

    private readonly Lock _gate = new();
    private readonly string _directory;
    private readonly string _name;
    private readonly int _segmentSize;
    private readonly SafeFileHandle _slots;
    private readonly Dictionary<int, SafeFileHandle> _open = [];
    private readonly HashSet<int> _written = [];

    /// <summary>Opens the files, or begins new ones.</summary>
    /// <param name="directory">Where they are; created when missing.</param>
    /// <param name="segmentSize">Bytes of a segment.</param>
    /// <param name="name">What their names begin with.</param>
    /// <exception cref="SegmentsInUseException">Another process has them open.</exception>
    /// <exception cref="IOException">The directory cannot be used.</exception>
    public DiskSegmentFiles(string directory, int segmentSize, string name = "log")
    {
        _directory = Directory.CreateDirectory(directory).FullName;
        (_segmentSize, _name) = (segmentSize, name);
        _slots = OpenSlots(Path.Combine(_directory, name + ".commits"));
    }

    private SafeFileHandle OpenSlots(string path)
    {
        SafeFileHandle file;
        try
        {
            // FileShare.None takes an advisory lock, which a process that is killed loses.
            file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (e is not DirectoryNotFoundException && File.Exists(path))
        {
            throw new SegmentsInUseException($"{path} cannot be opened: is another agent running on this data directory? ({e.Message})", e);
        }

        try
        {
            if (RandomAccess.GetLength(file) < 2 * SlotDistance)
            {
                // Written, not only allocated: a commit on a disk that has become full must find its blocks.
                RandomAccess.Write(file, new byte[2 * SlotDistance], 0);
                LinuxFile.SyncData(file);
                LinuxFile.SyncDirectory(_directory);
            }

            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public long Room
    {
        get
        {
            try
            {
                return new DriveInfo(_directory).AvailableFreeSpace;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It does not tell: whether there is room is found when a segment is made.
                return long.MaxValue / 2;
            }
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<int> List()
    {
        var numbers = new List<int>();
        foreach (var path in Directory.EnumerateFiles(_directory, _name + ".*"))
        {
            var name = Path.GetFileName(path.AsSpan())[(_name.Length + 1)..];
            if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) numbers.Add(number);
        }

        numbers.Sort();
        return numbers;
    }

    /// <inheritdoc/>
    public void Reserve(int segment)
    {
        var path = PathOf(segment);
        if (new FileInfo(path) is { Exists: true } found && found.Length == _segmentSize) return;

        // Made under another name: a segment has its blocks, or does not exist.
        var making = path + ".new";
        try
        {
            using (var file = File.OpenHandle(making, FileMode.Create, FileAccess.Write, FileShare.None))
            {
                LinuxFile.Allocate(file, _segmentSize);
                RandomAccess.FlushToDisk(file);
            }

            File.Move(making, path, overwrite: true);
            LinuxFile.SyncDirectory(_directory);
        }
        catch (IOException e)
        {
            File.Delete(making);
            if (LinuxFile.IsFull(e)) throw new SegmentsFullException($"the disk of {_directory} is full", e);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Write(int segment, long offset, ReadOnlySpan<byte> bytes)
    {
        SafeFileHandle file;
        lock (_gate)
        {
            file = OpenSegment(segment) ?? throw new IOException($"{PathOf(segment)} is gone");
            _written.Add(segment);
        }

        RandomAccess.Write(file, bytes, offset);
    }

    /// <inheritdoc/>
    public void Read(int segment, long offset, Span<byte> bytes)
    {
        SafeFileHandle? file;
        lock (_gate) file = OpenSegment(segment);
        while (file is not null && !bytes.IsEmpty)
        {
            var count = RandomAccess.Read(file, bytes, offset);
            if (count == 0) break;
            bytes = bytes[count..];
            offset += count;
        }

        bytes.Clear();
    }

    /// <inheritdoc/>
    public void Sync()
    {
        SafeFileHandle[] files;
        lock (_gate)
        {
            files = [.. _written.Select(s => _open[s])];
            _written.Clear();
        }

        foreach (var file in files) LinuxFile.SyncData(file);
    }

    /// <inheritdoc/>
    public void Remove(int segment)
    {
        lock (_gate)
        {
            // A read of the segment that is under way keeps its handle until it is done.
            if (_open.Remove(segment, out var file)) file.Dispose();
            _written.Remove(segment);
        }

        File.Delete(PathOf(segment));
    }

    /// <inheritdoc/>
    public void WriteSlot(int slot, ReadOnlySpan<byte> bytes)
    {
        RandomAccess.Write(_slots, bytes[..ISegmentFiles.SlotSize], slot * SlotDistance);
        LinuxFile.SyncData(_slots);
    }

    /// <inheritdoc/>
    public void ReadSlot(int slot, Span<byte> bytes)
    {
        bytes = bytes[..ISegmentFiles.SlotSize];
        bytes[RandomAccess.Read(_slots, bytes, slot * SlotDistance)..].Clear();
    }

    private SafeFileHandle? OpenSegment(int segment)
    {
        if (_open.TryGetValue(segment, out var file)) return file;
        var path = PathOf(segment);
        if (!File.Exists(path)) return null;
        return _open[segment] = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
    }

    private string PathOf(int segment) => Path.Combine(_directory, $"{_name}.{segment.ToString(CultureInfo.InvariantCulture)}");

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var file in _open.Values) file.Dispose();
            _open.Clear();
            _written.Clear();
        }

        _slots.Dispose();
    }
}
