"""A base with other tokens, other rows or a tied head is brought into aligned's form, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.pair import Pair
from ama_ray.errors import UserError
from ama_ray.export.mergekit import why_not
from testing.checkpoints import ARCHITECTURES, VOCABULARY, add_tokens, edit, edit_weights, make_pair, stored

if TYPE_CHECKING:
    from pathlib import Path

RATIO = 0.25
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def merged(base: Path, aligned: Path, out: Path) -> tuple[Pair, dict[str, torch.Tensor]]:
    """The pair, and the weights of a merge as transformers loads its export."""
    pair = Pair.open(str(base), str(aligned))
    merging.export(pair, dict.fromkeys(pair.names, (RATIO,)), out)
    model, info = transformers.AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not any(info.values())
    return pair, model.state_dict()


def mean(base: torch.Tensor, aligned: torch.Tensor) -> torch.Tensor:
    return ((1 - RATIO) * base.double() + RATIO * aligned.double()).float()


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("multiple_of", [None, 64])
def test_tokens_that_aligned_adds_keep_its_rows(tied: bool, multiple_of: int | None, tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, layers=1, tied=tied)
    add_tokens(aligned, "<|im_start|>", "<|im_end|>", multiple_of=multiple_of)
    before, after = stored(base), stored(aligned)
    pair, made = merged(base, aligned, tmp_path / "merge")
    for name in (EMBEDDING,) if tied else (EMBEDDING, HEAD):
        assert len(made[name]) == (302 if multiple_of is None else 320)
        close(made[name][:300], mean(before[name], after[name][:300]))
        assert torch.equal(made[name][300:], after[name][300:])
    assert any("'<|im_start|>', '<|im_end|>' are in aligned's vocabulary alone" in told for told in pair.warnings)
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "merge").encode("<|im_end|>") == [301]
    assert "tokens" in why_not(pair, dict.fromkeys(pair.names, (RATIO,)))


@pytest.mark.parametrize("side", ["base", "aligned"])
def test_padded_rows(side: str, tmp_path: Path) -> None:
    make_pair(tmp_path, layers=1)
    add_tokens(tmp_path / side, multiple_of=64)
    before, after = stored(tmp_path / "base"), stored(tmp_path / "aligned")
    pair, made = merged(tmp_path / "base", tmp_path / "aligned", tmp_path / "merge")
    for name in (EMBEDDING, HEAD):
        assert made[name].shape == after[name].shape
        close(made[name][:300], mean(before[name][:300], after[name][:300]))
        assert torch.equal(made[name][300:], after[name][300:])
    assert len(pair.warnings) == 1
    assert "rows" in pair.warnings[0]


def test_tokens_that_base_alone_has_are_left_out(tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, layers=1)
    add_tokens(base, "<|tool|>")
    pair, made = merged(base, aligned, tmp_path / "merge")
    close(made[HEAD], mean(stored(base)[HEAD][:300], stored(aligned)[HEAD]))
    assert "the token '<|tool|>' is in base's vocabulary alone: a merge does not have it." in pair.warnings


def test_a_token_with_another_id_is_averaged_with_itself(tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, layers=1)
    add_tokens(base, "<|a|>", "<|b|>")
    add_tokens(aligned, "<|b|>", "<|a|>")
    before, after = stored(base), stored(aligned)
    pair, made = merged(base, aligned, tmp_path / "merge")
    close(made[EMBEDDING], mean(before[EMBEDDING][[*range(300), 301, 300]], after[EMBEDDING]))
    (told,) = pair.warnings
    assert "'<|a|>', '<|b|>' have another id in base" in told


def test_a_reserved_token_that_aligned_has_renamed_is_a_new_one(tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, layers=1)
    add_tokens(base, "<|reserved|>")
    add_tokens(aligned, "<|im_end|>")
    after = stored(aligned)
    _, made = merged(base, aligned, tmp_path / "merge")
    assert torch.equal(made[EMBEDDING][300], after[EMBEDDING][300])
    assert not torch.equal(made[EMBEDDING][299], after[EMBEDDING][299])


def test_a_word_that_only_one_model_of_text_knows_is_refused(tmp_path: Path) -> None:
    """Then all text may be split otherwise, and the rows of common tokens mean other things."""
    base, aligned = make_pair(tmp_path, layers=1)

    def rename(fields: dict[str, Any]) -> None:
        fields["model"]["vocab"]["other"] = fields["model"]["vocab"].pop("w7")

    edit(base / "tokenizer.json", rename)
    with pytest.raises(UserError, match="by more than added tokens, first in the token"):
        Pair.open(str(base), str(aligned))


@pytest.mark.parametrize("tokens", [(), ("<|im_end|>",)])
def test_a_tied_base_has_its_embedding_for_a_head(tokens: tuple[str, ...], tmp_path: Path) -> None:
    make_pair(tmp_path / "tied", layers=1, tied=True)
    make_pair(tmp_path / "untied", layers=1)
    base, aligned = tmp_path / "tied" / "base", tmp_path / "untied" / "aligned"
    if tokens:
        add_tokens(aligned, *tokens)
    before, after = stored(base), stored(aligned)
    pair, made = merged(base, aligned, tmp_path / "merge")
    for name in (EMBEDDING, HEAD):
        close(made[name][:300], mean(before[EMBEDDING], after[name][:300]))
        assert torch.equal(made[name][300:], after[name][300:])
    assert "base ties its output head to its embedding and aligned does not" in pair.warnings[0]


def test_a_tied_aligned_over_an_untied_base_is_refused(tmp_path: Path) -> None:
    make_pair(tmp_path / "tied", layers=1, tied=True)
    make_pair(tmp_path / "untied", layers=1)
    with pytest.raises(UserError, match=r"aligned/config.json: tie_word_embeddings is true, and base has .*untied"):
        Pair.open(str(tmp_path / "untied" / "base"), str(tmp_path / "tied" / "aligned"))


def test_new_rows_keep_the_precision_of_aligned(tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, layers=1)
    add_tokens(aligned, "<|im_end|>")
    edit_weights(base, lambda t: t.update({name: tensor.bfloat16() for name, tensor in t.items()}))
    after = stored(aligned)
    pair = Pair.open(str(base), str(aligned))
    streamed = {name: ours for name, ours, _ in pair.tensors()}
    assert torch.equal(streamed[EMBEDDING][300:], after[EMBEDDING][300:])
    assert torch.equal(streamed[EMBEDDING][:300], stored(base)[EMBEDDING].float())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_takes_new_tokens(architecture: str, tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, architecture, layers=1, tied=architecture == "gemma2")
    add_tokens(aligned, "<|im_end|>")
    pair, _ = merged(base, aligned, tmp_path / "merge")
    by_token = {name for name, tensor in stored(aligned).items() if len(tensor) == len(VOCABULARY) + 1}
    assert pair.base.fits.keys() == by_token
    assert by_token
