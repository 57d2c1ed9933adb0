"""Turn a trained model into a bundle: weights, heads as ONNX, thresholds, golden image, manifest.

Knows the model and the bundle's layout; knows no service.
"""

import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from torch import Tensor

from model.assembly import SSVP
from model.bundle import (
    GOLDEN_FILE,
    HALF_HEADS_FILE,
    HEADS_FILE,
    PROMPTS_FILE,
    GoldenRecord,
    Manifest,
    files_of,
    sha256,
    write_manifest,
)
from model.checkpoint import halved, save_module, save_towers
from model.data.held_out import held_out_samples
from model.data.procedural import (
    HELD_OUT_FAMILIES,
    TRAIN_DEFECTS,
    TRAIN_FAMILIES,
    generate_pair,
)
from model.data.row import PROCEDURAL
from model.evaluate import measure, resize_mask
from model.metrics import best_balanced_threshold, best_f1_threshold
from model.preprocess import collate, preprocess
from model.scoring import predict_torch
from model.seeds import VALIDATION_SEED
from model.ssvp.exportable import (
    HEAD_OUTPUT_NAMES,
    ExportableHeads,
    head_input_names,
    head_inputs,
)
from model.types import Sample

OPSET = 20
HALF_OPSET = 23  # the first with Attention, which onnxruntime computes in one kernel on a GPU
GOLDEN_SEED = 20_260_109
GOLDEN_TOLERANCE = (
    5e-3  # wide enough for another device's arithmetic, far too narrow for a broken one
)


def example_head_inputs(model: SSVP, batch: int) -> tuple[Tensor, ...]:
    """Return tensors of the right shapes for the heads, from noise images through the real towers."""
    size = max(model.config.clip_size_px, model.config.dino_size_px)
    noise = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    images = collate([preprocess(n, model.config) for n in noise])
    with torch.no_grad():
        text = model.text_bank(["object"] * batch)
        return head_inputs(*model.features(images), text)


def export_heads(model: SSVP, path: Path, *, half: bool = False) -> None:
    """Write the heads as ONNX: any batch size, the text bank `[B, P, D]` an input like the tokens.

    Args:
        model: on the CPU.
        path: of the file.
        half: see `ExportableHeads`; otherwise all is in fp32.
    """
    exportable = ExportableHeads(model.heads.eval(), model.config, half=half)
    batch = torch.export.Dim("batch")
    *tokens, text = (t.clone() for t in example_head_inputs(model, 2))
    inputs = (*(t.half() for t in tokens), text) if half else (*tokens, text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        program = torch.onnx.export(
            exportable,
            inputs,
            input_names=head_input_names(model.config),
            output_names=list(HEAD_OUTPUT_NAMES),
            opset_version=HALF_OPSET if half else OPSET,
            dynamo=True,
            dynamic_shapes=(tuple({0: batch} for _ in inputs),),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    program.save(path)
    onnx.checker.check_model(onnx.load(path))


@dataclass(frozen=True)
class Thresholds:
    """Decision thresholds for images and for map pixels, both in [0, 1]."""

    image: float
    pixel: float


def validation_samples(pairs: int) -> Iterable[Sample]:
    """Yield fresh procedural images of the families and defects that were trained on."""
    for i in range(pairs):
        pair = generate_pair((VALIDATION_SEED << 40) + i, 256, TRAIN_FAMILIES, TRAIN_DEFECTS)
        yield from (pair.normal, pair.anomalous)


def choose_thresholds(model: SSVP, samples: Iterable[Sample]) -> Thresholds:
    """Choose both thresholds on labelled samples: best balanced accuracy, best pixel F1.

    They are a start for products nobody has calibrated, no promise about anyone's parts.
    """
    labels, scores, masks, maps = [], [], [], []
    for sample in samples:
        predicted = predict_torch(model, [sample])[0]
        labels.append(sample.defect is not None)
        scores.append(predicted.score)
        height, width = predicted.anomaly_map.shape
        mask = resize_mask(sample.marked, (height, width))
        maps.append(predicted.anomaly_map[::4, ::4].ravel())  # the same pixels of both
        masks.append(mask[::4, ::4].ravel())
    return Thresholds(
        image=best_balanced_threshold(np.array(labels), np.array(scores, dtype=np.float32)),
        pixel=best_f1_threshold(np.concatenate(masks), np.concatenate(maps)),
    )


def measure_held_out(model: SSVP, pairs: int) -> dict[str, Any]:
    """Measure a model on the families it was never trained on; what `ssvp evaluate` measures of the bundle."""
    macro = measure(held_out_samples(pairs, 256), partial(predict_torch, model)).macro
    return {
        PROCEDURAL: {
            "pairs_per_family": pairs,
            "image_auroc": round(macro.image_auroc, 4),
            "pixel_auroc": round(macro.pixel_auroc, 4),
        }
    }


def golden_sample() -> Sample:
    """Return the golden image: a defective part of a family never trained on, not at the model's size."""
    return generate_pair(GOLDEN_SEED, 320, HELD_OUT_FAMILIES, TRAIN_DEFECTS).anomalous


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Encode RGB pixels as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def round_towers(model: SSVP) -> None:
    """Round the towers' weights to what a bundle holds of them, so that what is measured is what is written.

    Half precision is half the bundle, and what a GPU computes in anyway; the heads stay as they are.
    """
    for tower in (model.clip, model.dino):
        for tensor in () if tower is None else tower.model.state_dict().values():
            tensor.copy_(halved(tensor))


def export_bundle(
    model: SSVP,
    folder: Path,
    version: str,
    thresholds: Thresholds,
    training: dict[str, Any],
    metrics: dict[str, Any],
) -> None:
    """Write a complete bundle.

    Args:
        model: trained, in evaluation mode, on the CPU; its towers are rounded.
        folder: created; files in it are overwritten.
        version: of the bundle.
        thresholds: see `choose_thresholds`.
        training: what the run recorded of itself.
        metrics: measured figures, by data set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    round_towers(model)
    save_towers(model.clip, model.dino, folder, half=True)
    save_module(model.prompts, folder / PROMPTS_FILE)
    export_heads(model, folder / HEADS_FILE)
    names = files_of(model.config)
    if model.config.has_half_heads:
        export_heads(model, folder / HALF_HEADS_FILE, half=True)
        names = (*names, HALF_HEADS_FILE)
    golden = golden_sample()
    (folder / GOLDEN_FILE).write_bytes(encode_png(golden.image))
    score = predict_torch(model, [golden])[0].score
    write_manifest(
        folder,
        Manifest(
            name=model.config.name,
            version=version,
            config=model.config,
            default_threshold=round(thresholds.image, 4),
            map_threshold=round(thresholds.pixel, 4),
            golden=GoldenRecord(golden.product, round(score, 6), GOLDEN_TOLERANCE),
            training=training,
            metrics=metrics,
            files={name: sha256(folder / name) for name in names},
        ),
    )


def export_measured(
    model: SSVP,
    folder: Path,
    version: str,
    pairs: int,
    training: dict[str, Any],
    device: torch.device,
    console: Console,
) -> None:
    """Choose thresholds, measure and write a bundle, telling the console what was found.

    Args:
        model: see `export_bundle`.
        folder: see `export_bundle`.
        version: see `export_bundle`.
        pairs: procedural pairs for the thresholds, and per held-out family.
        training: see `export_bundle`.
        device: where to measure.
        console: for people.
    """
    model.to(device)
    round_towers(model)
    console.print("choosing thresholds on procedural images")
    thresholds = choose_thresholds(model, validation_samples(pairs))
    console.print(f"image {thresholds.image:.4f}, pixel {thresholds.pixel:.4f}")
    console.print("measuring on families never trained on")
    metrics = measure_held_out(model, pairs)
    console.print_json(data=metrics)
    export_bundle(model.cpu(), folder, version, thresholds, training, metrics)
    console.print(f"wrote {folder}")
