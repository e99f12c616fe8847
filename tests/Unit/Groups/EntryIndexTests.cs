using Cheops.Raft.Log;
using CsCheck;

namespace Cheops.Tests.Unit.Groups;

/// <summary>The index of a group's entries against a plain list.</summary>
public sealed class EntryIndexTests
{
    [Fact]
    public void It_says_what_a_list_says() =>
        Gen.Select(Gen.Int[0, 9], Gen.Int[0, 40]).Array[1, 200].Sample(steps =>
        {
            var index = new EntryIndex();
            var model = new SortedDictionary<long, (long Term, long Position)>();
            long before = 0, beforeTerm = 0, term = 1, position = 0;
            foreach (var (step, number) in steps)
            {
                var last = model.Count == 0 ? before : model.Keys.Last();
                var at = before + 1 + (number % (int)Math.Max(1, last - before));
                switch (step)
                {
                    case 0:
                        term++;
                        break;
                    case 1:
                        foreach (var key in model.Keys.Where(k => k >= at).ToList()) model.Remove(key);
                        index.DropFrom(at);
                        break;
                    case 2 when model.ContainsKey(at):
                        (before, beforeTerm) = (at, model[at].Term);
                        foreach (var key in model.Keys.Where(k => k <= at).ToList()) model.Remove(key);
                        index.DropUntil(at);
                        break;
                    case 3 when number == 0:
                        model.Clear();
                        (before, beforeTerm) = (last + 5, term);
                        index.Reset(before, term);
                        break;
                    case 4 when model.ContainsKey(at):
                        model[at] = (model[at].Term, ++position);
                        index.Move(at, position);
                        break;
                    default:
                        model[last + 1] = (term, ++position);
                        index.Add(term, position);
                        break;
                }

                Assert.Equal(before + 1, index.First);
                Assert.Equal(model.Count == 0 ? before : model.Keys.Last(), index.Last);
                Assert.Equal(beforeTerm, index.TermOf(before));
                Assert.Null(index.TermOf(index.Last + 1));
                foreach (var (key, entry) in model)
                {
                    Assert.Equal(entry.Term, index.TermOf(key));
                    Assert.Equal(entry.Position, index.PositionOf(key));
                }
            }
        });
}
