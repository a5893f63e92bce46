"""Reward models in vLLM and in transformers, against plain transformers one text at a time."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ama_ray.config import EngineSettings
from ama_ray.engine.classifier.classifier import ClassifierSettings
from ama_ray.engine.classifier.process import OwnProcess, _running
from ama_ray.engine.requests import Generation
from ama_ray.rewards.base import ScorerError
from ama_ray.rewards.model import ModelScores
from testing.checkpoints import edit, make_pair
from tests.support.classifiers import PADDED, TEMPLATE, make_classifier, score
from tests.support.processes import in_own_process
from tests.support.replies import said
from tests.support.rewards import prepare

pytestmark = pytest.mark.engine

PROMPTS = ["w10 w11 w12", " ".join(f"w{i}" for i in range(20, 45)), "w7"]
REPLIES = [["w50 w51", "w52 w1000"], ["", "w53 w54 w55"], [" ".join(f"w{i}" for i in range(60, 80)), "w8 </s>"]]


def read(tmp_path: Path, model: Path, **fields: Any) -> tuple[ModelScores, ModelScores]:
    rows = [{"prompt": prompt} for prompt in PROMPTS]
    search, later = prepare(
        tmp_path,
        kind="model",
        model=str(model),
        dtype="float32",
        rows=rows,
        sampling={"n": 2, "max_tokens": 8},
        **fields,
    )
    assert isinstance(search, ModelScores)
    assert isinstance(later, ModelScores)
    return search, later


def texts(template: str | None) -> list[str]:
    """The conversations in full, worded by hand; two of them have ends that the model may take for its own."""
    end = " <pad>" if template == PADDED else " "
    pairs = [(prompt, reply) for prompt, replies in zip(PROMPTS, REPLIES, strict=True) for reply in replies]
    if template is None:
        return [prompt + reply for prompt, reply in pairs]
    return [f"<s> user {prompt} </s> <s> assistant {reply} </s>{end}" for prompt, reply in pairs]


@pytest.fixture(autouse=True)
def end_processes() -> Any:
    yield
    for process in _running.values():
        process.end()
    _running.clear()


@pytest.mark.parametrize(
    ("backend", "architecture", "template"),
    [
        pytest.param("vllm", "llama", TEMPLATE, marks=pytest.mark.slow),
        pytest.param("vllm", "llama", PADDED, marks=pytest.mark.slow),
        ("transformers", "llama", PADDED),
        pytest.param("auto", "qwen3", None, marks=pytest.mark.slow),
        ("auto", "roberta", None),
        pytest.param("auto", "deberta-v2", TEMPLATE, marks=pytest.mark.slow),
    ],
)
def test_raw_scores_equal_those_of_transformers(
    tmp_path: Path, backend: str, architecture: str, template: str | None
) -> None:
    folder = make_classifier(tmp_path / "model", architecture, template)
    search, later = read(tmp_path, folder, backend=backend)
    expected = score(folder, texts(template), special=template is None)
    assert max(expected) - min(expected) > 0.01
    assert search.score(said(REPLIES)).scores.ravel().tolist() == pytest.approx(expected, abs=1e-4)
    assert later.score(said([REPLIES[0]])).scores.shape == (1, 2)
    assert len(_running) == 1  # one model for both splits


def test_a_model_without_a_padding_token_is_scored(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "model", pad_token_id=None)
    edit(folder / "tokenizer_config.json", lambda fields: fields.pop("pad_token"))
    search, _ = read(tmp_path, folder, backend="transformers")
    expected = score(folder, texts(TEMPLATE), special=False)
    assert search.score(said(REPLIES)).scores.ravel().tolist() == pytest.approx(expected, abs=1e-4)


def test_a_backend_that_does_not_serve_the_model_is_named(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "model", "deberta-v2")
    with pytest.raises(ScorerError, match=r"vLLM does not serve its architecture; set backend to transformers or auto"):
        read(tmp_path, folder, backend="vllm")[0].score(said(REPLIES))


def test_a_process_that_is_killed_is_named_and_the_next_trial_has_another(tmp_path: Path) -> None:
    search, _ = read(tmp_path, make_classifier(tmp_path / "model"), backend="transformers")
    before = search.score(said(REPLIES)).scores
    (process,) = _running.values()
    os.kill(process._process.pid, signal.SIGKILL)
    with pytest.raises(ScorerError, match=r"its process ended with exit code -9"):
        search.score(said(REPLIES))
    assert (search.score(said(REPLIES)).scores == before).all()


def beside(pair: Path, classifier: Path) -> tuple[Any, Any, list[float], bool]:
    """What an engine says before and after a reward model beside it scored a text and was then ended."""
    from ama_ray.engine.in_process import InProcessEngine

    engine = InProcessEngine(pair / "base", EngineSettings(dtype="float32", kv_cache_gib=0.1), 64)
    requests = [Generation((1, 5, 6, 7 + i), max_tokens=6) for i in range(4)]
    before = engine.generate(requests)
    own = OwnProcess(ClassifierSettings(str(classifier), "vllm", "float32"))
    scores = own.scores([[1, 4, 5]])
    process = _running[own.settings]
    process.end()
    return before, engine.generate(requests), scores, process._process.poll() is not None


def test_a_reward_model_beside_an_engine_leaves_it_alone(tmp_path: Path) -> None:
    make_pair(tmp_path)
    folder = make_classifier(tmp_path / "model")
    before, after, scores, ended = in_own_process(beside, tmp_path, folder)
    assert after == before
    assert scores == pytest.approx(score(folder, ["w4 w5"], special=True), abs=1e-4)
    assert ended
