"""What is known of a reward model before it is loaded; `tests/engine/classifier/test_classifier.py` loads it."""

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from ama_ray.engine.classifier.classifier import ClassifierError, ClassifierSettings
from ama_ray.engine.classifier.process import OwnProcess
from ama_ray.errors import UserError
from ama_ray.rewards.base import ScorerError
from ama_ray.rewards.model import ModelScores
from testing.checkpoints import edit, edit_weights, make_pair
from tests.support.classifiers import make_classifier, save_tokenizer
from tests.support.replies import said
from tests.support.rewards import prepare


@dataclass
class Lengths:
    """Scores a text by its length."""

    batches: list[list[list[int]]] = field(default_factory=list)

    def scores(self, tokens: Sequence[Sequence[int]]) -> list[float]:
        self.batches.append([list(text) for text in tokens])
        return [float(len(text)) for text in tokens]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_classifier(tmp_path_factory.mktemp("reward") / "model")


def read(tmp_path: Path, model: Path | str, **fields: Any) -> tuple[ModelScores, ModelScores]:
    fields = {"sampling": {"max_tokens": 8}} | fields
    search, later = prepare(tmp_path, kind="model", model=str(model), **fields)
    assert isinstance(search, ModelScores)
    assert isinstance(later, ModelScores)
    return search, later


TURNS = [
    {"role": "user", "content": "w4"},
    {"role": "assistant", "content": "w5 w6"},
    {"role": "user", "content": "w7"},
]


@pytest.mark.parametrize("prompt", ["w7 w8", TURNS])
def test_the_models_own_template_is_applied(tmp_path: Path, folder: Path, prompt: Any) -> None:
    search, _ = read(
        tmp_path, folder, rows=[{"prompt": prompt}], later=[{"prompt": prompt[:1]}], sampling={"n": 2, "max_tokens": 8}
    )
    classifier = Lengths()
    scored = replace(search, classifier=classifier).score(said([["w9", ""]]))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    expected = [
        tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": reply}], return_dict=False)
        for reply in ("w9", "")
    ]
    assert classifier.batches == [expected]
    assert expected[0][0] == 1  # the template's own <s>, once
    assert expected[0][1] != 1
    assert scored.scores.tolist() == [[len(text) for text in expected]]


def test_without_a_template_prompt_and_reply_are_one_text(tmp_path: Path, folder: Path) -> None:
    copy = make_classifier(tmp_path / "plain", template=None)
    search, _ = read(tmp_path, copy, rows=[{"prompt": "w7 w"}])
    classifier = Lengths()
    replace(search, classifier=classifier).score(said([["8 w9"]]))
    assert classifier.batches == [[[1, 7, 8, 9]]]


def test_both_splits_share_a_model_that_no_pickle_holds(tmp_path: Path, folder: Path) -> None:
    search, later = read(tmp_path, folder, backend="transformers", dtype="float32")
    assert (
        search.classifier == later.classifier == OwnProcess(ClassifierSettings(str(folder), "transformers", "float32"))
    )
    assert len(pickle.dumps(search)) < 5000


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_precision_is_that_of_the_checkpoint_as_vllm_would_narrow_it(tmp_path: Path, dtype: str) -> None:
    copy = make_classifier(tmp_path / "model")
    edit_weights(copy, lambda tensors: tensors.update({n: t.to(getattr(torch, dtype)) for n, t in tensors.items()}))
    search, _ = read(tmp_path, copy)
    assert search.model.settings.dtype == dtype


@pytest.mark.long
def test_preparing_loads_nothing_heavy(tmp_path: Path, folder: Path) -> None:
    code = """
import sys
from pathlib import Path
from tests.support.rewards import prepare
prepare(Path(sys.argv[1]), kind="model", model=sys.argv[2], sampling={"max_tokens": 8})
print(sorted({"vllm", "ray", "openai"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code, str(tmp_path), str(folder)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


def _two_outputs(folder: Path) -> None:
    edit(folder / "config.json", lambda fields: fields.update(id2label={"0": "bad", "1": "good"}))


def _no_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def _broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": {"vocab": {}}}')


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _unknown(folder: Path) -> None:
    edit(folder / "config.json", lambda fields: fields.update(model_type="own", architectures=["OwnModel"]))


def _headless(folder: Path) -> None:
    edit_weights(folder, lambda tensors: tensors.pop("score.weight"))


def _incomplete(folder: Path) -> None:
    shutil.copytree(make_classifier(folder.with_name("bert"), "roberta"), folder, dirs_exist_ok=True)
    edit_weights(folder, lambda tensors: tensors.pop("classifier.out_proj.bias"))


def _refusing(folder: Path) -> None:
    save_tokenizer(folder, "{{ raise_exception('only even turns') }}")


def _deaf(folder: Path) -> None:
    save_tokenizer(
        folder, "{% for message in messages if message['role'] == 'user' %}{{ message['content'] }}{% endfor %}"
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_two_outputs, "has 2 outputs; a reward model has one"),
        (_no_tokenizer, "there is no tokenizer"),
        (_broken_tokenizer, "its tokenizer cannot be loaded"),
        (_pickled, "pickled weights are refused"),
        (_unknown, "transformers cannot read it"),
        (_headless, "lacks score.weight; it gives no scores"),
        (_incomplete, "lacks classifier.out_proj.bias; it gives no scores"),
        (_refusing, r"prompts.jsonl, line 1: the chat template of .* fails on this prompt \(.*only even turns"),
        (_deaf, "leaves the reply out, so that all replies to a prompt would have one score"),
    ],
)
def test_a_model_that_cannot_be_used_is_named(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    spoil(make_classifier(tmp_path / "model"))
    with pytest.raises(UserError, match=words) as caught:
        read(tmp_path, tmp_path / "model")
    assert "\n" not in str(caught.value)


def test_a_language_model_is_no_reward_model(tmp_path: Path) -> None:
    base, _ = make_pair(tmp_path)
    with pytest.raises(UserError, match=r"has the architecture LlamaForCausalLM; a reward model is a sequence class"):
        read(tmp_path, base)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no such folder"):
        read(tmp_path, tmp_path / "none")
    with pytest.raises(UserError, match=r"not to be had from the Hugging Face hub"):
        read(tmp_path, "some/model")


def test_a_conversation_that_is_too_long_is_an_error_and_not_cut(tmp_path: Path, folder: Path) -> None:
    long = [{"prompt": "w4"}, {"prompt": "w4 " * 60}]
    with pytest.raises(
        UserError, match=r"prompts.jsonl, line 2: this prompt has 66 tokens and a reply up to 8 .* takes 64 in all; low"
    ):
        read(tmp_path, folder, rows=long)
    # A prompt of 7 tokens, with the template's.
    read(tmp_path, folder, rows=long[:1], sampling={"max_tokens": 57})
    with pytest.raises(UserError, match=r"prompts.jsonl, line 1: this prompt has 7 tokens and a reply up to 58 "):
        read(tmp_path, folder, rows=long[:1], sampling={"max_tokens": 58})
    search, _ = read(tmp_path, folder, rows=[{"prompt": "w4"}])
    assert replace(search, classifier=Lengths()).score(said([["w5 " * 57]])).scores.tolist() == [[64]]
    with pytest.raises(ScorerError, match=r"takes 64 tokens, and .*prompts.jsonl, line 1 has 65 with the reply 'w5 w5"):
        replace(search, classifier=Lengths()).score(said([["w5 " * 58]]))


@pytest.mark.parametrize("scores", [[1.0, float("nan")], ClassifierError("no memory")])
def test_a_model_that_fails_is_named(tmp_path: Path, folder: Path, scores: Any) -> None:
    class Failing:
        def scores(self, tokens: Sequence[Sequence[int]]) -> list[float]:
            if isinstance(scores, Exception):
                raise scores
            result: list[float] = scores
            return result

    search, _ = read(tmp_path, folder)
    with pytest.raises(ScorerError, match=r"the reward model .*/model(: no memory| returned nan for the reply 'y')"):
        replace(search, classifier=Failing()).score(said([["x"], ["y"]]))
