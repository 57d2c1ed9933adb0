"""The bundle that ships: whole, small, and of use."""

import numpy as np
import pytest

from app.engine.decode import decode
from app.runtime.protocol import Query
from app.runtime.ssvp import SSVPRuntime, load_runtime
from model.bundle import MANIFEST_FILE, SHIPPED, read_bundle
from model.config import SSVP_NANO
from model.data.held_out import held_out_samples

FOLDER = SHIPPED / "ssvp-nano"
SIZE_LIMIT = 25 * 2**20


@pytest.fixture(scope="module")
def runtime() -> SSVPRuntime:
    """The shipped bundle on the CPU."""
    return load_runtime("ssvp-nano", "cpu")


def test_files_are_those_of_the_manifest_and_nothing_else() -> None:
    """No pickle, no leftovers, under 25 MB."""
    files = [f for f in FOLDER.iterdir() if f.suffix != ".md"]
    assert {f.name for f in files} == {MANIFEST_FILE, *read_bundle("ssvp-nano").files}
    assert sum(f.stat().st_size for f in files) < SIZE_LIMIT


def test_architecture_is_the_preset(runtime: SSVPRuntime) -> None:
    """`make train-nano` would make the same model again."""
    assert runtime._config == SSVP_NANO


def test_the_golden_image_keeps_its_score(runtime: SSVPRuntime) -> None:
    """On this machine as on the one it was exported on."""
    golden = runtime.info.golden
    image = decode(golden.png, 10**6)
    found = runtime.predict([Query(runtime.prepare(image), golden.product)])[0]
    assert abs(found.score - golden.score) <= golden.tolerance


def test_it_separates_families_it_was_never_trained_on(runtime: SSVPRuntime) -> None:
    """A defective twin scores above its normal twin more often than chance could explain.

    Forty twins a family, 200 in all: chance reaches 0.6 once in 400 runs. The bundle has the measured figures.
    """
    scores = [
        runtime.predict([Query(runtime.prepare(s.image), s.product)])[0].score
        for s in held_out_samples(40, 256)
    ]
    normal, anomalous = np.array(scores[::2]), np.array(scores[1::2])
    assert (anomalous > normal).mean() > 0.6


def test_measured_figures_are_recorded(runtime: SSVPRuntime) -> None:
    """Of families it was never trained on, better than chance, in the manifest that `ssvp bundle` shows."""
    metrics = runtime._bundle.manifest.metrics
    assert 0.5 < metrics["procedural"]["image_auroc"] <= 1
    assert 0.5 < metrics["procedural"]["pixel_auroc"] <= 1
