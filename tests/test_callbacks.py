"""What the callback writes, with a stand-in for a trainer; `tests/integration/test_trainers.py` has a real one."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import transformers
import yaml
from peft import LoraConfig, get_peft_model

from ama_ray import callbacks
from ama_ray.callbacks import SearchCallback
from ama_ray.checkpoints.pair import Pair
from ama_ray.config import RunConfig
from ama_ray.errors import UserError
from ama_ray.jobs import jobs
from testing.checkpoints import make_pair
from tests.support.files import write
from tests.support.runs import run_of

if TYPE_CHECKING:
    from pathlib import Path

    from ama_ray.api import Run

FIELDS: dict[str, Any] = {
    "reward": {"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "reward.py:score"},
    "tax": [{"name": "facts", "family": "knowledge", "kind": "choice", "file": "f.jsonl"}],
}


class StandIn:
    """A trainer that saves nothing, and remembers where to."""

    def __init__(self, output: Path, model: Any, processes: int = 1) -> None:
        self.args = SimpleNamespace(output_dir=str(output), world_size=processes)
        self.model = model
        self.optimizer: Any = None
        self.ref_model: Any = None
        self.accelerator: Any = None
        self.saved: list[str] = []

    def save_model(self, folder: str) -> None:
        self.saved.append(folder)

    def end(self, callback: SearchCallback, first: bool = True) -> None:
        callback.on_train_end(self.args, SimpleNamespace(is_world_process_zero=first), SimpleNamespace())


def run_file(folder: Path, **fields: Any) -> Path:
    return write(folder / "files" / "search.yaml", yaml.safe_dump(FIELDS | fields))


def model(source: str = "org/sft") -> Any:
    return SimpleNamespace(name_or_path=source)


def test_the_run_file_has_the_pair_and_absolute_paths(tmp_path: Path) -> None:
    trainer = StandIn(tmp_path / "rl", model())
    callback = SearchCallback(trainer, run_file(tmp_path, trials=7), then="write")
    assert not (tmp_path / "rl-search").exists()
    trainer.end(callback)
    assert trainer.saved == [str(tmp_path / "rl")]
    config = RunConfig.load(tmp_path / "rl-search" / "run.yaml")
    assert config.sources == ("org/sft", str(tmp_path / "rl"))
    assert (config.out, config.trials) == (tmp_path / "rl-search" / "run", 7)
    written = yaml.safe_load((tmp_path / "rl-search" / "run.yaml").read_text())
    assert written["tax"][0]["file"] == str(tmp_path / "files" / "f.jsonl")
    assert callback.run is None


def test_an_adapter_s_base_is_the_model_below_it(tmp_path: Path) -> None:
    adapted = SimpleNamespace(name_or_path="wrong", get_base_model=lambda: model("org/below"))
    trainer = StandIn(tmp_path / "rl", adapted)
    trainer.end(SearchCallback(trainer, run_file(tmp_path), then="write"))
    assert RunConfig.load(tmp_path / "rl-search" / "run.yaml").base == "org/below"


@pytest.mark.long
@pytest.mark.parametrize("adapted", [False, True], ids=["full weights", "adapter"])
def test_what_a_real_trainer_leaves_is_a_pair(tmp_path: Path, adapted: bool) -> None:
    base, _ = make_pair(tmp_path, layers=1)
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(base)
    if adapted:
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "up_proj"]))
    settings = transformers.TrainingArguments(
        str(tmp_path / "rl"), max_steps=2, learning_rate=0.1, use_cpu=True, report_to=[], save_strategy="no"
    )
    rows = [{"input_ids": [5, 6, 7, 8], "labels": [5, 6, 7, 8]}] * 16
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    trainer = transformers.Trainer(model, settings, train_dataset=rows, processing_class=tokenizer)
    trainer.add_callback(SearchCallback(trainer, run_file(tmp_path), then="write"))
    trainer.train()
    config = RunConfig.load(tmp_path / "rl-search" / "run.yaml")
    assert config.sources == (str(base), str(tmp_path / "rl"))
    assert (tmp_path / "rl" / "adapter_model.safetensors").is_file() == adapted
    (moves,) = Pair.open(config.base, config.sources[1:]).moves
    assert moves["model.layers.0.mlp.up_proj.weight"] > 0
    assert (moves["model.norm.weight"] > 0) != adapted


def test_what_the_run_file_says_of_base_and_out_stays(tmp_path: Path) -> None:
    trainer = StandIn(tmp_path / "rl", model(""))
    trainer.end(SearchCallback(trainer, run_file(tmp_path, base="org/start", out="here"), then="write"))
    config = RunConfig.load(tmp_path / "rl-search" / "run.yaml")
    assert (config.base, config.out) == ("org/start", tmp_path / "files" / "here")


def test_it_searches_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, found = StandIn(tmp_path / "rl", model()), run_of([])
    searched: list[Path] = []

    def search(file: Path, progress: object) -> Run:
        searched.append(file)
        return found

    monkeypatch.setattr(callbacks, "search", search)
    callback = SearchCallback(trainer, run_file(tmp_path))
    trainer.end(callback)
    assert searched == [tmp_path / "rl-search" / "run.yaml"]
    assert callback.run is found


def test_it_submits_what_it_wrote_once_for_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted: list[tuple[str, str]] = []

    def submit(self: jobs.Jobs, run: Path) -> str:
        submitted.append((self.address, str(run)))
        return "run-1"

    monkeypatch.setattr(jobs.Jobs, "submit", submit)
    trainer = StandIn(tmp_path / "rl", model(), processes=2)
    callback = SearchCallback(trainer, run_file(tmp_path), then="submit", address="http://head:8265")
    trainer.end(callback, first=False)
    assert (submitted, callback.job) == ([], "")
    assert trainer.saved == [str(tmp_path / "rl")]  # where shards are gathered, every process has to take part
    trainer.end(callback)
    assert submitted == [("http://head:8265", str(tmp_path / "rl-search" / "run.yaml"))]
    assert callback.job == "run-1"


def test_a_search_that_is_refused_says_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: Path, progress: object) -> None:
        raise UserError("no.")

    monkeypatch.setattr(callbacks, "search", refuse)
    trainer = StandIn(tmp_path / "rl", model())
    callback = SearchCallback(trainer, run_file(tmp_path))
    with pytest.raises(UserError) as error:
        trainer.end(callback)
    assert error.value.__notes__ == [
        f"The trained model is in {tmp_path}/rl; ama-ray search {tmp_path}/rl-search/run.yaml goes on from here."
    ]


def test_a_gpu_is_left_to_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a stand-in for one: what was moved, dropped and freed before the search begins."""
    done: list[object] = []

    def holder(**fields: Any) -> Any:
        made = SimpleNamespace(name_or_path="org/sft", **fields)
        made.to = lambda place: done.append((made, place))
        return made

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(callbacks, "search", lambda file, progress: done.append("search"))
    trainer = StandIn(tmp_path / "rl", holder())
    trainer.ref_model = holder(is_quantized=True)  # which cannot be moved
    trainer.optimizer = SimpleNamespace(state={"moments": 1})
    trainer.accelerator = SimpleNamespace(free_memory=lambda: done.append("freed"))
    trainer.end(SearchCallback(trainer, run_file(tmp_path)))
    assert done == [(trainer.model, "cpu"), "freed", "search"]
    assert trainer.optimizer.state == {}


@pytest.mark.parametrize(
    ("fields", "source", "processes", "words"),
    [
        ({"trails": 3}, "org/sft", 1, "trails"),
        ({"aligned": "org/rl"}, "org/sft", 1, "aligned: this is the model that is trained; leave the field out"),
        ({}, "", 1, "base: the model was not loaded from a checkpoint; name where training began"),
        ({}, "org/sft", 2, "2 processes train here and hold their GPUs; give then='submit'"),
    ],
    ids=["unknown field", "aligned", "no base", "several processes"],
)
def test_a_mistake_is_told_before_training(
    tmp_path: Path, fields: dict[str, Any], source: str, processes: int, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        SearchCallback(StandIn(tmp_path / "rl", model(source), processes), run_file(tmp_path, **fields))


def test_a_run_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such run file"):
        SearchCallback(StandIn(tmp_path / "rl", model()), tmp_path / "none.yaml")


def test_importing_the_package_imports_no_trainer() -> None:
    code = "import sys, ama_ray; ama_ray.search; print(*[m for m in sys.modules if m.startswith('transformers')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
