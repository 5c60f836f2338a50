"""Where a published ledger and the logs disagree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from glassviz.ledger.ledger import GOAL, Ledger, Phase, Training
from glassviz.ledger.phases import Published

State = Literal["agrees", "differs", "open"]
"""Open: logs are missing that could make the difference."""

ROUNDING = 1.0
"""Returns that differ by less are the same number, rounded."""

ABOUT = 10.0
"""The same for a return that is given as "about"."""


@dataclass(frozen=True, eq=False)
class Claim:
    """What is published of a phase, beside what its logs say.

    Attributes:
        best, hits, mean: whether each agrees; None where it is not published.
        found_best, found_mean: highest and mean of the planner's peaks; None without logs of it.
        holder: the training of `found_best`.
        policy_best: highest of the policy prior.
        found_hits: trainings that reach 500.
        n: trainings with evaluations of the planner.
        own_hits: how many of the published returns reach 500; None where there are none.
        missing, extra: trainings fewer and more than published.
        restarted: trainings here in which the agent was restarted.
    """

    phase: Phase
    published: Published
    best: State | None
    hits: State | None
    mean: State | None
    found_best: float | None
    found_mean: float | None
    holder: Training | None
    policy_best: float | None
    found_hits: int
    n: int
    own_hits: int | None
    missing: int
    extra: int
    restarted: int

    @property
    def state(self) -> State:
        """Differs if any number does, open if any is."""
        states = (self.best, self.hits, self.mean)
        return "differs" if "differs" in states else "open" if "open" in states else "agrees"


def against_published(ledger: Ledger) -> tuple[Claim, ...]:
    """The phases of which something is published and logs are there."""
    return tuple(
        _claim(phase, phase.about.published)
        for phase in ledger.phases
        if phase.about.published and phase.about.published.task == phase.task
    )


def _claim(phase: Phase, published: Published) -> Claim:
    reached = [(each, found) for each in phase.trainings if (found := each.reached("mppi"))]
    policy = [found.peak for each in phase.trainings if (found := each.reached("pi"))]
    peaks = [found.peak for _, found in reached]
    hits = sum(peak >= GOAL for peak in peaks)
    best = max(peaks, default=None)
    mean = sum(peaks) / len(peaks) if peaks else None
    whole = published.n is None or len(peaks) >= published.n
    known = published.n is not None
    return Claim(
        phase=phase,
        published=published,
        best=_best(published, best, known and whole),
        hits=_hits(published, hits, len(peaks)),
        mean=_mean(published, mean, len(peaks)),
        found_best=best,
        found_mean=mean,
        holder=max(reached, key=lambda each: each[1].peak)[0] if reached else None,
        policy_best=max(policy, default=None),
        found_hits=hits,
        n=len(peaks),
        own_hits=_own_hits(published.returns),
        missing=max(0, (published.n or 0) - len(peaks)),
        extra=max(0, len(peaks) - published.n) if published.n else 0,
        restarted=sum(bool(each.restarts) for each in phase.trainings),
    )


def _own_hits(returns: Sequence[float]) -> int | None:
    return sum(each >= GOAL for each in returns) if returns else None


def _best(published: Published, found: float | None, whole: bool) -> State | None:
    if published.best is None:
        return None
    if found is None:
        return "open"
    if abs(found - published.best) <= (ABOUT if published.about else ROUNDING):
        return "agrees"
    return "differs" if whole or found > published.best else "open"


def _hits(published: Published, found: int, n: int) -> State | None:
    if published.hits is None or published.n is None:
        return None
    if n >= published.n:
        return "agrees" if (found, n) == (published.hits, published.n) else "differs"
    most = found + published.n - n
    return "open" if found <= published.hits <= most else "differs"


def _mean(published: Published, found: float | None, n: int) -> State | None:
    if published.mean is None:
        return None
    if found is not None and abs(found - published.mean) <= ROUNDING:
        return "agrees"
    return "differs" if published.n is not None and n >= published.n else "open"
