"""What a latent map is made of: latents, frames, landmarks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int32

from glassviz.errors import GlassvizError
from glassviz.files import StrPath
from glassviz.gait.gait import Gait
from glassviz.metrics.calibration import returns_to_go
from glassviz.metrics.embedding import Metric
from glassviz.metrics.fitted_labels import unit_vectors
from glassviz.metrics.labels import LabelName, name_labels
from glassviz.metrics.nulls import PHASE_BINS, phase_bin
from glassviz.metrics.stability import describe_gaits, phases_of
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.checkpoints import Checkpoint


BATCH = 4096


@dataclass(frozen=True, eq=False)
class Encoder:
    """An agent that is shown what others saw.

    Attributes:
        checkpoint: of the agent.
    """

    checkpoint: "Checkpoint"

    @classmethod
    def load(cls, path: StrPath) -> "Encoder":
        """Read an agent.

        Raises:
            GlassvizError: the file is no checkpoint.
        """
        from glassviz import checkpoints

        return cls(checkpoints.load(path))

    @property
    def name(self) -> str:
        """Of the agent."""
        return self.checkpoint.name

    @property
    def sha256(self) -> str:
        """Of the agent's file."""
        return self.checkpoint.sha256

    def latents(self, trace: Trace) -> Float32[np.ndarray, "frames latent"]:
        """What the agent makes of every observation of a trace.

        Raises:
            GlassvizError: its observations have another number of values.
        """
        import jax

        from glassviz.agents.networks import encode

        config, params = self.checkpoint.config, self.checkpoint.params
        obs = trace.obs.reshape(-1, trace.obs.shape[2])
        if obs.shape[1] != config.obs_dim:
            raise GlassvizError(
                f"--encoder: expected an agent that observes {obs.shape[1]} values, as "
                f"{trace.header['checkpoint']['name']} does, found {self.name} with "
                f"{config.obs_dim}: name another"
            )
        found = jax.jit(
            lambda rows: jax.lax.map(lambda x: encode(config, params, x), rows, batch_size=BATCH)
        )(obs)
        return np.asarray(found, np.float32)


CLOCKLESS_WINDOW_S = 0.5
"""Frames nearer than this are no neighbours in runs without gait cycles, which have no half one."""


DISCOUNT = 0.99
"""Of an agent whose trace tells none."""


@dataclass(frozen=True, eq=False)
class Frames:
    """All frames of all traces, openings included.

    Attributes:
        shapes: episodes and frames of each trace.
        trace: number of the trace that each frame is of.
        series: number of its episode, among those of all traces.
        episode: number of its episode in its trace.
        time: number of the frame in its episode.
        phase: in its gait cycle, [0, 2π); NaN outside of cycles.
        cycle: number of its gait cycle, among those of all traces; −1 outside.
        window: half a gait cycle of its trace, in frames.
        label, prototype: of the frame; −1 without labels.
        to_go: its return-to-go. What comes after the episode's end is taken to be like what came
            before it, or all late frames would look poor.
        gait_phase: the entry of `GAIT_PHASES` that it belongs to; −1 in openings.
    """

    shapes: tuple[tuple[int, int], ...]
    trace: Int[np.ndarray, " frames"]
    series: Int[np.ndarray, " frames"]
    episode: Int[np.ndarray, " frames"]
    time: Int[np.ndarray, " frames"]
    phase: Float64[np.ndarray, " frames"]
    cycle: Int[np.ndarray, " frames"]
    window: Int[np.ndarray, " frames"]
    label: Int32[np.ndarray, " frames"]
    prototype: Int32[np.ndarray, " frames"]
    to_go: Float64[np.ndarray, " frames"]
    gait_phase: Int[np.ndarray, " frames"]

    def __len__(self) -> int:
        return len(self.trace)

    def label_names(self, clusters: int) -> tuple[LabelName, ...]:
        """What each label stands for, by the phase of the gait that it lives in."""
        return name_labels(self.label.astype(np.int64), self.gait_phase, clusters)


def pool(traces: Sequence[Trace], gaits: Sequence[Sequence[Gait]] | None = None) -> Frames:
    """Put the frames of traces one after the other, and find their gait cycles.

    Args:
        traces: whose frames.
        gaits: of the episodes of each trace, where they were described already.

    Raises:
        GlassvizError: there are no frames, or a gait cannot be described.
    """
    if not sum(trace.label.size for trace in traces):
        raise GlassvizError("map: expected traces with frames, found none: record them again")
    parts: list[dict[str, np.ndarray]] = []
    cycles = series = 0
    gaits = gaits or [describe_gaits(trace) for trace in traces]
    for number, (trace, own) in enumerate(zip(traces, gaits, strict=True)):
        part = _part(trace, own, number, cycles, series)
        parts.append(part)
        cycles = max(cycles, int(part["cycle"].max(initial=-1)) + 1)
        series += trace.episodes
    arrays: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    return Frames(shapes=tuple((t.episodes, t.frames) for t in traces), **arrays)


def _part(
    trace: Trace, gaits: Sequence[Gait], number: int, cycles: int, series: int
) -> dict[str, np.ndarray]:
    phase, cycle, gait_phase, lengths = [], [], [], []
    for episode, gait in enumerate(gaits):
        found = gait.cycles
        phase.append(found.phase)
        cycle.append(np.where(found.cycle >= 0, found.cycle + cycles, -1))
        gait_phase.append(phases_of(trace, episode, gait))
        lengths.append(found.ends - found.starts)
        cycles += found.count
    every = np.concatenate(lengths) if lengths else np.zeros(0, int)
    without = CLOCKLESS_WINDOW_S / trace.frame_dt_s
    window = max(1, round(float(np.median(every)) / 2 if len(every) else without))
    number_of, time = (each.reshape(-1) for each in np.indices((trace.episodes, trace.frames)))
    return {
        "trace": np.full(len(time), number),
        "series": number_of + series,
        "episode": number_of,
        "time": time,
        "phase": _joined(phase, float),
        "cycle": _joined(cycle, np.int64),
        "window": np.full(len(time), window),
        "label": trace.label.reshape(-1),
        "prototype": trace.prototype.reshape(-1),
        "to_go": return_to_go(trace).reshape(-1),
        "gait_phase": _joined(gait_phase, np.int64),
    }


def _joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)


def discount_of(trace: Trace) -> float:
    """γ per frame of the agent; 0.99 where the trace does not tell."""
    found = trace.header["agent"].get("planner", {}).get("discount")
    return found if found is not None and 0 < found < 1 else DISCOUNT


def return_to_go(trace: Trace) -> Float64[np.ndarray, "episodes frames"]:
    """Σ γʲ r over the rest of the episode, divided by 1 − γᵐ where m frames are left.

    That is the discounted mean of the rewards to come over 1 − γ: on the scale of values, and not
    falling to zero at the episode's end, where the clock cuts it off.
    """
    discount = discount_of(trace)
    left = np.arange(trace.frames, 0, -1)
    return returns_to_go(trace.reward, discount) / (1 - discount**left)


def split(
    frames: Frames, rows: Float32[np.ndarray, "frames columns"]
) -> tuple[Float32[np.ndarray, "episodes length columns"], ...]:
    """Rows of all frames as one array a trace."""
    sizes = [episodes * length for episodes, length in frames.shapes]
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    return tuple(
        part.reshape(*shape, rows.shape[1])
        for part, shape in zip(parts, frames.shapes, strict=True)
    )


CYCLE_STEPS = 24


FEWEST_CYCLES = 3


COMPARED = 400
"""Of more cycles so many are compared with each other, evenly drawn."""


AVERAGED = 0.25
"""Share of the cycles, those nearest to the typical one, that its path is the mean of."""


NEAREST = 15
"""Frames around a prototype, whose midst it stands in."""


Plane = Float32[np.ndarray, "frames 2"]


@dataclass(frozen=True, eq=False)
class CyclePath:
    """The typical gait cycle of one trace, as a path on the map.

    Attributes:
        trace: number of the trace.
        xy: where it is at phases 0, 1/24, 2/24 … of the cycle.
        cycles: how many cycles it is the mean of.
        of: how many there are.
    """

    trace: int
    xy: Float64[np.ndarray, "steps 2"]
    cycles: int
    of: int


@dataclass(frozen=True, eq=False)
class PlacedPrototype:
    """A prototype that is the nearest one of some frame.

    Attributes:
        number: n.
        label: the commonest label of its frames.
        share: of all frames with prototypes, those that it is nearest to.
        xy: where it stands: at one of the frames that are nearest to it, the one in their midst.
        nearest: these frames, the nearest first; numbers in `Frames`.
    """

    number: int
    label: int
    share: float
    xy: tuple[float, float]
    nearest: Int[np.ndarray, " nearest"]


def typical_cycle(frames: Frames, xy: Plane, trace: int) -> CyclePath | None:
    """The path of the gait cycle that is least far from all others, and of those nearest to it.

    A mean over all cycles would run where no cycle does, if there are two kinds of them.

    Args:
        frames: of all traces.
        xy: where each is; NaN: nowhere.
        trace: number of the trace whose cycles count.

    Returns:
        None with fewer than three cycles.
    """
    inside = (frames.trace == trace) & (frames.cycle >= 0) & np.isfinite(xy).all(axis=1)
    kept = np.flatnonzero(inside)
    curves = _curves(frames.cycle[kept], frames.phase[kept], xy[kept])
    if len(curves) < FEWEST_CYCLES:
        return None
    some = curves[np.linspace(0, len(curves) - 1, min(len(curves), COMPARED)).round().astype(int)]
    apart = np.linalg.norm(some[:, None] - some[None], axis=3).mean(axis=2)
    medoid = some[int(apart.sum(axis=1).argmin())]
    order = np.argsort(np.linalg.norm(curves - medoid, axis=2).mean(axis=1), kind="stable")
    count = max(1, round(AVERAGED * len(curves)))
    return CyclePath(trace, curves[order[:count]].mean(axis=0), count, len(curves))


def _curves(
    cycle: Int[np.ndarray, " frames"], phase: Float64[np.ndarray, " frames"], xy: Plane
) -> Float64[np.ndarray, "cycles steps 2"]:
    """Every cycle that has frames in each third of it, at equal steps of its phase."""
    steps = np.arange(CYCLE_STEPS) * (2 * np.pi / CYCLE_STEPS)
    curves = []
    cuts = np.flatnonzero(np.diff(cycle)) + 1
    for own in np.split(np.arange(len(cycle)), cuts):
        if len(np.unique(phase[own] // (2 * np.pi / 3))) < 3:
            continue
        curves.append(
            [np.interp(steps, phase[own], xy[own, axis], period=2 * np.pi) for axis in (0, 1)]
        )
    return np.array(curves, dtype=np.float64).reshape(-1, 2, CYCLE_STEPS).transpose(0, 2, 1)


def place_prototypes(
    traces: Sequence[Trace], frames: Frames, xy: Plane
) -> tuple[PlacedPrototype, ...]:
    """Every prototype that is the nearest one of a frame, by number.

    Frames are near to a prototype by their soft assignment to it; where there is none (fitted
    labels), by their cosine with the mean direction of all frames that it is the nearest of, which
    is what a fitted prototype is.

    Args:
        traces: of one checkpoint.
        frames: theirs.
        xy: where each frame is; NaN: nowhere.
    """
    on_map = np.isfinite(xy).all(axis=1)
    total = int((frames.prototype >= 0).sum())
    placed = []
    for number in np.unique(frames.prototype[frames.prototype >= 0]).tolist():
        own = frames.prototype == number
        kept = np.flatnonzero(own & on_map)
        if not len(kept):
            continue
        nearness = _nearness(traces, own, kept, number)
        nearest = kept[np.argsort(-nearness, kind="stable")[:NEAREST]]
        apart = np.linalg.norm(xy[nearest][:, None] - xy[nearest], axis=2).sum(axis=1)
        x, y = xy[nearest[int(apart.argmin())]].tolist()
        label = int(np.bincount(frames.label[own]).argmax())
        share = float(own.sum() / total)
        placed.append(PlacedPrototype(number, label, share, (x, y), nearest))
    return tuple(placed)


def by_nearness(traces: Sequence[Trace], frames: Frames, number: int) -> Int[np.ndarray, " frames"]:
    """Frames that prototype `number` is the nearest of, those nearest to it first."""
    own = frames.prototype == number
    kept = np.flatnonzero(own)
    return kept[np.argsort(-_nearness(traces, own, kept, number), kind="stable")]


def _nearness(
    traces: Sequence[Trace],
    own: Bool[np.ndarray, " frames"],
    kept: Int[np.ndarray, " kept"],
    number: int,
) -> Float[np.ndarray, " kept"]:
    if all(trace.soft_assignment.shape[2] > number for trace in traces):
        return np.concatenate([t.soft_assignment[..., number].reshape(-1) for t in traces])[kept]
    unit = unit_vectors(np.concatenate([t.latent.reshape(-1, t.latent.shape[2]) for t in traces]))
    return unit[kept] @ unit_vectors(unit[own].mean(axis=0))


Numbers = Int[np.ndarray, " frames"]


def thin(frames: Frames, most: int, seed: int) -> Numbers:
    """Numbers of at most `most` frames, rising; the same seed keeps the same ones.

    Every episode keeps equally many frames, as long as it has them. So does every phase bin of an
    episode, its frames outside of cycles being a bin more, and so does every cycle in a bin. Bins
    begin with different cycles, and episodes with different bins, so that what is few in each is
    even over all. Who comes first, and which frame of a cycle's bin, is drawn at random.

    Args:
        frames: to choose from.
        most: how many to keep.
        seed: of the draw.
    """
    if len(frames) <= most:
        return np.arange(len(frames))
    rng = np.random.default_rng(seed)
    part = phase_bin(frames.phase, frames.cycle, PHASE_BINS)
    part = rng.permutation(PHASE_BINS + 1)[np.where(part < 0, PHASE_BINS, part)]
    episode = _drawn(frames.series, rng)
    cycle = _drawn(frames.cycle, rng)
    bins = len(np.unique(episode * (PHASE_BINS + 1) + part))
    a_bin, an_episode = (max(1, round(most / n)) for n in (bins, int(episode.max()) + 1))

    order = _place((rng.permutation(len(frames)),), (episode, part, cycle))
    order = _place((order, _turned(cycle, part * a_bin, episode)), (episode, part))
    order = _place((order, (part + episode * an_episode) % (PHASE_BINS + 1)), (episode,))
    return np.sort(np.lexsort((episode, order))[:most])


def _drawn(group: Numbers, rng: np.random.Generator) -> Numbers:
    """Numbers of groups, 0, 1, 2 …, anew and at random."""
    names, number = np.unique(group, return_inverse=True)
    return rng.permutation(len(names))[number]


def _turned(cycle: Numbers, by: Numbers, episode: Numbers) -> Numbers:
    """The place of each frame's cycle among those of its episode, moved on by so many of them."""
    cycles = int(cycle.max()) + 1
    pairs, number = np.unique(episode * cycles + cycle, return_inverse=True)
    owner = pairs // cycles
    begins = np.searchsorted(owner, owner)
    count = np.searchsorted(owner, owner, side="right") - begins
    place = np.arange(len(pairs)) - begins
    return (place[number] + by) % count[number]


def _place(order: tuple[Numbers, ...], within: tuple[Numbers, ...]) -> Numbers:
    """The place of every frame among those of its group, 0 for the first.

    Args:
        order: what frames are ordered by, the first before the others.
        within: what the frames of a group have in common.
    """
    keys = (*within, *order)
    drawn = np.lexsort(keys[::-1])
    joint = np.stack(within)[:, drawn]
    first = np.append(True, (np.diff(joint, axis=1) != 0).any(axis=0))
    begins = np.flatnonzero(first)
    place = np.empty(len(drawn), np.int64)
    place[drawn] = np.arange(len(drawn)) - np.repeat(begins, np.diff(begins, append=len(drawn)))
    return place


Space = Literal["latent", "obs", "gait"]


METRICS: dict[Space, Metric] = {"latent": "cosine", "obs": "euclidean", "gait": "euclidean"}
"""Latents are compared by cosine, as Glass does; the others in units of their own spread."""


TOLD: dict[Space, str] = {
    "latent": "latents",
    "obs": "observations, each standardised",
    "gait": "gait features (height, speed, pitch of every body, floor contacts), each standardised",
}


def features(
    traces: Sequence[Trace], space: Space, encoder: Encoder | None = None
) -> Float32[np.ndarray, "frames features"]:
    """What every frame of traces is in a space, one trace after the other.

    Latents have length 1, so that their Euclidean distance ranks as their cosine does.

    Args:
        traces: whose frames.
        space: what they are compared in.
        encoder: makes the latents; each trace's own agent if None.

    Raises:
        GlassvizError: a number is not finite, traces have unlike spaces, or all frames are alike.
    """
    rows = [_rows(trace, space, encoder) for trace in traces]
    if len({each.shape[1] for each in rows}) > 1:
        raise GlassvizError(
            f"map: expected {TOLD[space].split(',')[0]} with one number of values, found "
            f"{' and '.join(sorted({str(each.shape[1]) for each in rows}))}: map the runs one by "
            f"one"
        )
    for trace, own in zip(traces, rows, strict=True):
        broken = int((~np.isfinite(own).all(axis=1)).sum())
        if broken:
            raise GlassvizError(
                f"trace of {trace.header['checkpoint']['name']}: expected finite numbers to map, "
                f"found others in {broken} of {len(own)} frames: record it again with `glassviz "
                f"rollout`"
            )
    joined = np.concatenate(rows)
    found = unit_vectors(joined) if space == "latent" else _standardised(joined)
    spread = found.var(axis=0, dtype=np.float64).sum()
    if spread < 1e-9:
        raise GlassvizError(
            f"trace of {traces[0].header['checkpoint']['name']}: expected frames that differ, "
            f"found the same {TOLD[space].split(',')[0]} in all {len(found)}: there is nothing to "
            f"map"
        )
    return found


def _rows(
    trace: Trace, space: Space, encoder: Encoder | None
) -> Float[np.ndarray, "frames features"]:
    if space == "latent" and encoder:
        return encoder.latents(trace)
    if space == "latent":
        return trace.latent.reshape(-1, trace.latent.shape[2])
    if space == "obs":
        return trace.obs.reshape(-1, trace.obs.shape[2]).astype(np.float64)
    parts = (
        trace.height[..., None],
        trace.speed[..., None],
        np.sin(trace.angles),
        np.cos(trace.angles),
        trace.contacts,
    )
    both = np.concatenate([part.astype(np.float64) for part in parts], axis=2)
    return both.reshape(-1, both.shape[2])


def _standardised(
    rows: Float[np.ndarray, "frames features"],
) -> Float32[np.ndarray, "frames features"]:
    """Each feature with mean 0 and standard deviation 1; constant ones are 0."""
    centred = rows - rows.mean(axis=0)
    scale = centred.std(axis=0)
    return np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 1e-9).astype(
        np.float32
    )
