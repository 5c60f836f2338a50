"""When the episodes of a run are enough for its verdicts.

A run is rolled out for up to `MOST` episodes. They are enough as soon as each of its three
verdicts (gait, labels, basin) is settled, which it is in one of two ways:

- No episode up to `MOST` can change it: the name has its majority of `MOST` episodes already, or no
  name can get one any more and the run is split.
- All episodes so far agree, and there are at least `UNANIMOUS` of them.

The first way is exact: the verdict on the episodes so far is that on all. The second may be wrong;
how often is in docs/validation.md.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

from glassviz.gait.verdict import GAIT_THRESHOLDS
from glassviz.metrics.stability import EpisodeStability

MOST = 10
"""Episodes of a run whose verdicts are not settled before."""

UNANIMOUS = 5
"""Episodes that are enough if all of them agree."""


def is_settled(names: Sequence[Hashable], most: int = MOST) -> bool:
    """Whether a verdict by majority is settled by the episodes so far.

    Args:
        names: the verdict on each episode.
        most: how many episodes there may be.
    """
    return bool(names) and _is_settled(_largest(names), len(names), most)


def still_needed(names: Sequence[Hashable], most: int = MOST) -> int:
    """How many more episodes it takes at least until a verdict is settled; 0 if it is.

    All of them may turn out to agree with the most common verdict so far, or none.
    """
    largest, count = _largest(names), len(names)
    for more in range(max(0, most - count)):
        agreeing = _is_settled(largest + more, count + more, most)
        if count + more and (agreeing or _is_settled(max(largest, 1), count + more, most)):
            return more
    return max(0, most - count)


def episodes_needed(episodes: Iterable[EpisodeStability], most: int = MOST) -> int:
    """How many more episodes it takes at least until all verdicts on a run are settled."""
    found = list(episodes)
    verdicts = (
        [each.gait_verdict.name for each in found],
        [each.label_verdict.verdict for each in found],
        [each.basin.name for each in found],
    )
    return max(still_needed(names, most) for names in verdicts)


def _largest(names: Sequence[Hashable]) -> int:
    return max(Counter(names).values(), default=0)


def _is_settled(largest: int, count: int, most: int) -> bool:
    """The same, where the most common name has `largest` of `count` episodes."""
    majority = GAIT_THRESHOLDS.split * most
    left = most - count
    has_majority, is_split = largest > majority, largest + left <= majority
    return has_majority or is_split or left <= 0 or largest == count >= UNANIMOUS
