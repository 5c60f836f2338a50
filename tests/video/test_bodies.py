"""Pictures of other bodies: their camera, their floor, and what resets place."""

import numpy as np
import pytest

from glassviz import envs
from glassviz.agents.config import EnvConfig
from glassviz.envs.bodies import task_of
from glassviz.errors import UsageError
from glassviz.video.backdrop import BACKGROUNDS
from glassviz.video.opengl import choose_backend
from glassviz.video.renderer import FULL_VIEW, MujocoRenderer, Scene


def open_scene(task, background="sky", camera=None):
    choose_backend()
    camera = camera or task_of(task).body.camera
    scene = Scene(task, "dm_control", camera, 96, 72, "fast", FULL_VIEW, background)
    return MujocoRenderer(scene)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("task", ["cheetah-run", "humanoid-walk", "finger-spin", "reacher-easy"])
def test_every_background_shows_the_body(task, background):
    step = envs.make(EnvConfig(task=task), 1).reset([0])
    with open_scene(task, background) as renderer:
        renderer.begin(0)
        picture = renderer.render(step.qpos[0], step.qvel[0]).copy()
        away = renderer.render(step.qpos[0] + 0.5, step.qvel[0])
    assert not np.array_equal(picture, away) and picture.std() > 3


def test_a_target_is_where_the_reset_of_the_episode_put_it():
    qpos, qvel = np.zeros(2), np.zeros(2)
    with open_scene("reacher-easy") as renderer:
        pictures = []
        for seed in (1, 2, 1):
            renderer.begin(seed)
            pictures.append(renderer.render(qpos, qvel).copy())
    assert np.array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])


def test_a_terrain_is_that_of_the_episode():
    task = task_of("quadruped-escape")
    with open_scene(task.name) as renderer:
        pictures = []
        for seed in (1, 2):
            renderer.begin(seed)
            step = envs.make(EnvConfig(task=task.name), 1).reset([1])
            pictures.append(renderer.render(step.qpos[0], step.qvel[0]).copy())
    assert not np.array_equal(*pictures)


def test_a_walker_does_not_leave_the_floor_when_it_goes_backwards():
    with open_scene("walker-walk") as renderer:
        here = renderer.render(np.zeros(9), np.zeros(9)).copy()
        qpos = np.zeros(9)
        qpos[1] = -40.0  # x of the root; the floor's pattern repeats every 4 m
        far = renderer.render(qpos, np.zeros(9)).copy()
    corner = np.s_[-12:, :12]
    assert np.abs(far[corner].astype(int) - here[corner].astype(int)).mean() < 25


def test_an_unknown_camera_is_met_with_those_of_the_body():
    with pytest.raises(UsageError, match="expected one of side, back, found 'cam0'"):
        open_scene("walker-walk", camera="cam0")
