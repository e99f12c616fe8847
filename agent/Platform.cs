using System.Runtime.Versioning;

// Unix sockets, signals, /proc and nftables: the agent is for Linux.
[assembly: SupportedOSPlatform("linux")]
