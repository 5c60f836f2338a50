"""From assessed runs to the interactive page."""

from collections.abc import Callable, Sequence

import numpy as np

from glassviz import provenance
from glassviz.analysis.naming import GAIT_PHASES
from glassviz.many import Failed
from glassviz.maps.frames import return_to_go
from glassviz.maps.projection import Method
from glassviz.report.answers import answers_of
from glassviz.report.compose import assessed_row, failed_row, tone_of
from glassviz.report.interactive.films import Projectionist
from glassviz.report.interactive.graph import graph_of
from glassviz.report.interactive.matches import matches_of
from glassviz.report.interactive.page import NO_STATE, EpisodeView, InteractivePage, RunView
from glassviz.report.interactive.places import Places, places_of
from glassviz.report.interactive.states import PHASE_COLORS, gait_of, states_of
from glassviz.report.verdict import verdict_of
from glassviz.stability import Assessed, RunStability
from glassviz.stability.wording import named, shown_return
from glassviz.trace import Trace
from glassviz.video.clip import CONTROLLER_NAMES
from glassviz.video.frames import OpenRenderer
from glassviz.video.renderer import MujocoRenderer


def compose(
    rows: Sequence[Assessed | Failed],
    command: str,
    films: int = 1,
    method: Method = "umap",
    on_frame: Callable[[int, int], None] = lambda done, total: None,
    open_renderer: OpenRenderer = MujocoRenderer,
) -> InteractivePage:
    """Compose the page; traces are read again, filmed and mapped.

    Coordinates of maps are kept beside the traces, where `glassviz map` finds them too.

    Args:
        rows: of `assess_all`.
        command: the command line that asked for it.
        films: how many episodes of each run it shows: for 1 the one with the median return, else
            evenly from the least to the most.
        method: of the maps.
        on_frame: called with frames filmed and in all.
        open_renderer: what draws the films.

    Raises:
        GlassvizError: a trace is no longer what it was.
    """
    assessed = [row for row in rows if isinstance(row, Assessed)]
    chosen = {id(row): chosen_episodes(row.stability, films) for row in assessed}
    total = sum(len(chosen[id(row)]) * row.stability.frames for row in assessed)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        on_frame(done, total)

    runs: dict[int, RunView] = {}
    found: dict[str, bytes] = {}
    with Projectionist(open_renderer) as projectionist:
        for own in _by_checkpoint(assessed):
            traces = [row.load() for row in own]
            places = places_of(traces, own[0].trace.parent, method)
            for i, (row, trace) in enumerate(zip(own, traces, strict=True)):
                keys: dict[int, str] = {}
                for episode in chosen[id(row)]:
                    film = projectionist.film(trace, episode, tick)
                    if film is not None:
                        keys[episode] = f"{trace.sha256[:12]}-{episode + 1}"
                        found[keys[episode]] = film
                runs[id(row)] = _run(row, trace, places, i, chosen[id(row)], keys)
    order = {id(row): str(number) for number, row in enumerate(assessed)}
    return InteractivePage(
        command=command,
        verdict=verdict_of(rows),
        rows=tuple(
            assessed_row(row, order[id(row)]) if isinstance(row, Assessed) else failed_row(row)
            for row in rows
        ),
        runs=tuple(runs[id(row)] for row in assessed),
        films=found,
        no_films=projectionist.failure,
        matches=matches_of(assessed),
        gait_phases=tuple(zip(GAIT_PHASES, PHASE_COLORS, strict=True)),
        versions=provenance.versions(),
    )


def chosen_episodes(run: RunStability, count: int) -> tuple[int, ...]:
    """Episodes to show, by rising return: the median one, or evenly from the least to the most."""
    order = np.argsort([each.episode_return for each in run.episodes], kind="stable")
    last = len(order) - 1
    places = [last // 2] if count == 1 else np.linspace(0, last, min(count, len(order))).round()
    return tuple(int(order[int(place)]) for place in places)


def _by_checkpoint(rows: Sequence[Assessed]) -> list[list[Assessed]]:
    """Runs that share a latent space, and so a map."""
    groups: dict[tuple[str, str], list[Assessed]] = {}
    for row in rows:
        groups.setdefault((row.stability.checkpoint_sha256, row.name), []).append(row)
    return list(groups.values())


def _run(
    row: Assessed,
    trace: Trace,
    places: Places,
    number: int,
    chosen: Sequence[int],
    films: dict[int, str],
) -> RunView:
    run = row.stability
    gait = gait_of(trace, run)
    states, state = states_of(trace, run, gait)
    phase = np.stack([each.gait.cycles.phase for each in run.episodes]) / (2 * np.pi)
    phase = phase.astype(np.float32)
    to_go, total = return_to_go(trace), np.cumsum(trace.reward, axis=1)
    shown = []
    for e in sorted(chosen):
        own = run.episodes[e]
        shown.append(
            EpisodeView(
                number=e + 1,
                episode_return=own.episode_return,
                basin=own.basin.name,
                tone=tone_of(own.basin.name),
                reason=own.basin.reason,
                state=state[e],
                gait=gait[e],
                cycle=own.gait.cycles.cycle.astype(np.int16),
                phase=phase[e],
                xy=places.xy[number][e],
                height=trace.height[e].astype(np.float32),
                value=trace.value[e],
                spread=trace.value_spread[e],
                to_go=to_go[e].astype(np.float32),
                total=total[e].astype(np.float32),
                film=films.get(e),
            )
        )
    return RunView(
        name=row.name,
        controller=run.controller,
        by=CONTROLLER_NAMES.get(run.controller, run.controller),
        checkpoint=run.checkpoint_sha256,
        labels_from=run.labels_from,
        basin=named(run.basin.name, run.basin.split),
        tone=tone_of(run.basin.name),
        reasons=run.basin.reasons,
        summary=f"Return {shown_return(run.returns)} over {len(run.episodes)} episodes. "
        f"Gait: {named(run.gait.name, run.gait.split)}.",
        episodes=len(run.episodes),
        dt_s=run.frame_dt_s,
        states=states,
        map=places.of(number, states),
        graph=graph_of(
            np.where(gait == NO_STATE, gait, state), phase, [int(each.key) for each in states]
        ),
        answers=answers_of(row),
        shown=tuple(shown),
    )
