using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Cheops.Agent.Redirection;

namespace Cheops.Tests.Integration.Hosting;

/// <summary>In a network namespace of its own (root needed), which one thread enters with its sockets.</summary>
public sealed partial class OriginalDestinationTests
{
    [Theory]
    [InlineData("127.0.0.1", "127.0.0.2")]
    [InlineData("::1", "::2")]
    public async Task A_redirected_connection_tells_where_it_was_to_go_and_another_tells_nothing(string here, string elsewhere)
    {
        var name = $"cho{Environment.ProcessId}{Random.Shared.Next(1000)}";
        Run("ip", $"netns add {name}");
        try
        {
            Run("ip", $"-n {name} link set lo up");
            Run("ip", $"-n {name} addr add ::2/128 dev lo");
            var (redirected, direct) = await InNamespaceAsync(name, () => Ask(name, IPAddress.Parse(here), IPAddress.Parse(elsewhere)));
            Assert.Equal(new IPEndPoint(IPAddress.Parse(elsewhere), 9292), redirected);
            Assert.Null(direct);
        }
        finally
        {
            Run("ip", $"netns del {name}");
        }
    }

    private static (IPEndPoint? Redirected, IPEndPoint? Direct) Ask(string name, IPAddress here, IPAddress elsewhere)
    {
        using var listener = new Socket(here.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(here, 0));
        listener.Listen();
        var listening = (IPEndPoint)listener.LocalEndPoint!;
        var rules = Ruleset.Install("Site1", [new Redirect("shop", new IPEndPoint(elsewhere, 9292), listening)], new OwnTraffic.OfUser("65533"));
        Run("ip", $"netns exec {name} nft -f -", rules);
        return (Accepted(new IPEndPoint(elsewhere, 9292)), Accepted(listening));

        IPEndPoint? Accepted(IPEndPoint dialed)
        {
            using var client = new Socket(here.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            client.Connect(dialed);
            using var accepted = listener.Accept();
            return OriginalDestination.Of(accepted);
        }
    }

    private static async Task<T> InNamespaceAsync<T>(string name, Func<T> act)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                using var file = File.OpenHandle($"/run/netns/{name}");
                if (EnterNamespace((int)file.DangerousGetHandle(), 0) != 0) throw new IOException(Marshal.GetLastPInvokeErrorMessage());
                done.SetResult(act());
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                done.SetException(e);
            }
        });
        thread.Start();
        return await done.Task;
    }

    private static void Run(string program, string arguments, string input = "")
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardError = true })!;
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, error);
    }

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int EnterNamespace(int file, int kind);
}
