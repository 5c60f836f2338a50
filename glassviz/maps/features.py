"""Inputs of a latent map: encoder, pooled frames, landmarks, thinning, and feature spaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int32

from glassviz.agents.config import UNSAID, Unsaid
from glassviz.errors import GlassvizError
from glassviz.files import StrPath
from glassviz.gait.gait import Gait
from glassviz.metrics.calibration import returns_to_go
from glassviz.metrics.embedding import Metric
from glassviz.metrics.fitted_labels import unit_vectors
from glassviz.metrics.nulls import PHASE_BINS, phase_bin
from glassviz.metrics.stability import describe_gaits, phases_of
from glassviz.trace import Trace

if TYPE_CHECKING:
    from glassviz.checkpoints import Checkpoint


# Encoder ------------------------------------------------------------------------------------------

BATCH = 4096


@dataclass(frozen=True, eq=False)
class Encoder:
    """Encoder of one agent, applied to the observations of others."""

    checkpoint: "Checkpoint"

    @classmethod
    def load(cls, path: StrPath, unsaid: Unsaid = UNSAID) -> "Encoder":
        """Load the encoder of a checkpoint; GlassvizError if the file is not one."""
        from glassviz import checkpoints

        return cls(checkpoints.load(path, unsaid))

    @property
    def name(self) -> str:
        """Name of the agent."""
        return self.checkpoint.name

    @property
    def sha256(self) -> str:
        """Hash of the checkpoint."""
        return self.checkpoint.sha256

    def latents(self, trace: Trace) -> Float32[np.ndarray, "frames latent"]:
        """Latents of all observations of a trace; GlassvizError if these have another dimension."""
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
        latents = jax.jit(
            lambda rows: jax.lax.map(lambda x: encode(config, params, x), rows, batch_size=BATCH)
        )(obs)
        return np.asarray(latents, np.float32)


# Frames -------------------------------------------------------------------------------------------

CLOCKLESS_WINDOW_S = 0.5
"""Theiler window of runs without gait cycles, s."""

DISCOUNT = 0.99
"""Discount per frame if the trace has none."""


@dataclass(frozen=True, eq=False)
class Frames:
    """Pooled frames of all traces, including initial transients.

    Attributes:
        trace, episode, time: index of the trace, of the episode in it, and of the frame in that.
        series: index of the episode among all traces.
        phase: phase in its gait cycle, [0, 2π); NaN outside of cycles.
        cycle: index of its gait cycle among all traces; −1 outside of cycles.
        window: Theiler window, half a gait cycle of its trace, frames.
        label, prototype: label and prototype; −1 without labels.
        to_go: normalised return-to-go, see `return_to_go`.
        gait_phase: index into `GAIT_PHASES`; −1 in initial transients.
    """

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


def pool(traces: Sequence[Trace], gaits: Sequence[Sequence[Gait]] | None = None) -> Frames:
    """Pool the frames of traces, with their gait cycles; `gaits` None describes them.

    Raises:
        GlassvizError: there are no frames, or a gait cannot be described.
    """
    if not sum(trace.label.size for trace in traces):
        raise GlassvizError("map: expected traces with frames, found none: record them again")
    parts: list[dict[str, np.ndarray]] = []
    cycles = series = 0
    gaits = gaits or [describe_gaits(trace) for trace in traces]
    for number, (trace, trace_gaits) in enumerate(zip(traces, gaits, strict=True)):
        part = _part(trace, trace_gaits, number, cycles, series)
        parts.append(part)
        cycles = max(cycles, int(part["cycle"].max(initial=-1)) + 1)
        series += trace.episodes
    return Frames(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _part(
    trace: Trace, gaits: Sequence[Gait], number: int, cycles: int, series: int
) -> dict[str, np.ndarray]:
    phase, cycle, gait_phase, lengths = [], [], [], []
    for episode, gait in enumerate(gaits):
        phase.append(gait.cycles.phase)
        cycle.append(np.where(gait.cycles.cycle >= 0, gait.cycles.cycle + cycles, -1))
        gait_phase.append(phases_of(trace, episode, gait))
        lengths.append(gait.cycles.ends - gait.cycles.starts)
        cycles += gait.cycles.count
    length = _joined(lengths, np.int64)
    clockless = CLOCKLESS_WINDOW_S / trace.frame_dt_s
    window = max(1, round(float(np.median(length)) / 2 if len(length) else clockless))
    episode_index, time = np.indices((trace.episodes, trace.frames)).reshape(2, -1)
    return {
        "trace": np.full(len(time), number),
        "series": episode_index + series,
        "episode": episode_index,
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


def return_to_go(trace: Trace) -> Float64[np.ndarray, "episodes frames"]:
    """Normalised return-to-go: Σ γʲ r over the rest of the episode / (1 − γᵐ), m frames left.

    The discounted mean of the remaining rewards / (1 − γ). It is on the scale of values and does
    not fall to zero at the end of an episode, which is a truncation.
    """
    discount = trace.header["agent"].get("planner", {}).get("discount")
    if discount is None or not 0 < discount < 1:
        discount = DISCOUNT
    left = np.arange(trace.frames, 0, -1)
    return returns_to_go(trace.reward, discount) / (1 - discount**left)


# Landmarks ----------------------------------------------------------------------------------------

CYCLE_STEPS = 24
"""Phases at which cycles are compared."""

FEWEST_CYCLES = 3
"""A typical cycle needs at least this many cycles."""

COMPARED = 400
"""Maximum number of cycles compared pairwise, evenly spaced."""

AVERAGED = 0.25
"""Share of the cycles, nearest to the medoid, that are averaged."""

NEAREST = 15
"""Number of frames around a prototype, whose medoid is its position."""

Plane = Float32[np.ndarray, "frames 2"]


@dataclass(frozen=True, eq=False)
class CyclePath:
    """Typical gait cycle of one trace, as a path on the map.

    Attributes:
        xy: position at phases 0, 1/24, 2/24 … of the cycle.
        cycles, of: numbers of averaged cycles, and of all.
    """

    trace: int
    xy: Float64[np.ndarray, "steps 2"]
    cycles: int
    of: int


@dataclass(frozen=True, eq=False)
class PlacedPrototype:
    """Position of a prototype that is the nearest one of some frame.

    Attributes:
        label: most frequent label of its frames.
        share: share of the frames whose nearest prototype it is.
        xy: its position: that of the medoid of the frames nearest to it.
        nearest: those frames, nearest first; indices into `Frames`.
    """

    number: int
    label: int
    share: float
    xy: tuple[float, float]
    nearest: Int[np.ndarray, " nearest"]


def typical_cycle(frames: Frames, xy: Plane, trace: int) -> CyclePath | None:
    """Mean path of the gait cycles nearest to the medoid cycle; None with fewer than three cycles.

    If there are two kinds of cycles, a mean over all of them would run where no cycle does. `xy` is
    NaN for frames that are not on the map.
    """
    inside = (frames.trace == trace) & (frames.cycle >= 0) & np.isfinite(xy).all(axis=1)
    rows = np.flatnonzero(inside)
    curves = _curves(frames.cycle[rows], frames.phase[rows], xy[rows])
    if len(curves) < FEWEST_CYCLES:
        return None
    sample = np.linspace(0, len(curves) - 1, min(len(curves), COMPARED)).round().astype(int)
    compared = curves[sample]
    distance = np.linalg.norm(compared[:, None] - compared[None], axis=3).mean(axis=2)
    medoid = compared[int(distance.sum(axis=1).argmin())]
    order = np.argsort(np.linalg.norm(curves - medoid, axis=2).mean(axis=1), kind="stable")
    count = max(1, round(AVERAGED * len(curves)))
    return CyclePath(trace, curves[order[:count]].mean(axis=0), count, len(curves))


def _curves(
    cycle: Int[np.ndarray, " frames"], phase: Float64[np.ndarray, " frames"], xy: Plane
) -> Float64[np.ndarray, "cycles steps 2"]:
    """Cycles with frames in all thirds, interpolated at equal steps of phase."""
    steps = np.arange(CYCLE_STEPS) * (2 * np.pi / CYCLE_STEPS)
    curves = []
    cuts = np.flatnonzero(np.diff(cycle)) + 1
    for part, places in zip(np.split(phase, cuts), np.split(xy, cuts), strict=True):
        if len(np.unique(part // (2 * np.pi / 3))) == 3:
            curves.append([np.interp(steps, part, axis, period=2 * np.pi) for axis in places.T])
    return np.array(curves, dtype=np.float64).reshape(-1, 2, CYCLE_STEPS).transpose(0, 2, 1)


def place_prototypes(
    traces: Sequence[Trace], frames: Frames, xy: Plane
) -> tuple[PlacedPrototype, ...]:
    """Positions of all prototypes that are the nearest one of a frame on the map, by number.

    Nearness to a prototype is the soft assignment. For fitted labels, which have none, it is the
    cosine with the mean direction of the prototype's frames, by which a fitted prototype is
    defined. The traces are of one checkpoint; `xy` is NaN for frames that are not on the map.
    """
    on_map = np.isfinite(xy).all(axis=1)
    total = int((frames.prototype >= 0).sum())
    placed = []
    for number in np.unique(frames.prototype[frames.prototype >= 0]).tolist():
        assigned = frames.prototype == number
        rows = np.flatnonzero(assigned & on_map)
        if not len(rows):
            continue
        nearness = _nearness(traces, assigned, rows, number)
        nearest = rows[np.argsort(-nearness, kind="stable")[:NEAREST]]
        distance = np.linalg.norm(xy[nearest][:, None] - xy[nearest], axis=2).sum(axis=1)
        x, y = xy[nearest[int(distance.argmin())]].tolist()
        label = int(np.bincount(frames.label[assigned]).argmax())
        share = float(assigned.sum() / total)
        placed.append(PlacedPrototype(number, label, share, (x, y), nearest))
    return tuple(placed)


def by_nearness(traces: Sequence[Trace], frames: Frames, number: int) -> Int[np.ndarray, " frames"]:
    """Frames whose nearest prototype is `number`, nearest first."""
    assigned = frames.prototype == number
    rows = np.flatnonzero(assigned)
    return rows[np.argsort(-_nearness(traces, assigned, rows, number), kind="stable")]


def _nearness(
    traces: Sequence[Trace],
    assigned: Bool[np.ndarray, " frames"],
    rows: Int[np.ndarray, " rows"],
    number: int,
) -> Float[np.ndarray, " rows"]:
    if all(trace.soft_assignment.shape[2] > number for trace in traces):
        return np.concatenate([t.soft_assignment[..., number].reshape(-1) for t in traces])[rows]
    unit = unit_vectors(np.concatenate([t.latent.reshape(-1, t.latent.shape[2]) for t in traces]))
    return unit[rows] @ unit_vectors(unit[assigned].mean(axis=0))


# Thinning -----------------------------------------------------------------------------------------

Numbers = Int[np.ndarray, " frames"]


def thin(frames: Frames, most: int, seed: int) -> Numbers:
    """Sorted indices of at most `most` frames, stratified and reproducible by the seed.

    Frames are balanced over episodes, over the phase bins of an episode (frames outside of cycles
    are one more bin), and over the cycles in a bin. Bins start with different cycles and episodes
    with different bins, so that remainders are balanced too. The order within a stratum is random.
    """
    if len(frames) <= most:
        return np.arange(len(frames))
    rng = np.random.default_rng(seed)
    part = phase_bin(frames.phase, frames.cycle, PHASE_BINS)
    part = rng.permutation(PHASE_BINS + 1)[np.where(part < 0, PHASE_BINS, part)]
    episode = _shuffled_ids(frames.series, rng)
    cycle = _shuffled_ids(frames.cycle, rng)
    bins = len(np.unique(episode * (PHASE_BINS + 1) + part))
    per_bin, per_episode = (max(1, round(most / n)) for n in (bins, int(episode.max()) + 1))

    rank = _rank((rng.permutation(len(frames)),), (episode, part, cycle))
    rank = _rank((rank, _rotated_cycle_rank(cycle, part * per_bin, episode)), (episode, part))
    rank = _rank((rank, (part + episode * per_episode) % (PHASE_BINS + 1)), (episode,))
    return np.sort(np.lexsort((episode, rank))[:most])


def _shuffled_ids(group: Numbers, rng: np.random.Generator) -> Numbers:
    """Renumber groups 0, 1, 2 … in random order."""
    ids, index = np.unique(group, return_inverse=True)
    return rng.permutation(len(ids))[index]


def _rotated_cycle_rank(cycle: Numbers, shift: Numbers, episode: Numbers) -> Numbers:
    """Rank of the cycle of each frame in its episode, shifted circularly."""
    cycles = int(cycle.max()) + 1
    pairs, index = np.unique(episode * cycles + cycle, return_inverse=True)
    pair_episode = pairs // cycles
    first = np.searchsorted(pair_episode, pair_episode)
    count = np.searchsorted(pair_episode, pair_episode, side="right") - first
    rank = np.arange(len(pairs)) - first
    return (rank[index] + shift) % count[index]


def _rank(keys: tuple[Numbers, ...], groups: tuple[Numbers, ...]) -> Numbers:
    """Rank of each frame, from 0, by `keys` (primary first) among those with equal `groups`."""
    order = np.lexsort((*groups, *keys)[::-1])
    sorted_groups = np.stack(groups)[:, order]
    is_first = np.append(True, (np.diff(sorted_groups, axis=1) != 0).any(axis=0))
    first = np.flatnonzero(is_first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    return rank


# Feature spaces -----------------------------------------------------------------------------------

Space = Literal["latent", "obs", "gait"]

SPACE_METRICS: dict[Space, Metric] = {"latent": "cosine", "obs": "euclidean", "gait": "euclidean"}
"""Latents are compared by cosine, as in Glass; the other spaces are standardised."""

SPACE_NAMES: dict[Space, str] = {
    "latent": "latents",
    "obs": "observations, each standardised",
    "gait": "gait features (height, speed, pitch of every body, floor contacts), each standardised",
}


def features(
    traces: Sequence[Trace], space: Space, encoder: Encoder | None = None
) -> Float32[np.ndarray, "frames features"]:
    """Feature vectors of all frames, trace by trace.

    Latents are unit vectors, so that Euclidean distance and cosine give the same ranks; `encoder`
    None uses the recorded ones.

    Raises:
        GlassvizError: a number is not finite, dimensions differ, or all frames are identical.
    """
    rows = [_rows(trace, space, encoder) for trace in traces]
    dimensions = {part.shape[1] for part in rows}
    if len(dimensions) > 1:
        raise GlassvizError(
            f"map: expected {SPACE_NAMES[space].split(',')[0]} of one dimension, found "
            f"{' and '.join(sorted(map(str, dimensions)))}: map the runs one by one"
        )
    for trace, part in zip(traces, rows, strict=True):
        not_finite = int((~np.isfinite(part).all(axis=1)).sum())
        if not_finite:
            raise GlassvizError(
                f"trace of {trace.header['checkpoint']['name']}: expected finite numbers to map, "
                f"found others in {not_finite} of {len(part)} frames: record it again with "
                f"`glassviz rollout`"
            )
    joined = np.concatenate(rows)
    vectors = unit_vectors(joined) if space == "latent" else _standardised(joined)
    variance = vectors.var(axis=0, dtype=np.float64).sum()
    if variance < 1e-9:
        raise GlassvizError(
            f"trace of {traces[0].header['checkpoint']['name']}: expected frames that differ, "
            f"found the same {SPACE_NAMES[space].split(',')[0]} in all {len(vectors)}: there is "
            f"nothing to map"
        )
    return vectors


def _rows(
    trace: Trace, space: Space, encoder: Encoder | None
) -> Float[np.ndarray, "frames features"]:
    if space == "latent" and encoder:
        return encoder.latents(trace)
    if space == "latent":
        return trace.latent.reshape(-1, trace.latent.shape[2])
    if space == "obs":
        return trace.obs.reshape(-1, trace.obs.shape[2]).astype(np.float64)
    known = (each for each in ("height", "speed") if each not in trace.unknown)
    scalars = [getattr(trace, name)[..., None] for name in known]
    parts = *scalars, np.sin(trace.angles), np.cos(trace.angles), trace.contacts
    rows = np.concatenate([part.astype(np.float64) for part in parts], axis=2)
    return rows.reshape(-1, rows.shape[2])


def _standardised(
    rows: Float[np.ndarray, "frames features"],
) -> Float32[np.ndarray, "frames features"]:
    """Features with mean 0 and standard deviation 1; constant features are 0."""
    centred = rows - rows.mean(axis=0)
    scale = centred.std(axis=0)
    return np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 1e-9).astype(
        np.float32
    )
