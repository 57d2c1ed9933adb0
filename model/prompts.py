"""The learned prompts: `[V_bg][V_state][CLASS]`, six of them for each product name.

Knows token embeddings; the text tower turns them into T_init. T_init depends on prompts and name alone, so
whoever serves images computes it once per name (D9).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.backbones.clip import ClipTower
from model.config import SSVPConfig

DEFAULT_PRODUCT = "object"


class PromptLearner(nn.Module):
    """Hold V_bg and V_state and lay out prompts around any product name.

    Attributes:
        background: V_bg `[n_bg, W]`, shared by all prompts.
        states: V_state `[P, n_state, W]`, normal prompts first. Each starts from the token embeddings of its
            word, repeated or cut to length.
    """

    def __init__(self, config: SSVPConfig, clip: ClipTower) -> None:
        super().__init__()
        width = clip.text_width
        words = (*config.normal_words, *config.anomalous_words)
        self.background = nn.Parameter(torch.randn(config.background_tokens, width) * 0.02)
        self.states = nn.Parameter(
            torch.stack([_word_start(clip, word, config.state_tokens) for word in words])
        )

    def forward(self, clip: ClipTower, products: Sequence[str]) -> Tensor:
        """Return T_init `[len(products), P, D]`, not normalised.

        Any name works, seen in training or not. One longer than the context is cut; an empty one gives
        prompts without a name.
        """
        rows = [self._row(clip, name) for name in products]
        length = max(r.shape[1] for r in rows)
        prompts = self.states.shape[0]
        padded = torch.cat([nn.functional.pad(r, (0, 0, 0, length - r.shape[1])) for r in rows])
        end = torch.tensor([r.shape[1] - 1 for r in rows], device=padded.device)
        text: Tensor = clip.encode_embeddings(padded, end.repeat_interleave(prompts))  # [T * P, D]
        bank: Tensor = text.unflatten(0, (len(products), prompts))
        return bank

    def _row(self, clip: ClipTower, name: str) -> Tensor:
        """Return the embeddings `[P, S, W]` of one product's prompts, end mark last."""
        table: Tensor = clip.model.token_embedding.weight
        fixed = 2 + self.background.shape[0] + self.states.shape[1]
        ids = clip.tokenise(name, int(clip.model.context_length) - fixed).to(table.device)
        prompts = self.states.shape[0]
        start, end = clip.tokenizer.sot_token_id, clip.tokenizer.eot_token_id
        parts = [
            table[start].expand(prompts, 1, -1),
            self.background.expand(prompts, -1, -1),
            self.states,
            table[ids].expand(prompts, -1, -1),
            table[end].expand(prompts, 1, -1),
        ]
        return torch.cat(parts, dim=1)


def _word_start(clip: ClipTower, word: str, length: int) -> Tensor:
    ids = clip.tokenise(word, length)
    ids = ids.repeat(-(-length // len(ids)))[:length]
    start: Tensor = clip.model.token_embedding.weight.detach()[ids].clone()
    return start
