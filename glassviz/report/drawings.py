"""The figures of one checkpoint under one controller."""

import numpy as np

from glassviz.plots import audit, labels
from glassviz.report.page import Drawing
from glassviz.stability import RunStability

MOST_EPISODES = 40
"""A raster shows so many at most."""


def drawings_of(run: RunStability, name: str) -> tuple[Drawing, ...]:
    """Raster, dwell, occupancy and temperature audit; those that cannot be drawn say why.

    Args:
        run: what was found.
        name: put before the name of each.
    """
    if run.occupancy is None:
        return ()
    return (
        _raster(run, f"{name}-raster"),
        _dwell(run, f"{name}-dwell"),
        _occupancy(run, f"{name}-occupancy"),
        _audit(run, f"{name}-audit"),
    )


def _raster(run: RunStability, name: str) -> Drawing:
    rasters = {
        episode.episode + 1: episode.steady_labels.raster
        for episode in run.episodes
        if episode.steady_labels and len(episode.steady_labels.raster)
    }
    shown = dict(list(rasters.items())[:MOST_EPISODES])
    missing = len(run.episodes) - len(rasters)
    told = (
        f"labels of {sum(map(len, shown.values()))} gait cycles in {len(shown)} episodes"
        if rasters
        else "There are no gait cycles to draw."
    )
    caption = (
        "A column is a gait cycle, from touchdown at the bottom to the next at the top; a block is "
        "an episode. Bands: each phase keeps its label. Noise: it does not."
    )
    if rasters and missing:
        caption += f" {missing} of {len(run.episodes)} episodes have no gait cycle."
    if len(shown) < len(rasters):
        caption += f" The first {MOST_EPISODES} are shown."
    figure = labels.label_raster(shown) if rasters else None
    terms = ("locking_u", "fleiss_kappa")
    return Drawing(name, "Labels by gait cycle and phase", told, caption, figure, terms)


def _dwell(run: RunStability, name: str) -> Drawing:
    steady = any(episode.gait.cycles.count for episode in run.episodes)
    found = [episode.steady_labels if steady else episode.labels for episode in run.episodes]
    segments = [each.segments for each in found if each]
    whole = [(each.label[~each.censored], each.length[~each.censored]) for each in segments]
    label = np.concatenate([own for own, _ in whole])
    seconds = np.concatenate([length for _, length in whole]) * run.frame_dt_s
    dwell_s = {int(k): seconds[label == k] for k in np.unique(label)}
    names = {each.label: each.name for each in run.label_names}
    frames = "steady frames" if steady else "all frames, for there are no gait cycles"
    told = (
        f"dwell times of {len(dwell_s)} labels"
        if dwell_s
        else "No label was seen to come and to go."
    )
    caption = (
        f"How long labels stay before they switch, over {frames}; n segments that were seen whole, "
        f"all bars of a label to one scale. The upright line is the median; the last bar holds "
        f"whatever lasts longer."
    )
    figure = labels.dwell_histograms(dwell_s, names, run.frame_dt_s) if dwell_s else None
    return Drawing(name, "Dwell", told, caption, figure, ("dwell_cv",))


def _occupancy(run: RunStability, name: str) -> Drawing:
    shares = {}
    for title, found in (
        ("all frames", [episode.labels for episode in run.episodes]),
        ("steady frames", [episode.steady_labels for episode in run.episodes]),
    ):
        own = [each for each in found if each and each.frames]
        if own:
            weights = [each.frames for each in own]
            shares[title] = np.average([each.occupancy.share for each in own], 0, weights)
    caption = "How the frames are shared out between the labels; steady frames are in gait cycles."
    told = f"shares of labels among {' and '.join(shares)}" if shares else "There are no frames."
    figure = labels.occupancy_bars(shares) if shares else None
    return Drawing(name, "Occupancy", told, caption, figure, ("dominant_share",))


def _audit(run: RunStability, name: str) -> Drawing:
    title = "Temperature audit"
    caption = (
        "Soft metrics of the median episode as they would be at other temperatures; the dotted "
        "line is the checkpoint's own. Where the left curves lie near 0 there, soft metrics are "
        "blind: whatever the agent does passes for stable."
    )
    terms = ("rule_agreement", "confidence")
    if not run.audit:
        told = (
            "No temperature audit: fitted labels have no temperature."
            if run.tau is None
            else "No temperature audit: the trace does not hold the partition, or no frame is left."
        )
        return Drawing(name, title, told, caption, None, terms)
    assert run.tau is not None
    curves = audit.AuditCurves(
        tau=[each.tau for each in run.audit],
        own_tau=run.tau,
        within_cycle_mi_bits=[each.within_cycle_mi_bits for each in run.audit],
        between_cycle_mi_bits=[each.between_cycle_mi_bits for each in run.audit],
        confidence=[each.confidence for each in run.audit],
        rule_agreement=[each.rule_agreement for each in run.audit],
    )
    own = next(each for each in run.audit if each.tau == run.tau)
    told = (
        f"soft metrics against the temperature; at the checkpoint's own, {run.tau:g}, confidence "
        f"is {own.confidence:.2f} and rule agreement {own.rule_agreement:.2f}"
    )
    return Drawing(name, title, told, caption, audit.temperature_audit(curves), terms)
