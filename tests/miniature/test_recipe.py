"""The recipe of the miniature: its tokenizer, its arithmetic, and a run of seconds."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from ama_ray.miniature import ROOT
from ama_ray.miniature.recipe import evaluate, world
from ama_ray.miniature.recipe.align import ALGORITHMS, Rollout, Settings, rloo
from ama_ray.miniature.recipe.pretrain import new_model, reply_log_probs
from ama_ray.miniature.recipe.tokenizer import build_tokenizer, vocabulary
from ama_ray.miniature.recipe.train import Recipe, build, load


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()


def test_vocabulary_covers_the_world() -> None:
    lines = world.World(0, (1, 1), (1, 1)).lines(0)
    used = {word for _ in range(5000) for text in next(lines) for word in text.split()}
    assert used <= set(vocabulary())


def test_saved_tokenizer_adds_bos_and_decodes_to_plain_words() -> None:
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "base")
    text = "well , i am happy to help !"
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.eos_token_id not in ids
    decoded = tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True)
    assert decoded == text


def test_log_probs_of_a_reply_do_not_depend_on_padding(tokenizer: PreTrainedTokenizerFast) -> None:
    torch.manual_seed(0)
    model = new_model(tokenizer)
    short, long = ("sum : 1 0 + 2 0 =", "3 0"), ("reverse : b c d f =", "f d c b")
    together, mask = reply_log_probs(model, tokenizer, [short, long])
    alone, _ = reply_log_probs(model, tokenizer, [short])
    assert mask.sum(1).tolist() == [3, 5]
    assert torch.allclose(together[0].sum(), alone.sum(), atol=1e-5)


def test_rloo_raises_the_better_reply(tokenizer: PreTrainedTokenizerFast) -> None:
    torch.manual_seed(0)
    model, base = new_model(tokenizer), new_model(tokenizer)
    rollout = Rollout(["user : hello reply :"], [["good luck !", "go away ."]], torch.eye(1, 2))
    before = reply_log_probs(model, tokenizer, rollout.pairs())[0].sum(1)
    (loss,) = rloo(model, base, tokenizer, rollout, 0.0)
    torch.autograd.backward(loss)
    torch.optim.SGD(model.parameters(), 1e-3).step()
    after = reply_log_probs(model, tokenizer, rollout.pairs())[0].sum(1)
    assert (after - before)[0] > 0 > (after - before)[1]


def test_scores_json_agrees_with_a_new_evaluation_of_base(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    logged = json.loads((ROOT / "scores.json").read_text())["scores"]["base"]["search"]
    items = evaluate.read_rows(ROOT / "data" / "search" / "facts.jsonl")
    assert evaluate.probe_score(load(ROOT / "base"), tokenizer, items) == pytest.approx(logged["facts"], abs=1)


@pytest.mark.long
def test_recipe_runs_end_to_end(tmp_path: Path) -> None:
    settings = Settings(rounds=1, prompts=2, samples=2, learning_rate=1e-3, strength=0.1)
    recipe = Recipe((4, 4), (4, 4), steps=2, alignments=dict.fromkeys(ALGORITHMS, settings))
    build(tmp_path, recipe, seed=1)
    log = json.loads((tmp_path / "scores.json").read_text())
    assert set(log["scores"]) == {"base", *ALGORITHMS}
    assert set(log["scores"]["rsf"]["report"]) == {"reward", *world.PROBES}
    base = load(tmp_path / "base").state_dict()
    for name in ALGORITHMS:
        aligned = load(tmp_path / name).state_dict()
        assert any(not torch.equal(base[key], aligned[key]) for key in base)
