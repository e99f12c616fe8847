using Cheops.Agent.Hosting;

namespace Cheops.Tests.Unit.Hosting;

public sealed class StartPagesTests
{
    [Fact]
    public void Only_what_is_read_from_files_and_was_never_changed_is_given_back()
    {
        string[] smaps =
        [
            "55a0-55b0 r--p 00000000 fe:00 536 /usr/bin/cheops", "Rss: 64 kB", "Anonymous:             0 kB",
            "55b0-55d0 r-xp 00010000 fe:00 536 /usr/bin/cheops", "Size:                128 kB", "Anonymous:             0 kB", "AnonHugePages:         0 kB",
            "55c8-55d0 r--p 00028000 fe:00 536 /usr/bin/cheops", "Anonymous:             8 kB",
            "55d0-55e0 r-xp 00030000 fe:00 536 /usr/lib/patched.so", "Anonymous:             4 kB",
            "55e0-55f0 rw-p 00040000 fe:00 536 /usr/bin/cheops", "Anonymous:             0 kB",
            "7f00-7f10 r-xp 00000000 00:00 0 ", "Anonymous:             0 kB",
            "7f10-7f20 r-xp 00000000 00:00 0 [vdso]", "Anonymous:             0 kB",
            "7f20-7f28 r-xp 00001000 fe:00 9 /usr/lib/with a space.so", "Anonymous:             0 kB",
            "7f30-7f40 r-xp 00000000 fe:00 9 /usr/lib/cut.so",
        ];
        Assert.Equal([(0x55a0, 0x10), (0x55b0, 0x20), (0x7f20, 8)], StartPages.Unchanged(smaps));
    }

    [Fact]
    public void A_program_runs_on_when_its_pages_were_given_back()
    {
        StartPages.GiveBack();
        Assert.NotEmpty(StartPages.Unchanged(File.ReadLines("/proc/self/smaps")));
    }
}
