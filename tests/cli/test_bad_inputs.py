"""Bad inputs from the command line: each is one sentence that names what is off, and exit code 2."""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from ama_ray.cli import main
from testing.checkpoints import copied, make_pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass
class Case:
    """A sound run in a folder of its own, to be spoilt."""

    folder: Path
    fields: dict[str, Any]

    @property
    def reward(self) -> dict[str, Any]:
        reward: dict[str, Any] = self.fields["reward"]
        return reward

    @property
    def probe(self) -> dict[str, Any]:
        probe: dict[str, Any] = self.fields["tax"][0]
        return probe

    def write(self, name: str, text: str | bytes) -> None:
        (self.folder / name).write_bytes(text.encode() if isinstance(text, str) else text)

    def file(self, name: str, text: str) -> str:
        self.write(name, text)
        return name

    def tensors(self, side: str, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
        path = self.folder / side / "model.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, {"format": "pt"})

    def config(self, side: str, **fields: Any) -> None:
        path = self.folder / side / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def in_other_16_bits(case: Case) -> None:
    for side in ("base", "aligned"):
        case.tensors(side, lambda tensors: tensors.update({name: t.bfloat16() for name, t in tensors.items()}))
    case.fields.update(engine={"dtype": "float16"})


FACT = {"prompt": "w9", "choices": ["w8", "w7"], "gold": 0}
NORM = "model.norm.weight"
EMBED = "model.embed_tokens.weight"
BAD: dict[str, tuple[Callable[[Case], object], str]] = {
    # The run file.
    "no file": (lambda c: c.folder.joinpath("run.yaml").unlink(), "there is no such run file"),
    "not yaml": (lambda c: c.write("run.yaml", "base: [1"), "not a readable YAML file"),
    "a list": (lambda c: c.write("run.yaml", "- 1"), "a run file is a mapping of fields"),
    "empty": (lambda c: c.write("run.yaml", ""), "a run file is a mapping of fields"),
    "binary": (lambda c: c.write("run.yaml", b"\xff\xfe\x00"), "not a readable YAML file"),
    "unknown field": (lambda c: c.fields.update(trails=9), "trails: "),
    "no base": (lambda c: c.fields.pop("base"), "base: "),
    "no out": (lambda c: c.fields.pop("out"), "out: "),
    "base is a number": (lambda c: c.fields.update(base=3), "base: "),
    "too few trials": (lambda c: c.fields.update(trials=2), "trials: "),
    "trials in words": (lambda c: c.fields.update(trials="many"), "trials: "),
    "negative seed": (lambda c: c.fields.update(seed=-1), "seed: "),
    "ratios the wrong way round": (lambda c: c.fields.update(range=[0.9, 0.1]), "is not a range of ratios"),
    "ratios beyond sense": (lambda c: c.fields.update(range=[0, 12]), "is not a range of ratios"),
    "mean of nothing": (lambda c: c.fields.update(mean_ratio=0), "mean_ratio: "),
    "mean out of reach": (lambda c: c.fields.update(mean_ratio=0.9, range=[0, 0.5]), "mean_ratio"),
    "unknown sampler": (lambda c: c.fields.update(sampler="magic"), "sampler: "),
    "no such class": (lambda c: c.fields.update(sampler="os.path.Nothing"), "sampler: "),
    "class of another sort": (lambda c: c.fields.update(sampler="pathlib.Path"), "sampler: "),
    "no earlier run": (lambda c: c.fields.update(warm_start=["./nowhere"]), "nowhere"),
    "no such warm start": (lambda c: c.fields.update(warm_start=["luck"]), "luck"),
    "constraint on nobody": (lambda c: c.fields.update(constraints={"probe.none": "<= 1"}), "there is no 'probe.none'"),
    "constraint on no family": (
        lambda c: c.fields.update(constraints={"family.no": "<= 1"}),
        "there is no family 'no'",
    ),
    "constraint without a sign": (lambda c: c.fields.update(constraints={"tax": "0.1"}), "constraints"),
    "reference of nobody": (lambda c: c.fields.update(reference={"joy": 1}), "there is no 'joy'"),
    "no patience": (lambda c: c.fields.update(stop={"patience": 0}), "stop.patience: "),
    "password in a file": (lambda c: c.fields.update(storage="postgresql://a:b@c/d"), "leave the password out"),
    "storage is no URL": (lambda c: c.fields.update(storage="somewhere"), "storage: "),
    "all of it for the report": (lambda c: c.fields.update(report={"share": 1}), "report.share: "),
    "no report points": (lambda c: c.fields.update(report={"points": 0}), "report.points: "),
    # The engine.
    "unknown dtype": (lambda c: c.fields.update(engine={"dtype": "int8"}), "engine.dtype: "),
    "dtype too narrow": (in_other_16_bits, "engine.dtype: float16 cannot hold"),
    "half a GPU": (lambda c: c.fields.update(engine={"gpus": 0.5}), "engine.gpus: "),
    "no CPU": (lambda c: c.fields.update(engine={"cpus": 0}), "engine.cpus: "),
    "no time": (lambda c: c.fields.update(engine={"timeout": 0}), "engine.timeout: "),
    "too little context": (
        lambda c: c.fields.update(engine={"max_model_len": 32}),
        "engine.max_model_len: 32 tokens are fewer",
    ),
    "what the swap depends on": (
        lambda c: c.fields.update(engine={"vllm": {"load_format": "dummy"}}),
        "engine.vllm: load_format cannot be set",
    ),
    "no cache": (lambda c: c.fields.update(engine={"kv_cache_gib": -1}), "engine.kv_cache_gib: "),
    # The pair.
    "base is not there": (lambda c: c.fields.update(base="./nowhere"), "nowhere"),
    "base is a file": (lambda c: c.fields.update(base="./run.yaml"), "this is a file"),
    "base twice": (lambda c: c.fields.update(aligned="./base"), "all tensors that are searched are equal"),
    "no config.json": (lambda c: c.folder.joinpath("base/config.json").unlink(), "config.json"),
    "damaged config.json": (lambda c: c.write("base/config.json", "{"), "config.json"),
    "quantised": (lambda c: c.config("aligned", quantization_config={"bits": 4}), "quantised weights"),
    "another architecture": (lambda c: c.config("base", model_type="opt"), "model_type in config.json differs"),
    "another rope": (lambda c: c.config("base", rms_norm_eps=1e-3), "rms_norm_eps in config.json differs"),
    "no weights": (lambda c: c.folder.joinpath("aligned/model.safetensors").unlink(), "aligned"),
    "pickled weights": (
        lambda c: c.folder.joinpath("base/model.safetensors").rename(c.folder / "base/pytorch_model.bin"),
        "pytorch_model.bin: pickled weights",
    ),
    "truncated weights": (lambda c: c.write("base/model.safetensors", b"0" * 20), "model.safetensors"),
    "a tensor too few": (lambda c: c.tensors("base", lambda t: t.pop(NORM)), f"{NORM} is missing"),
    "a tensor too many": (lambda c: c.tensors("base", lambda t: t.update(extra=torch.zeros(2))), "extra is missing"),
    "another shape": (lambda c: c.tensors("base", lambda t: t.update({NORM: torch.ones(3)})), f"{NORM}: the shape"),
    "integers": (
        lambda c: c.tensors("base", lambda t: t.update({NORM: torch.ones(64, dtype=torch.int32)})),
        f"{NORM}: int32 in",
    ),
    "NaN": (lambda c: c.tensors("aligned", lambda t: t[NORM].fill_(torch.nan)), f"{NORM} holds NaN or infinity"),
    "infinity": (lambda c: c.tensors("base", lambda t: t[EMBED][0].fill_(torch.inf)), f"{EMBED} holds NaN or infinity"),
    "no tokenizer": (lambda c: c.folder.joinpath("aligned/tokenizer.json").unlink(), "tokenizer"),
    "damaged tokenizer": (lambda c: c.write("base/tokenizer.json", "{"), "tokenizer"),
    # The search space.
    "no such space": (lambda c: c.fields.update(space="per-leyer"), "per-leyer"),
    "no space file": (lambda c: c.fields.update(space="none.yaml"), "none.yaml"),
    "space file is a list": (lambda c: c.fields.update(space=c.file("s.yaml", "- 1")), "s.yaml"),
    "tensors left over": (
        lambda c: c.fields.update(space={"groups": [{"name": "a", "tensors": ["*mlp*"]}]}),
        "embed_tokens",
    ),
    "a group of nothing": (
        lambda c: c.fields.update(space={"groups": [{"name": "a", "tensors": ["*"]}, {"name": "b", "tensors": ["x"]}]}),
        "b",
    ),
    "no groups": (lambda c: c.fields.update(space={"groups": []}), "groups"),
    # Prompts and scorers.
    "no prompts": (lambda c: c.reward["prompts"].update(file="none.jsonl"), "none.jsonl"),
    "empty prompts": (lambda c: c.write("prompts.jsonl", ""), "prompts.jsonl"),
    "prompts that are no JSON": (lambda c: c.write("prompts.jsonl", "{"), "prompts.jsonl"),
    "prompts that are no objects": (lambda c: c.write("prompts.jsonl", "[1]\n" * 9), "prompts.jsonl"),
    "another field": (lambda c: c.reward["prompts"].update(field="text"), "'text'"),
    "a prompt too long": (
        lambda c: c.write("prompts.jsonl", json.dumps({"prompt": "w5 " * 500}) + "\n" + c.reward["line"]),
        "prompts.jsonl",
    ),
    "no scorer file": (lambda c: c.reward.update(scorer="none.py:score"), "none.py"),
    "no scorer function": (lambda c: c.reward.update(scorer="reward.py:none"), "none"),
    "not an address": (lambda c: c.reward.update(scorer="reward.py"), "scorer"),
    "a scorer with a mistake": (lambda c: c.write("reward.py", "def score(:"), "reward.py"),
    "a scorer that raises": (lambda c: c.write("reward.py", "def score(rows, replies): 1 / 0"), "reward.py"),
    "a scorer of words": (
        lambda c: c.write("reward.py", "def score(rows, replies): return ['a'] * len(replies)"),
        "reward",
    ),
    "too few scores": (lambda c: c.write("reward.py", "def score(rows, replies): return []"), "reward.py"),
    "NaN for a score": (
        lambda c: c.write("reward.py", "def score(rows, replies): return [float('nan')] * len(replies)"),
        "reward.py",
    ),
    "unknown kind of reward": (lambda c: c.reward.update(kind="oracle"), "reward"),
    "hot sampling": (lambda c: c.reward.update(sampling={"temperature": -1}), "temperature"),
    "no replies": (lambda c: c.reward.update(sampling={"n": 0}), "n: "),
    "no rewards": (lambda c: c.fields.update(reward=[]), "reward: "),
    "a reward called tax": (lambda c: c.reward.update(objective="tax"), "cannot count towards the tax"),
    # Probes.
    "no probes": (lambda c: c.fields.update(tax=[]), "tax: "),
    "one name twice": (lambda c: c.fields["tax"].append(dict(c.probe)), "the name 'facts' is used twice"),
    "a name of a column": (lambda c: c.probe.update(name="seconds"), "has a meaning of its own"),
    "a name with a space": (lambda c: c.probe.update(name="my facts"), "name"),
    "unknown kind": (lambda c: c.probe.update(kind="ranking"), "tax.0"),
    "no probe file": (lambda c: c.probe.update(file="none.jsonl"), "none.jsonl"),
    "no answers": (lambda c: c.probe.update(kind="exact"), "'answer'"),
    "gold out of range": (
        lambda c: c.write("facts.jsonl", json.dumps(FACT | {"gold": 7}) + "\n" + c.probe["line"]),
        "gold",
    ),
    "one choice": (
        lambda c: c.write("facts.jsonl", json.dumps(FACT | {"choices": ["w8"]}) + "\n" + c.probe["line"]),
        "facts.jsonl",
    ),
    "no items": (lambda c: c.probe.update(items=0), "items"),
    "unknown preset": (lambda c: c.fields["tax"].append({"preset": "vibes"}), "vibes"),
    "a test split": (
        lambda c: (c.folder.joinpath("facts.jsonl").rename(c.folder / "test.jsonl"), c.probe.update(file="test.jsonl")),
        "test split",
    ),
    "items of one split only": (lambda c: c.write("facts.jsonl", json.dumps(FACT)), "facts"),
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    make_pair(folder, layers=1)
    return folder


@pytest.fixture
def case(pair: Path, tmp_path: Path) -> Case:
    copied(pair, tmp_path)
    facts = "\n".join(json.dumps(FACT | {"prompt": f"w{n}"}) for n in range(10, 30))
    prompts = "\n".join(json.dumps({"prompt": f"w5 w{n}"}) for n in range(10, 30))
    made = Case(
        tmp_path,
        {
            "base": "./base",
            "aligned": "./aligned",
            "reward": {"kind": "function", "prompts": {"file": "prompts.jsonl"}, "scorer": "reward.py:score"},
            "tax": [{"name": "facts", "family": "knowledge", "kind": "choice", "file": "facts.jsonl"}],
            "out": "out",
        },
    )
    made.write("facts.jsonl", facts)
    made.write("prompts.jsonl", prompts)
    made.write("reward.py", "def score(rows, replies):\n    return [0.0] * len(replies)\n")
    made.reward["line"], made.probe["line"] = prompts, facts
    return made


def check(monkeypatch: pytest.MonkeyPatch, path: Path) -> int:
    monkeypatch.setattr(sys, "argv", ["ama-ray", "check", str(path)])
    with pytest.raises(SystemExit) as ended:
        main.app()
    return int(ended.value.code or 0)


def write(case: Case) -> Path:
    fields = copy.deepcopy(case.fields)
    for part in [fields["reward"], *fields["tax"]]:
        if isinstance(part, dict):
            part.pop("line", None)
    path = case.folder / "run.yaml"
    if not path.exists():
        path.write_text(yaml.safe_dump(fields))
    return path


def test_there_are_at_least_sixty() -> None:
    assert len(BAD) >= 60


def test_the_case_is_sound_before_it_is_spoilt(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(monkeypatch, write(case)) == 0


def test_paths_may_have_spaces_and_letters_of_any_script(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, to in (("base", "die Bäse модель"), ("prompts.jsonl", "mes prömpts.jsonl")):
        (case.folder / name).rename(case.folder / to)
    case.fields["base"] = "./die Bäse модель"
    case.reward["prompts"] = {"file": "mes prömpts.jsonl"}
    assert check(monkeypatch, write(case)) == 0


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_exit_code_2(
    name: str, case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ray.init", lambda *args, **kwargs: pytest.fail("Ray was started"))
    spoil, words = BAD[name]
    if name == "no file":
        write(case)
    spoil(case)
    path = case.folder / "run.yaml" if name == "no file" else write(case)
    assert check(monkeypatch, path) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert words in error
