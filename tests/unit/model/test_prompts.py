"""The prompts: layout, sharing, independence of neighbours."""

import torch

from model.backbones.clip import ClipTower
from model.prompts import PromptLearner, _word_start
from tests.configs import TINY_VIT

FLOAT_NOISE = 1e-5


def _parts() -> tuple[ClipTower, PromptLearner]:
    torch.manual_seed(0)
    clip = ClipTower(TINY_VIT).eval()
    return clip, PromptLearner(TINY_VIT, clip).eval()


@torch.no_grad()
def test_prompts_equal_clips_text_when_their_vectors_are_words() -> None:
    """With V_bg and V_state set to the embeddings of words, T_init is CLIP's embedding of that sentence."""
    clip, prompts = _parts()
    table = clip.model.token_embedding.weight
    ids = clip.tokenise("a b c d", 4)
    prompts.background.copy_(table[ids[:2]])
    prompts.states.copy_(table[ids[2:]].expand(6, -1, -1))
    expected = clip.encode_captions(["a b c d nut"])[0]
    found = prompts(clip, ["nut"])[0]
    torch.testing.assert_close(found, expected.expand(6, -1), atol=FLOAT_NOISE, rtol=0)


@torch.no_grad()
def test_a_name_has_the_same_prompts_whatever_names_stand_beside_it() -> None:
    """T_init depends on prompts and name alone, so it may be cached per name (D9)."""
    clip, prompts = _parts()
    together = prompts(clip, ["nut", "a much longer product name", ""])
    for i, name in enumerate(["nut", "a much longer product name", ""]):
        torch.testing.assert_close(prompts(clip, [name])[0], together[i], atol=FLOAT_NOISE, rtol=0)


@torch.no_grad()
def test_different_names_give_different_prompts() -> None:
    """The product's name reaches the text embeddings."""
    clip, prompts = _parts()
    bank = prompts(clip, ["nut", "tile"])
    assert (bank[0] - bank[1]).abs().max() > 1e-3


def test_states_start_from_their_words() -> None:
    """V_state of each prompt starts at the token embeddings of its word, normal states first."""
    clip, prompts = _parts()
    ids = clip.tokenise(TINY_VIT.anomalous_words[0], TINY_VIT.state_tokens)
    expected = clip.model.token_embedding.weight[ids]
    assert torch.equal(prompts.states[len(TINY_VIT.normal_words)], expected)


def test_a_short_word_is_repeated_and_cut_to_length() -> None:
    """Two tokens fill five places in turn."""
    clip, prompts = _parts()
    one, other = clip.tokenise("a b", 2).tolist()
    expected = clip.model.token_embedding.weight[[one, other, one, other, one]]
    found = _word_start(clip, "a b", 5)
    assert torch.equal(found, expected)
    assert not found.requires_grad
    assert 0.01 < float(prompts.background.detach().std()) < 0.03


def test_gradients_reach_the_prompts_and_not_the_tower() -> None:
    """Training moves V_bg and V_state through the frozen text tower."""
    clip, prompts = _parts()
    clip.requires_grad_(False)
    prompts(clip, ["nut"]).square().sum().backward()
    assert prompts.background.grad is not None
    assert prompts.states.grad is not None
    assert float(prompts.background.grad.abs().max()) > 0.0
