"""A table as a matrix of runs: every row, seed and data set that there is, one after another.

Knows which data sets the paper trains and tests on; `runs` makes each run, `summary` writes the table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data.manifest import open_data
from model.data.row import TEST
from model.data.sets import count
from model.report import cautions_of
from model.reproduce.runs import ExperimentSetup, Run, TowersMissingError
from model.reproduce.summary import Cell, cells, save_table
from model.reproduce.variants import STATIC, Variant, variants_of

AUXILIARY = "visa"
TARGETS = ("mvtec", "visa", "btad", "ksdd2", "rsdd", "dagm", "dtd")


def protocol(data: Path, table: str) -> list[tuple[Path, Path]]:
    """Return pairs of manifests, trained on and tested on: the paper's cross-data-set protocol.

    VisA is what is trained on, and every other set is tested; VisA itself is tested after training on
    MVTec-AD. All tables but the first are about MVTec-AD alone.

    Args:
        data: folder with the manifests, each named after its set, `visa.jsonl`.
        table: its name.
    """
    pairs = []
    for target in TARGETS if table == "1" else ("mvtec",):
        source = "mvtec" if target == AUXILIARY else AUXILIARY
        pairs.append((data / f"{source}.jsonl", data / f"{target}.jsonl"))
    return [(s, t) for s, t in pairs if s.exists() and t.exists()]


def reproduce(
    table: str,
    setup: ExperimentSetup,
    pairs: Sequence[tuple[Path, Path]],
    seeds: int,
    tell: Callable[[str], None],
) -> Path:
    """Run what has not been run of a table and write its summary; call it again after a stop.

    Args:
        table: its name in `variants.TABLES`.
        setup: what the runs share.
        pairs: manifests trained on and tested on.
        seeds: how many seeds each row is trained from, 1, 2, ...
        tell: told each finished row.

    Returns:
        The summary, Markdown.
    """
    found: list[Cell] = []
    missing: list[str] = []
    cautions: dict[str, list[str]] = {}
    tests = [(train_on, _tested(test_on)) for train_on, test_on in pairs]
    for variant in variants_of(table, setup.config):
        try:
            for train_on, tested in tests:
                cautions[tested.dataset] = tested.cautions
                row = list(_row(table, setup, variant, train_on, tested, seeds))
                found += row
                tell(f"{variant.label}, {tested.dataset}: " + _line(row))
                save_table(table, found, missing, cautions, setup.out)
        except TowersMissingError as error:
            missing.append(str(error))
            tell(f"not run: {error}")
    return save_table(table, found, missing, cautions, setup.out)


@dataclass(frozen=True)
class _Tested:
    """A manifest, the data set its rows are of, and how that differs from what the paper measured."""

    manifest: Path
    dataset: str
    cautions: list[str]


def _tested(manifest: Path) -> _Tested:
    rows = open_data(manifest)
    names = {row.dataset for row in rows}
    dataset = names.pop() if len(names) == 1 else manifest.stem
    return _Tested(manifest, dataset, cautions_of(count(rows, TEST), dataset))


def _row(
    table: str,
    setup: ExperimentSetup,
    variant: Variant,
    train_on: Path,
    tested: _Tested,
    seeds: int,
) -> list[Cell]:
    tries = 1 if variant is STATIC else seeds  # nothing in it is drawn
    runs = [Run(setup, variant, train_on, seed) for seed in range(1, tries + 1)]
    reports = [r.report(tested.manifest) for r in runs]
    return list(cells(table, variant.label, tested.dataset, reports))


def _line(row: Sequence[Cell]) -> str:
    return ", ".join(f"{c.metric} {c.ours:.2f}" for c in row[:6] if c.ours is not None)
