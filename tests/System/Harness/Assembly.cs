// The tests start many processes and measure memory: one after the other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
