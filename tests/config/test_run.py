from pathlib import Path
from typing import Any

import pytest
import yaml

from ama_ray.config import FileProbe, RunConfig
from ama_ray.errors import UserError
from ama_ray.probes.choice import ChoiceProbe
from ama_ray.probes.exact import ExactProbe
from ama_ray.rewards.function import FunctionReward

FIELDS: dict[str, Any] = {
    "base": "org/base-model",
    "aligned": "./aligned",
    "reward": {"kind": "function", "prompts": {"file": "prompts.jsonl"}, "scorer": "reward.py:score"},
    "tax": [
        {"name": "facts", "family": "knowledge", "kind": "choice", "file": "facts.jsonl"},
        {"name": "fr", "family": "translation", "kind": "exact", "file": "data/fr.jsonl", "stop": ["\n"]},
    ],
    "out": "runs/mine",
}

JUDGE = {"url": "http://127.0.0.1:1/v1", "model": "m"}


def write(folder: Path, **changes: Any) -> Path:
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(FIELDS | changes))
    return file


def test_paths_are_relative_to_the_run_file_and_hub_ids_stay(tmp_path: Path) -> None:
    config = RunConfig.load(write(tmp_path))
    assert config.base == "org/base-model"
    assert Path(config.sources[1]) == tmp_path / "aligned"
    (reward,) = config.reward
    assert isinstance(reward, FunctionReward)
    assert reward.prompts.file == tmp_path / "prompts.jsonl"
    assert reward.scorer == f"{tmp_path}/reward.py:score"
    assert [probe.file for probe in config.tax if isinstance(probe, FileProbe)] == [
        tmp_path / "facts.jsonl",
        tmp_path / "data/fr.jsonl",
    ]
    assert config.out == tmp_path / "runs/mine"


def test_warm_starts_are_names_or_folders_relative_to_the_run_file(tmp_path: Path) -> None:
    config = RunConfig.load(write(tmp_path, warm_start=["parts", "./parts", "runs/old"], sampler="optuna.samplers.X"))
    assert config.warm_start == ("parts", tmp_path / "parts", tmp_path / "runs/old")
    assert (config.sampler, config.mean_ratio) == ("optuna.samplers.X", None)
    again = tmp_path / "resolved.yaml"
    again.write_text(config.to_yaml())
    assert RunConfig.load(again) == config


def test_a_folder_beside_the_run_file_wins_over_a_hub_id(tmp_path: Path) -> None:
    (tmp_path / "org/base-model").mkdir(parents=True)
    assert Path(RunConfig.load(write(tmp_path)).base) == tmp_path / "org/base-model"


def test_defaults_and_kinds(tmp_path: Path) -> None:
    config = RunConfig.load(write(tmp_path))
    choice, exact = config.tax
    assert isinstance(choice, ChoiceProbe)
    assert isinstance(exact, ExactProbe)
    assert (config.space, config.trials, config.seed) == ("per-layer", 40, 0)
    assert (choice.metric, choice.delimiter, exact.stop) == ("acc", " ", ("\n",))


def test_the_resolved_run_file_reads_back_the_same(tmp_path: Path) -> None:
    config = RunConfig.load(write(tmp_path, space={"groups": [{"name": "all", "tensors": ["*"]}]}))
    again = tmp_path / "resolved.yaml"
    again.write_text(config.to_yaml())
    assert RunConfig.load(again) == config


def test_keyword_arguments_replace_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = RunConfig.load(write(tmp_path), trials=60, out=Path("elsewhere"))
    assert (config.trials, config.out) == (60, tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"trials": 2}, "trials"),
        ({"trials": "many"}, "trials"),
        ({"seed": -1}, "seed"),
        ({"tax": []}, "tax"),
        ({"tax": [{"name": "a", "family": "b", "kind": "blue", "file": "c"}]}, 'tax.0.kind: there is no kind "blue"'),
        ({"tax": [{"name": "a b", "family": "b", "kind": "exact", "file": "c"}]}, "tax.0.name"),
        ({"tax": [FIELDS["tax"][0], FIELDS["tax"][0]]}, "'facts' is used twice"),
        ({"reward": FIELDS["reward"] | {"scorer": "reward.score"}}, "reward.scorer"),
        ({"reward": {"kind": "function", "scorer": "reward.py:score"}}, "reward.prompts"),
        ({"reward": {"kind": "judge", "prompts": {"file": "p"}}}, "reward.judge"),
        ({"reward": FIELDS["reward"] | {"weight": 0}}, "reward.weight"),
        ({"reward": FIELDS["reward"] | {"objective": "tax"}}, "cannot count towards the tax"),
        ({"reward": FIELDS["reward"] | {"name": "facts"}}, "'facts' is used twice"),
        ({"reward": FIELDS["reward"] | {"objective": "share"}}, "'share' has a meaning of its own"),
        ({"tax": [FIELDS["tax"][0] | {"name": "report"}]}, "'report' has a meaning of its own"),
        ({"reward": [FIELDS["reward"] | {"name": n, "objective": n} for n in "abcd"]}, "more than 4 objectives"),
        ({"tax": [{"preset": "piqa", "kind": "choice"}]}, "tax.0.kind"),
        ({"engine": {"dtype": "int8"}}, "engine.dtype"),
        ({"sampler": "tpee"}, "sampler: there is no sampler 'tpee'; name one of auto, nehvi, gp, tpe, nsga2, nsga3"),
        ({"warm_start": [3]}, "warm_start.0"),
        ({"mean_ratio": 0}, "mean_ratio"),
        ({"mean_ratio": 2.5}, "mean_ratio"),
        ({"algorithm": "tpe"}, "algorithm"),
        ({"base": None}, "base"),
        ({"base": "x" * 5000}, "base: no file can have this path (File name too long)"),
        ({"base": "a/" * 5000}, "no file can have this path (File name too long)"),
        ({"out": "x" * 256}, "out: no file can have this path (File name too long)"),
        ({"out": "a\0b"}, "out: no file can have this path (embedded null byte)"),
        ({"base": "~nobody-of-that-name/x"}, "base: no file can have this path (Could not determine home directory"),
        ({"out": "~nobody-of-that-name/x"}, "out: no file can have this path (Could not determine home directory"),
    ],
)
def test_a_wrong_field_is_named_in_one_sentence(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    file = write(tmp_path, **changes)
    with pytest.raises(UserError) as caught:
        RunConfig.load(file)
    assert str(file) in str(caught.value)
    assert field in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_run_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such run file"):
        RunConfig.load(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="folder"):
        RunConfig.load(tmp_path)
    for text, words in (("a: [", "YAML"), ("- 1", "mapping"), ("", "mapping")):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(UserError, match=words):
            RunConfig.load(tmp_path / "bad.yaml")
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UserError, match="YAML"):
        RunConfig.load(tmp_path / "bad.yaml")


def test_one_reward_or_several(tmp_path: Path) -> None:
    rewards = [
        FIELDS["reward"] | {"name": "kind", "objective": "helpful"},
        {"kind": "model", "name": "rm", "objective": "helpful", "prompts": {"file": "p"}, "model": "./rm", "weight": 2},
        {"kind": "judge", "name": "safe", "objective": "harmless", "prompts": {"file": "p"}, "judge": JUDGE},
    ]
    config = RunConfig.load(write(tmp_path, reward=rewards))
    assert config.reward_objectives == ("helpful", "harmless")
    assert [reward.model_dump()["kind"] for reward in config.reward] == ["function", "model", "judge"]
    assert RunConfig.load(write(tmp_path)).reward_objectives == ("reward",)


def test_overrides_are_relative_to_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    config = RunConfig.load(write(tmp_path), base="model", tax=[FIELDS["tax"][0]])
    assert Path(config.base) == tmp_path / "here" / "model"
    assert [probe.file for probe in config.tax if isinstance(probe, FileProbe)] == [tmp_path / "here" / "facts.jsonl"]
    with pytest.raises(UserError, match=r"search\(\): there is no field 'trails'"):
        RunConfig.load(write(tmp_path), trails=50)
    with pytest.raises(UserError, match=r"search\(\): trials: this is 1 and must be a whole number, at least 3\.$"):
        RunConfig.load(write(tmp_path), trials=1)
