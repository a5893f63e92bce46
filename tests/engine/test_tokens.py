"""Where tokens, ends of text, ties or precision differ, a point scores in the search what its export does elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
import transformers

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.generation import GENERATION
from ama_ray.checkpoints.pair import Pair
from testing.checkpoints import LORA, add_tokens, edit, make_pair, write_adapter
from tests.support import point_answers
from tests.support.processes import in_own_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.engine

Asked = tuple[tuple[int, ...], tuple[int, ...]]
RATIO, MOST = 0.5, 12
PROMPTS = [(1, first, first + 7, 50) for first in range(10, 26)]
ASKED = [(prompt, (prompt[1] + 3, 299, 60)) for prompt in PROMPTS]
NEW = [((1, 300, *context[1:]), (*continuation, 301)) for context, continuation in ASKED]


def export(base: Path, aligned: Path, out: Path) -> Path:
    pair = Pair.open(str(base), str(aligned))
    merging.export(pair, dict.fromkeys(pair.names, (RATIO,)), out)
    return out


def replies(folder: Path) -> list[list[int]]:
    """Greedy tokens of transformers, which stop where the folder says."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    return [
        model.generate(torch.tensor([p]), max_new_tokens=MOST, do_sample=False)[0, len(p) :].tolist() for p in PROMPTS
    ]


def scores(folder: Path, asked: Sequence[Asked]) -> list[float]:
    """Log-likelihoods of transformers."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    found = []
    for context, continuation in asked:
        logprobs = model(torch.tensor([context + continuation])).logits[0].log_softmax(-1)
        places = range(len(context) - 1, len(context) + len(continuation) - 1)
        found.append(sum(float(logprobs[i, token]) for i, token in zip(places, continuation, strict=True)))
    return found


def an_end(folder: Path) -> int:
    """A token that comes up within some replies, and begins none."""
    said = replies(folder)
    return next(token for reply in said for token in reply[2:] if all(token != other[0] for other in said))


def check(base: Path, aligned: Path, out: Path, asked: Sequence[Asked]) -> None:
    texts, likelihoods = in_own_process(point_answers.answers, (base, aligned), RATIO, PROMPTS, MOST, asked)
    exported = export(base, aligned, out)
    ends = json.loads((exported / GENERATION).read_text())["eos_token_id"]
    assert len(ends) == 2
    said = replies(exported)
    assert any(len(reply) < MOST for reply in said)
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    shown = [reply[:-1] if reply[-1] in ends else reply for reply in said]
    # vLLM decodes from the prompt on, and so begins with the space before the reply.
    assert [text.split() for text in texts] == [tokenizer.decode(r, skip_special_tokens=True).split() for r in shown]
    torch.testing.assert_close(torch.tensor(likelihoods), torch.tensor(scores(exported, asked)), atol=1e-4, rtol=0)


def test_more_tokens_an_untied_head_and_another_end(tmp_path: Path) -> None:
    make_pair(tmp_path / "tied", layers=2, tied=True)
    make_pair(tmp_path / "untied", layers=2)
    base, aligned = tmp_path / "tied" / "base", tmp_path / "untied" / "aligned"
    add_tokens(aligned, "<|im_start|>", "<|im_end|>", multiple_of=64)
    end = an_end(export(base, aligned, tmp_path / "before"))
    edit(aligned / GENERATION, lambda fields: fields.update(eos_token_id=[2, end]))
    check(base, aligned, tmp_path / "merge", [*ASKED, *NEW])


def test_an_adapter_with_more_tokens(tmp_path: Path) -> None:
    base, adapter = make_pair(tmp_path, layers=2)[0], tmp_path / "adapter"
    write_adapter(base, adapter, "<|im_start|>", "<|im_end|>", **LORA)
    end = an_end(export(base, adapter, tmp_path / "before"))
    edit(base / GENERATION, lambda fields: fields.update(eos_token_id=[2, end]))
    check(base, adapter, tmp_path / "merge", [*ASKED, *NEW])


def test_an_adapter_whose_tokenizer_has_another_end(tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path, layers=2)
    write_adapter(base, tmp_path / "adapter", **LORA | {"use_dora": True})
    end = an_end(export(base, tmp_path / "adapter", tmp_path / "before"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    tokenizer.save_pretrained(tmp_path / "adapter")
    check(base, tmp_path / "adapter", tmp_path / "merge", ASKED)
