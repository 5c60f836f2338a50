"""Pages that several modules look at. To compose one takes seconds, and nobody changes them.

What draws is imported in the fixtures: a backend for OpenGL is chosen after this file is read.
"""

import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The traces of `save_traces`."""
    from tests.helpers.interactive_page import save_traces

    folder = tmp_path_factory.mktemp("traces")
    save_traces(folder)
    return folder


@pytest.fixture(scope="session")
def page(folder):
    from tests.helpers.interactive_page import composed

    return composed(folder)


@pytest.fixture(scope="session")
def path(page, tmp_path_factory):
    """The file of `page`."""
    from glassviz.report.interactive.html import write

    path = tmp_path_factory.mktemp("page") / "r.html"
    write(page, path)
    return path


@pytest.fixture(scope="session")
def walker(tmp_path_factory):
    """The file of a page of a walker that walks, and its labels with it."""
    import numpy as np

    from glassviz.report.interactive.html import write
    from tests.helpers.interactive_page import composed, playable
    from tests.helpers.planted_bodies import plan_of, synthesise

    folder = tmp_path_factory.mktemp("walker")
    trace = synthesise(plan_of("walk", frames=700), np.random.default_rng(0))
    playable(trace).save(folder / "walker.npz")
    write(composed(folder / "walker.npz"), folder / "walker.html")
    return folder / "walker.html"


@pytest.fixture(scope="session")
def filmless(folder):
    """A page without films, as on a machine without OpenGL."""
    from tests.helpers.fake_renderer import NoRenderer
    from tests.helpers.interactive_page import composed

    return composed(folder / "e.npz", open_renderer=NoRenderer)


@pytest.fixture(scope="session")
def twins_folder(tmp_path_factory):
    """The traces of `save_twins`."""
    from tests.helpers.interactive_page import save_twins

    folder = tmp_path_factory.mktemp("twins")
    save_twins(folder)
    return folder


@pytest.fixture(scope="session")
def twins(twins_folder):
    """Their page, with two episodes of each."""
    from tests.helpers.interactive_page import composed

    return composed(twins_folder, films=2)
