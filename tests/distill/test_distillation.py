"""Responses, and whole distillations, on tiny random pairs and on the miniature."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import torch
import transformers
import yaml
from torch.nn import functional

from ama_ray.checkpoints import merging
from ama_ray.config import Distill, RunConfig, Sampling
from ama_ray.distill import Distilled, distill, table
from ama_ray.distill.batches import Response
from ama_ray.distill.layout import load_model
from ama_ray.distill.responses import responses_of
from ama_ray.distill.sampling import sample
from ama_ray.errors import UserError
from ama_ray.evaluation.inputs import Inputs
from ama_ray.miniature import ROOT
from testing.checkpoints import edit, make_pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCORER = "def score(rows, replies):\n    return [float(sum(map(hash_of, reply.split()))) for reply in replies]\n"


def hash_of(word: str) -> int:
    return int(word[1:]) % 7 - 3 if word[1:].isdigit() else 0


@pytest.fixture
def open_run(tmp_path: Path) -> Callable[..., Inputs]:
    base, aligned = make_pair(tmp_path, layers=2)
    files: dict[str, list[dict[str, Any]]] = {
        "prompts": [{"prompt": f"w5 w{number}"} for number in range(10, 20)],
        "later": [{"prompt": f"w6 w{number}"} for number in range(10, 20)],
        "facts": [{"prompt": f"w{number}", "choices": ["w8", "w9"], "gold": 0} for number in range(10, 20)],
    }
    for name, rows in files.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "reward.py").write_text(inspect.getsource(hash_of) + SCORER)
    source = {"file": str(tmp_path / "prompts.jsonl"), "report_file": str(tmp_path / "later.jsonl")}

    def opened(sampling: dict[str, Any] | None = None, weight: float = 1, **changes: Any) -> Inputs:
        reward = {"kind": "function", "prompts": source, "scorer": f"{tmp_path}/reward.py:score", "weight": weight}
        fields: dict[str, Any] = {
            "base": str(base),
            "aligned": str(aligned),
            "reward": reward | {"sampling": {"max_tokens": 6} | (sampling or {})},
            "tax": [{"name": "facts", "family": "k", "kind": "choice", "file": str(tmp_path / "facts.jsonl")}],
            "out": str(tmp_path / "out"),
        }
        return Inputs.open(RunConfig.from_arguments(**fields | changes))

    return opened


def write(folder: Path, *rows: dict[str, Any]) -> str:
    (folder / "responses.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(folder / "responses.jsonl")


def test_greedy_replies_are_those_of_one_prompt_at_a_time_without_padding(open_run: Callable[..., Inputs]) -> None:
    folder = open_run().pair.aligned.folder
    edit(folder / "generation_config.json", lambda fields: fields.update(eos_token_id=[2, 7, 11, 40, 90, 200, 250]))
    model = load_model(folder, torch.float32)
    prompts: list[tuple[int, ...]] = [(5, 10, 20, 30, 8), (9,), (60, 61), (5, 10)]
    said = sample(model, prompts, Sampling(max_tokens=12, temperature=0), 1, seed=0)
    for prompt, (reply,) in zip(prompts, said, strict=True):
        tokens = list(prompt)
        while len(tokens) < len(prompt) + 12 and (
            tokens == list(prompt) or tokens[-1] not in {2, 7, 11, 40, 90, 200, 250}
        ):
            with torch.no_grad():
                tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
        assert reply == Response(prompt, tuple(tokens[len(prompt) :]))


def test_replies_are_drawn_from_the_whole_distribution_and_by_seed(open_run: Callable[..., Inputs]) -> None:
    model = load_model(open_run().pair.aligned.folder, torch.float32)
    prompt = (5, 10)
    with torch.no_grad():
        p = model(torch.tensor([prompt])).logits[0, -1].softmax(-1)
    draw = Sampling(max_tokens=1, temperature=1)
    once, again, other = (sample(model, [prompt], draw, 3000, seed)[0] for seed in (1, 1, 2))
    assert once == again != other
    counts = torch.bincount(torch.tensor([each.reply[0] for each in once]), minlength=300) / 3000
    assert counts.count_nonzero() > 60  # the default of transformers would be the best 50
    assert (counts - p).abs().max() < 0.04


def test_the_replies_with_the_highest_reward_are_kept(open_run: Callable[..., Inputs]) -> None:
    inputs = open_run(distill={"samples": 6, "keep": 0.25}, seed=3)
    model = load_model(inputs.pair.aligned.folder, torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(inputs.pair.aligned.folder)

    def reward(response: Response) -> int:
        return sum(map(hash_of, tokenizer.decode(response.reply, skip_special_tokens=True).split()))

    (search,) = inputs.evaluations["search"].rewards
    prompts = [request.prompt for request in search.requests]
    everything = [reply for of in sample(model, prompts, search.settings.sampling, 6, 3) for reply in of]
    kept = responses_of(inputs, model)
    assert sorted(map(reward, kept)) == sorted(map(reward, everything))[-15:]
    few = replace(inputs, config=open_run(distill={"samples": 6, "keep": 0.25, "items": 4}, seed=3).config)
    assert responses_of(few, model) == kept[:4]
    worst = responses_of(open_run(distill={"samples": 6, "keep": 0.25}, seed=3, weight=-1), model)
    assert sorted(map(reward, worst)) == sorted(map(reward, everything))[:15]
    assert len(responses_of(open_run({"temperature": 0}, distill={"samples": 6, "keep": 1}), model)) == 10


def test_a_file_of_responses_ends_each_with_the_end_token(open_run: Callable[..., Inputs], tmp_path: Path) -> None:
    file = write(
        tmp_path, {"prompt": "w5 w99", "response": " w9 w10"}, {"prompt": "w7 w8 w9 w9 w9", "response": " w11"}
    )
    inputs = open_run(distill={"responses": file})
    model = load_model(inputs.pair.aligned.folder, torch.float32)
    expected = [Response((5, 99), (9, 10, 2)), Response((7, 8, 9, 9, 9), (11, 2))]
    assert sorted(responses_of(inputs, model), key=lambda each: each.prompt) == expected
    assert responses_of(open_run(distill={"responses": file, "block": 4}), model) == [Response((5, 99), (9, 10))]
    with pytest.raises(UserError, match=r"distill\.block"):
        responses_of(open_run(distill={"responses": file, "block": 2}), model)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "w5 w10"}, "line 1: the field 'response' is missing"),
        ({"prompt": "w6 w12", "response": " w9"}, "line 1: this prompt is in the report split"),
        ({"prompt": ["w6"], "response": "w9"}, "line 1: the field 'prompt' must be text"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(
    row: dict[str, Any], words: str, open_run: Callable[..., Inputs], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        distill(open_run(distill={"responses": write(tmp_path, row)}))


@pytest.mark.long
def test_means_out_of_reach_and_scorers_that_fail_are_named(open_run: Callable[..., Inputs], tmp_path: Path) -> None:
    half = {"groups": [{"name": "all", "range": [0, 0.5]}]}
    with pytest.raises(UserError, match=r"distill\.means: .* between 0 and 0.5, so 0.6 cannot be"):
        distill(open_run(space=half))
    (tmp_path / "reward.py").write_text(
        "def score(rows, replies):\n    return [1.0 if r in ('Yes.', '') else float('nan') for r in replies]\n"
    )
    with pytest.raises(UserError, match=r"distill: the scorer .*reward.py:score returned nan"):
        distill(open_run())


def nll(folder: Path, responses: list[Response]) -> float:
    """Mean of -log p over reply tokens, by plain transformers, one response at a time."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    losses = []
    for each in responses:
        with torch.no_grad():
            logits = model(torch.tensor([each.prompt + each.reply])).logits[0, len(each.prompt) - 1 : -1]
        losses.append(functional.cross_entropy(logits, torch.tensor(each.reply), reduction="none"))
    return torch.cat(losses).mean().item()


@pytest.mark.long
def test_the_losses_are_those_of_the_exported_points_and_the_same_every_time(
    open_run: Callable[..., Inputs], tmp_path: Path
) -> None:
    inputs = open_run(distill={"means": [0.3, 0.5], "samples": 4})
    points = distill(inputs)
    assert points == distill(inputs)
    responses = responses_of(inputs, load_model(inputs.pair.aligned.folder, torch.float32))

    def loss(ratios: dict[str, float]) -> float:
        folder = tmp_path / uuid4().hex
        merging.export(inputs.pair, inputs.groups.shares_of(ratios), folder)
        return nll(folder, responses)

    for mean, point in zip((0.3, 0.5), points, strict=True):
        assert point.mean_ratio == mean
        assert sum(point.ratios.values()) / 4 == pytest.approx(mean)
        assert point.start_loss == pytest.approx(loss(dict.fromkeys(point.ratios, mean)), rel=1e-5)
        assert point.loss == pytest.approx(loss(point.ratios), rel=1e-5)
        assert point.loss < point.start_loss


@pytest.mark.long
def test_the_best_ratios_with_a_mean_are_found_on_the_miniature(tmp_path: Path) -> None:
    # One mean leaves two groups one degree of freedom, which a grid can search.
    space = {"groups": [{"name": "one", "tensors": ["*embed*", "*layers.[05].*"]}, {"name": "two"}]}
    settings = Distill(means=(0.5,), samples=1, items=32, batch=2, epsilon=0, keep=1, learning_rate=0.3)
    config = RunConfig.load(ROOT / "run.yaml", space=space).model_copy(update={"distill": settings})
    inputs = Inputs.open(config)
    (point,) = distill(inputs)
    responses = responses_of(inputs, load_model(ROOT / "rsf", torch.float32))

    def loss(one: float) -> float:
        folder = tmp_path / uuid4().hex
        merging.export(inputs.pair, inputs.groups.shares_of({"one": one, "two": 1 - one}), folder)
        return nll(folder, responses)

    best = min(loss(step / 20) for step in range(10, 21, 2))
    assert point.start_loss == pytest.approx(loss(0.5), rel=5e-3)  # exported in bfloat16
    assert point.start_loss - best > 0.03
    assert point.loss - best < 0.1 * (point.start_loss - best)


@pytest.mark.long
def test_a_pull_keeps_the_ratios_together(open_run: Callable[..., Inputs], tmp_path: Path) -> None:
    rows = [{"prompt": f"w{n}", "response": f" w{n + 1}"} for n in range(10, 90)]
    file = write(tmp_path, *rows)

    def spread(**changes: Any) -> float:
        (point,) = distill(open_run(distill={"responses": file, "means": [0.5], **changes}))
        return sum(abs(ratio - 0.5) for ratio in point.ratios.values())

    free = spread()
    assert spread(pull=100) < 0.5 * free
    assert spread(epsilon=5) < 0.5 * free


@pytest.mark.long
def test_the_command_prints_and_writes_the_points_and_does_without_vllm(tmp_path: Path) -> None:
    fields = yaml.safe_load((ROOT / "run.yaml").read_text()) | {"space": "three-parts"}
    fields |= {"distill": {"means": [0.4], "samples": 1, "keep": 0.5, "items": 32}}
    (tmp_path / "run.yaml").write_text(RunConfig.parse(fields, "run.yaml", ROOT).to_yaml())
    program = (
        "import sys\nfrom ama_ray.cli import main\nmain._commands(standalone_mode=False)\n"
        "assert 'vllm' not in sys.modules"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "distill", str(tmp_path / "run.yaml"), "--out", str(tmp_path / "points.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    (point,) = [Distilled(**each) for each in json.loads((tmp_path / "points.json").read_text())]
    assert sum(point.ratios.values()) / 3 == pytest.approx(0.4)
    assert f"{point.loss:.4f}" in ended.stdout
    assert all(f"{ratio:.3f}" in ended.stdout for ratio in point.ratios.values())


def test_points_that_cannot_be_written_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        table.write([Distilled(0.5, {"all": 0.5}, 1.0, 1.0)], tmp_path)


def test_the_model_is_gone_when_the_points_are_there(
    open_run: Callable[..., Inputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[Any]] = []

    def loaded(*arguments: Any) -> Any:
        model = load_model(*arguments)
        alive.append(weakref.ref(model))
        return model

    monkeypatch.setattr("ama_ray.distill.distillation.load_model", loaded)
    assert distill(open_run(distill={"means": [0.5], "samples": 1}))
    assert [reference() for reference in alive] == [None]
