"""What a report says, to a machine and to a person."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from model.evaluate import Report, measure
from model.reference import best_of_others, paper_figures, paper_figures_of_class
from model.report import (
    NOTES,
    PAPER_SOURCE,
    SHORT_COLUMNS,
    About,
    cautions,
    save_report,
    seen_note,
    size_note,
    table,
)
from tests.scored import sample_of, score


@pytest.fixture
def report() -> Report:
    """Return the figures of two categories, one without an anomalous image."""
    samples = [
        sample_of("metal_nut", None, 10),
        sample_of("metal_nut", "dent", 200),
        sample_of("tile", None, 100),
    ]
    return measure(samples, score)


def test_json_is_json_even_where_nothing_is_defined(report: Report, tmp_path: Path) -> None:
    """Undefined figures are null; `macro.image_auroc` is where scripts look for it."""
    save_report(report, About("nano 1.0", "parts"), tmp_path / "out")
    text = (tmp_path / "out" / "report.json").read_text()
    saved = json.loads(text, parse_constant=pytest.fail)
    assert saved["macro"]["image_auroc"] == 1.0
    assert saved["categories"]["tile"]["image_auroc"] is None
    assert saved["about"]["model"] == "nano 1.0"
    assert saved["map_size_px"] == 8
    assert "paper" not in saved


def test_markdown_is_a_table_with_every_category_and_defect(report: Report, tmp_path: Path) -> None:
    """Title, one row each, means; every row has as many cells as the heading."""
    save_report(report, About("nano 1.0", "parts"), tmp_path)
    lines = (tmp_path / "report.md").read_text().splitlines()
    assert lines[0] == "# nano 1.0 on parts"
    assert (
        lines[2] == "3 images. Pixel-level figures are taken at 8 px, the size of the anomaly map."
    )
    rows = [line for line in lines if line.startswith("|")]
    assert rows[2].startswith("| metal_nut | all | 2 | 1.000 | 1.000 | 1.000 | 0.929 | 0.500 |")
    assert rows[3].startswith("|  | dent | 1 | 1.000 |")
    assert rows[4].startswith("| tile | all | 1 | - |")
    assert rows[5] == "| mean | all | 3 | 1.000 | 1.000 | 1.000 | 0.929 | 0.500 | 0.762 | - |"
    assert rows[6].startswith("| mean | per defect |  |  |  |  | 1.000 |  |")
    assert len(rows) == 7
    assert len({row.count("|") for row in rows}) == 1
    assert rows[0].endswith(
        "| image AUROC | F1-max | AP | pixel AUROC | pixel AP | PRO | PRO, 200 steps |"
    )
    assert lines[-1] == NOTES


def test_short_columns_are_those_of_the_terminal(report: Report) -> None:
    """In the order of its headings, which abbreviate them; every image is counted."""
    nut = report.categories["metal_nut"]
    more = replace(nut, anomalous=5, defects={"dent": replace(nut.defects["dent"], images=5)})
    rows = table(replace(report, categories={"nut": more}), About("nano", "parts"), SHORT_COLUMNS)
    names = ("image AUROC", "F1-max", "AP", "pixel AUROC", "pixel AP", "PRO")
    assert rows[0] == ("category", "defect", "images", *names)
    assert [row[:3] for row in rows[1:4]] == [
        ("nut", "all", "6"),
        ("", "dent", "5"),
        ("mean", "all", "6"),
    ]


def test_the_size_of_the_maps_is_the_reports(report: Report) -> None:
    """Figures of other sizes are not to be compared."""
    assert "at 518 px" in size_note(replace(report, map_size_px=518))


def test_the_papers_figures_stand_beside_a_known_set(report: Report, tmp_path: Path) -> None:
    """For MVTec-AD: SSVP's row of each class and of the set, the best of the others, and where it is from."""
    about = About("large 1.0", "mvtec.jsonl", "mvtec")
    rows = table(report, about)
    assert ("", "SSVP, paper", "", "0.788", "", "", "0.748", "", "", "") in rows
    assert rows[-2] == (
        "",
        "SSVP, paper",
        "",
        "0.930",
        "0.933",
        "0.967",
        "0.922",
        "0.500",
        "0.890",
        "",
    )
    best = {k: f"{v:.3f}" for k, v in best_of_others("mvtec").items()}
    short = table(report, about, SHORT_COLUMNS)[-1]
    assert short == ("", "best other, paper", "", *(best[c] for c in SHORT_COLUMNS))
    save_report(report, about, tmp_path)
    paper = json.loads((tmp_path / "report.json").read_text())["paper"]
    assert paper["SSVP"]["pro"] == 0.89
    assert paper["categories"]["metal_nut"]["image_auroc"] == 0.788
    assert None not in paper["categories"].values()
    assert paper["best_other"] == best_of_others("mvtec")
    assert paper["source"] == PAPER_SOURCE
    assert "arXiv 2601.09147v2" in (tmp_path / "report.md").read_text()


def test_a_comparison_that_is_none_is_called_so(report: Report, tmp_path: Path) -> None:
    """Three images are not MVTec-AD, and the paper contradicts itself there: both stand below the table."""
    save_report(report, About("large 1.0", "mvtec.jsonl", "mvtec"), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "- Measured here: 2 + 1 images (normal + anomalous), not 467 + 1258" in text
    assert "- Table 1 gives P-AUROC 92.2 on MVTec-AD" in text
    saved = json.loads((tmp_path / "report.json").read_text())
    assert len(saved["paper"]["cautions"]) == 2


def test_a_full_set_needs_no_caution(report: Report) -> None:
    """With the published number of images only the paper's own contradictions remain: VisA has none."""
    nut = replace(report.categories["metal_nut"], normal=962, anomalous=1200, unmarked=3)
    assert cautions(replace(report, categories={"nut": nut}), "visa") == []
    assert cautions(report, "parts") == []


def test_a_set_measured_in_one_of_several_ways_needs_no_caution(report: Report) -> None:
    """RSDD's Type-I alone is what some measure; any other number is held against all of them by name."""
    rail = replace(report.categories["metal_nut"], normal=0, anomalous=67)
    of_one_type = replace(report, categories={"type-i": rail})
    doubts = cautions(of_one_type, "rsdd")
    assert not any(c.startswith("Measured here") for c in doubts)
    first, *others = cautions(report, "rsdd")
    assert others == doubts
    assert "not 0 + 195 (originals of both types) or 0 + 67 (originals of Type-I) or" in first


def test_the_report_counts_images_that_pixel_figures_leave_out(tmp_path: Path) -> None:
    """Whoever reads the file learns it as well as whoever saw the terminal."""
    unmarked = replace(sample_of("nut", "dent", 200), mask=None)
    save_report(measure([unmarked], score), About("nano 1.0", "parts"), tmp_path)
    assert "leave out 1 anomalous without a mask." in (tmp_path / "report.md").read_text()


def test_reference_figures_are_those_of_the_tables() -> None:
    """Read by our names, in [0, 1]; what the paper does not report is not there."""
    assert paper_figures("visa", "AdaCLIP")["pixel_ap"] == pytest.approx(0.264)
    assert best_of_others("visa")["pixel_auroc"] == pytest.approx(0.952)
    assert paper_figures("ksdd2-crops", "SSVP") == paper_figures("ksdd2", "SSVP")
    assert paper_figures("magnetic-tile", "SSVP") == {}
    assert paper_figures_of_class("mvtec", "unheard_of") is None


def test_figures_on_what_was_trained_on_are_not_called_zero_shot(
    report: Report, tmp_path: Path
) -> None:
    """The report says it; other sets, and data of no name, have no such sentence."""
    seen = About("large 1.0", "visa.jsonl", "visa", ("mvtec", "visa"))
    save_report(report, seen, tmp_path)
    assert "trained on visa: these are no zero-shot figures" in (tmp_path / "report.md").read_text()
    assert seen_note(replace(seen, dataset="btad")) == ""
    assert seen_note(replace(seen, dataset=None)) == ""


@pytest.mark.parametrize("names", [("ksdd2", "ksdd2-crops"), ("rsdd", "rsdd-crops")])
def test_crops_of_what_was_trained_on_are_not_called_zero_shot(names: tuple[str, str]) -> None:
    """The pictures are the same in either direction; one's own folders are told apart by their names."""
    for measured, learned in (names, names[::-1]):
        note = seen_note(About("large 1.0", "data.jsonl", measured, ("visa", learned)))
        assert note.startswith(f"The model was trained on {learned}:")
    own = About("large 1.0", "data.jsonl", "folder line3", ("folder line3",))
    assert seen_note(own)
    assert not seen_note(replace(own, dataset="folder line4"))
