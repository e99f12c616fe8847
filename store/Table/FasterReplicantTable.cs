using System.Buffers;
using Cheops.Proto;
using Cheops.Store.Log.Segments;

namespace Cheops.Store.Table;

/// <summary>The replicant table on FASTER's key-value store.</summary>
/// <remarks>
/// FASTER's index and its log's newest pages are in memory; what is written goes through a device of ours to
/// <see cref="ISegmentFiles"/>. A checkpoint flushes the log and notes how far it goes and what it adds up to; the next
/// start reads and checks all of it. Which keys may be there is told by fingerprints, without asking FASTER.
/// </remarks>
public sealed class FasterReplicantTable : IReplicantTable
{
    private readonly OpenedTable _opened;
    private readonly ReplicantTableOptions _options;
    private readonly TableWriter _writer;
    private readonly TableSessions _sessions;
    // Taken by whoever takes a checkpoint, visits or closes: compaction must not move what a visit is about to see.
    private readonly SemaphoreSlim _whole = new(1, 1);
    private bool _closed;

    private FasterReplicantTable(OpenedTable opened, ReplicantTableOptions options)
    {
        (_opened, _options) = (opened, options);
        _writer = new TableWriter(opened, options);
        _sessions = new TableSessions(opened.Store);
        (Mark, Damage) = (opened.Checkpoints.Mark, opened.Damage);
    }

    /// <summary>Opens a table, reading and checking all of it; one that does not exist begins empty. Blocks while it reads.</summary>
    /// <param name="log">The files of its log, in segments of the options' size; closed with the table.</param>
    /// <param name="checkpoints">The files of its checkpoints, in segments of <see cref="CheckpointSegmentSize"/>; closed with the table.</param>
    /// <param name="options">Sizes; the defaults when null.</param>
    /// <param name="secret">For a table that begins empty, from a random source: who does not know it cannot choose keys whose hashes collide.</param>
    /// <exception cref="TableException">The disk failed.</exception>
    public static FasterReplicantTable Open(ISegmentFiles log, ISegmentFiles checkpoints, ReplicantTableOptions? options = null, ulong secret = 0)
    {
        options ??= new ReplicantTableOptions();
        options.Check();
        try
        {
            return new FasterReplicantTable(TableOpening.Open(log, checkpoints, options, secret), options);
        }
        catch (Exception e)
        {
            log.Dispose();
            checkpoints.Dispose();
            if (e is SegmentsFullException) throw new TableException(TableError.Full, $"the replicant table cannot be begun: {e.Message}; free some room", e);
            if (e is IOException and not TableException) throw new TableException(TableError.Failed, $"the replicant table cannot be opened: {e.Message}", e);
            throw;
        }
    }

    /// <summary>Opens the table in a directory.</summary>
    /// <param name="directory">Where it is; created when missing.</param>
    /// <param name="options">Sizes; the defaults when null.</param>
    /// <exception cref="TableException">The table is in use, or the disk failed.</exception>
    public static FasterReplicantTable Open(string directory, ReplicantTableOptions? options = null)
    {
        options ??= new ReplicantTableOptions();
        DiskSegmentFiles? log = null;
        try
        {
            log = new DiskSegmentFiles(directory, (int)options.SegmentSize, "table");
            var checkpoints = new DiskSegmentFiles(directory, CheckpointSegmentSize, "checkpoint");
            return Open(log, checkpoints, options, (ulong)Random.Shared.NextInt64());
        }
        catch (Exception e) when (e is IOException and not TableException or UnauthorizedAccessException)
        {
            log?.Dispose();
            throw new TableException(TableError.Failed, e.Message, e);
        }
    }

    /// <summary>Bytes of a segment of the files of checkpoints.</summary>
    public static int CheckpointSegmentSize => TableCheckpoints.SegmentSize;

    /// <inheritdoc/>
    public ReadOnlyMemory<byte> Mark { get; }

    /// <inheritdoc/>
    public string? Damage { get; }

    /// <inheritdoc/>
    public long Count => _writer.Count;

    /// <inheritdoc/>
    public long DiskBytes => _opened.Files.DiskBytes + TableCheckpoints.DiskBytes;

    /// <inheritdoc/>
    public bool MayHold(ReadOnlySpan<byte> key) => _opened.Keys.MayHold(_opened.Hash.Of(key));

    /// <inheritdoc/>
    public bool MayHoldAny(Span<byte> key, ReadOnlySpan<byte> firsts)
    {
        Span<ulong> hashes = stackalloc ulong[firsts.Length];
        for (var i = 0; i < hashes.Length; i++)
        {
            key[0] = firsts[i];
            hashes[i] = _opened.Hash.Of(key);
        }

        return _opened.Keys.MayHoldAny(hashes);
    }

    /// <inheritdoc/>
    public bool TryGet(ReadOnlySpan<byte> key, IBufferWriter<byte> value)
    {
        CheckKey(key);
        var hash = _opened.Hash.Of(key);
        var session = _sessions.Take() ?? throw Closed();
        try
        {
            if (!_opened.Keys.MayHold(hash)) return false;
            var failures = _opened.Device.ReadFailures;
            session.Read(key);
            var found = session.Reading;
            if (!found.IsFound && _writer.ReadFailure(failures) is { } failure) throw failure;
            if (found is { IsFound: true, IsWhole: false }) throw _writer.Damaged();
            if (found.IsThere) value.Write(found.Value);
            return found.IsThere;
        }
        finally
        {
            _sessions.Give(session);
        }
    }

    /// <inheritdoc/>
    public void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        CheckKey(key);
        if (value.Length > _options.ValueSizeMax)
            throw new TableException(TableError.TooLarge, $"a value has at most {_options.ValueSizeMax} bytes, not {value.Length}");
        _writer.Put(key, value);
    }

    /// <inheritdoc/>
    public void Remove(ReadOnlySpan<byte> key)
    {
        CheckKey(key);
        _writer.Remove(key);
    }

    /// <inheritdoc/>
    public void Visit(ReadOnlySpan<byte> prefix, TableVisitor visitor)
    {
        _whole.Wait();
        try
        {
            if (_closed) throw Closed();
            var now = _writer.Flush();
            new TableVisit(_opened.Files, now, _options).Run(prefix, visitor);
        }
        catch (SegmentDamagedException e)
        {
            throw new TableException(TableError.Damaged, e.Message, e);
        }
        catch (IOException e) when (e is not TableException)
        {
            throw new TableException(TableError.Failed, $"the replicant table cannot be read: {e.Message}", e);
        }
        finally
        {
            _whole.Release();
        }
    }

    /// <inheritdoc/>
    public async ValueTask CheckpointAsync(ReadOnlyMemory<byte> mark, CancellationToken cancellation = default)
    {
        if (mark.Length > Bounds.TableMarkSizeMax)
            throw new TableException(TableError.TooLarge, $"a mark has at most {Bounds.TableMarkSizeMax} bytes, not {mark.Length}");
        await _whole.WaitAsync(cancellation);
        // What is begun is finished, whether anybody waits for it or not.
        var copy = mark.ToArray();
        await Task.Run(
            () =>
            {
                try
                {
                    Checkpoint(copy);
                }
                finally
                {
                    _whole.Release();
                }
            },
            CancellationToken.None).WaitAsync(cancellation);
    }

    /// <summary>
    /// 1. What is not needed is left behind. 2. All that is in memory goes into the segments. 3. The segments are made
    /// durable. 4. So is the checkpoint that tells of them. 5. The segments that it does not need are removed.
    /// </summary>
    private void Checkpoint(byte[] mark)
    {
        if (_closed) throw Closed();
        // :: Step 1
        Compact();
        // :: Step 2
        var extent = _writer.Flush() with { Number = _opened.Checkpoints.Latest.Number + 1 };
        try
        {
            // :: Step 3
            _opened.Files.Sync();
            // :: Step 4
            _opened.Checkpoints.Write(extent, mark);
            // :: Step 5
            _opened.Files.RemoveOutside(extent.Begin >> _options.SegmentSizeBits, int.MaxValue);
        }
        catch (IOException e)
        {
            _writer.Fail(e.Message);
            throw new TableException(TableError.Failed, $"the replicant table could not be made durable: {e.Message}", e);
        }
    }

    private void Compact()
    {
        // As often as there were pages at most: what is moved is not looked at again.
        for (var left = _opened.Files.DiskBytes >> _options.PageSizeBits; left > 0; left--)
        {
            try
            {
                if (!_writer.CompactOldest()) return;
            }
            catch (TableException e) when (e.Error == TableError.Full)
            {
                return;
            }
        }
    }

    private void CheckKey(ReadOnlySpan<byte> key)
    {
        if (key.Length < 1 || key.Length > _options.KeySizeMax)
            throw new TableException(TableError.TooLarge, $"a key has 1 to {_options.KeySizeMax} bytes, not {key.Length}");
    }

    private static TableException Closed() => new(TableError.Failed, "the replicant table is closed");

    /// <summary>Closes the table. What came after the last checkpoint is lost, as in a crash.</summary>
    public async ValueTask DisposeAsync()
    {
        await _whole.WaitAsync();
        try
        {
            if (_closed) return;
            _closed = true;
            _writer.Fail("it is closed");
            await _sessions.CloseAsync();
            _writer.Dispose();
            _opened.Store.Dispose();
            _opened.Files.Dispose();
            _opened.Checkpoints.Dispose();
        }
        finally
        {
            _whole.Release();
        }
    }
}
