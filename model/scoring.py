"""Score with a model in torch: images, or a manifest's rows from their images or from tokens kept on disk.

Whoever trains many models on the same towers measures them by this; what serves is measured by `ssvp evaluate`
through the runtime. Knows models and rows; knows no metric.
"""

from collections.abc import Callable, Sequence
from itertools import islice

import torch

from model.assembly import SSVP
from model.data.images import manifest_images
from model.data.row import ManifestRow
from model.evaluate import ScoredImage
from model.preprocess import collate, preprocess
from model.ssvp.vtam import AnomalyScores
from model.tokens import TokenBatch, TokenCache, tokens_of
from model.types import Sample

Tokens = Callable[[Sequence[ManifestRow]], TokenBatch]


@torch.inference_mode()
def predict_torch(model: SSVP, samples: Sequence[Sample]) -> list[ScoredImage]:
    """Run the whole model in torch, the reference that the exported bundle is held against."""
    device = next(model.parameters()).device
    images = collate([preprocess(s.image, model.config) for s in samples]).to(device)
    return _scored(model, model(images, [s.product for s in samples]).scores)


def _scored(model: SSVP, scores: AnomalyScores) -> list[ScoredImage]:
    maps = model.heads.anomaly_map(scores.grid_map).cpu().numpy()
    return [ScoredImage(float(s), m) for s, m in zip(scores.score, maps, strict=True)]


def tokens_from(model: SSVP, device: torch.device, cache: TokenCache | None) -> Tokens:
    """Return what gives the tokens of some rows: the cache, or else the towers."""
    if cache is not None:
        return cache.read

    def compute(rows: Sequence[ManifestRow]) -> TokenBatch:
        images = next(manifest_images(rows, [range(len(rows))], model.config, workers=0))
        return tokens_of(model, images, device)

    return compute


class RowScorer:
    """Score rows in the order they were given, whose samples `measure` passes in that order.

    Args:
        model: in evaluation mode.
        rows: one a sample.
        tokens: see `tokens_from`.
        watch: shown each batch of tokens, for whoever measures more than scores.
    """

    def __init__(
        self,
        model: SSVP,
        rows: Sequence[ManifestRow],
        tokens: Tokens,
        watch: Callable[[TokenBatch], None] = lambda _: None,
    ) -> None:
        self._model, self._rows, self._tokens, self._watch = model, iter(rows), tokens, watch

    @torch.inference_mode()
    def __call__(self, samples: Sequence[Sample]) -> list[ScoredImage]:
        """Score the next rows, as many as there are samples."""
        batch = self._tokens(list(islice(self._rows, len(samples))))
        self._watch(batch)
        text = self._model.text_bank(batch.products)
        return _scored(self._model, self._model.heads(batch.clip, batch.dino, text).scores)
