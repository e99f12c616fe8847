using Cheops.Tests.Fuzz.Groups;
using Cheops.Tests.Fuzz.Http;
using Cheops.Tests.Fuzz.Links;
using Cheops.Tests.Fuzz.Operations;
using Cheops.Tests.Fuzz.Scopes;
using Cheops.Tests.Fuzz.Store;
using Cheops.Tests.Fuzz.Translation;

namespace Cheops.Tests.Fuzz;

/// <summary>All fuzz targets. Each is also run for a short while by the unit tests.</summary>
public static class FuzzTargets
{
    public static readonly IFuzzTarget[] All =
    [
        new RequestTarget(),
        new ResponseTarget(),
        new ChunkedTarget(),
        new ForwardTarget(),
        new FrameTarget(),
        new GroupMessageTarget(),
        new GroupLogTarget(),
        new RecordTarget(),
        new SnapshotTarget(),
        new TableTarget(),
        new ScopeTarget(),
        new ProfileTarget(),
        new WorkflowTarget(),
        new JsonTarget(),
        new TargetTarget(),
        new ProtobufTarget(),
    ];
}
