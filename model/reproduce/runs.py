"""One run of a matrix: train a variant once, measure it on a data set once, and remember both.

A run's folder is named after all that decides its outcome, so tables share runs and a stopped matrix goes on
where it was. Knows folders; knows no table.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from model.alignment import Alignment, measure_alignment
from model.assembly import SSVP
from model.baselines.static import static_config
from model.checkpoint import (
    CONFIG_FILE,
    TRAINED_HEADS_FILE,
    load_config,
    load_model,
    load_untrained,
    save_json,
    towers_digests,
)
from model.config import SSVPConfig
from model.data.manifest import open_data, read_manifest, rows_digest
from model.data.pixels import read_sample
from model.data.row import ManifestRow
from model.evaluate import measure
from model.reproduce.variants import STATIC, Variant
from model.scoring import RowScorer, tokens_from
from model.ssvp.heads import SSVPHeads
from model.tokens import TokenBatch, TokenCache
from model.training import ProgressBar, TrainRequest, run_training

REPORT_FILE = "report.json"


@dataclass(frozen=True)
class ExperimentSetup:
    """What all runs of a matrix share.

    Attributes:
        towers: run folder with the base model's towers; other towers stand beside it.
        config: the base model's.
        out: folder of all runs.
        device: where to train and measure.
        recipe: changes of the recipe that all runs share.
        workers: processes that read images.
        cache: folder for tokens, or None.
        progress_bar: opens a bar of that title.
    """

    towers: Path
    config: SSVPConfig
    out: Path
    device: torch.device
    recipe: Mapping[str, Any]
    workers: int
    cache: Path | None
    progress_bar: ProgressBar


class TowersMissingError(Exception):
    """A variant needs towers that nobody has fetched."""


@dataclass(frozen=True)
class Run:
    """A variant trained on one manifest from one seed."""

    setup: ExperimentSetup
    variant: Variant
    train_on: Path
    seed: int

    @property
    def towers(self) -> Path:
        """Where the towers of the variant are."""
        other = self.variant.towers
        return self.setup.towers if other is None else self.setup.towers.parent / other

    @property
    def config(self) -> SSVPConfig:
        """The variant's whole config."""
        if self.variant is STATIC:
            return static_config(self.setup.config)
        return self.variant.config(self.setup.config)

    @cached_property
    def folder(self) -> Path:
        """Where the run is kept."""
        facts: list[Any] = [
            self.config.to_dict(),
            dict(self.setup.recipe),
            dict(self.variant.losses),
        ]
        facts += [self.train_on.name, rows_digest(read_manifest(self.train_on))]
        facts += [towers_digests(self.towers), self.seed]
        digest = hashlib.sha256(json.dumps(facts).encode())
        return self.setup.out / "runs" / f"{digest.hexdigest()[:12]}-seed{self.seed}"

    def model(self) -> SSVP:
        """Return the trained model, training it first where that has not been done."""
        if self.variant is STATIC:
            return load_untrained(self.towers, self.config).to(self.setup.device).eval()
        if not (self.folder / TRAINED_HEADS_FILE).exists():
            request = TrainRequest(
                towers=self.towers,
                config=self.config,
                data=str(self.train_on),
                recipe={**self.setup.recipe, "losses": self.variant.losses, "seed": self.seed},
                workers=self.setup.workers,
                cache=self.setup.cache,
            )
            run_training(request, self.folder, self.setup.device, self.setup.progress_bar)
        if load_config(self.folder) != self.config:
            raise ValueError(f"{self.folder} holds a run of another config")
        return load_model(self.folder).to(self.setup.device)

    def report(self, data: Path) -> dict[str, Any]:
        """Return the figures on a manifest's test split, measuring them where that has not been done.

        Raises:
            TowersMissingError: there are no such towers.
        """
        if not (self.towers / CONFIG_FILE).exists():
            raise TowersMissingError(f"{self.variant.label}: no towers in {self.towers}")
        rows = open_data(data)
        path = self.folder / f"{data.stem}-{rows_digest(rows)[:12]}" / REPORT_FILE
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            found = self._measure(data.stem, rows)
            save_json({"label": self.variant.label, "seed": self.seed, **found}, path)
        report: dict[str, Any] = json.loads(path.read_text())
        return report

    def _measure(self, name: str, rows: list[ManifestRow]) -> dict[str, Any]:
        model = self.model()
        cache = self.setup.cache and TokenCache(self.setup.cache, model, self.setup.device)
        aligned = Alignment()

        def watch(batch: TokenBatch) -> None:
            nonlocal aligned
            aligned += measure_alignment(model, batch)

        with self.setup.progress_bar(f"{self.variant.label}, {name}") as progress:
            if cache:
                cache.fill(rows, lambda done, total: progress(done, total, {}))
            methods_own = isinstance(model.heads, SSVPHeads)
            scorer = RowScorer(
                model,
                rows,
                tokens_from(model, self.setup.device, cache or None),
                watch if methods_own else lambda _: None,
            )
            done = 0

            def advance(count: int) -> None:
                nonlocal done
                done += count
                progress(done, len(rows), {})

            report = measure((read_sample(r) for r in rows), scorer, progress=advance)
        found = asdict(report)
        return {**found, "alignment": aligned.figures()} if methods_own else found
