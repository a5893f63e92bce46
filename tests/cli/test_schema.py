"""`ama-ray schema`: another library's validator takes by it what a run takes, and refuses what a run refuses."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ama_ray.config import RunConfig
from ama_ray.config.probes import PROBES
from ama_ray.config.rewards import REWARDS
from ama_ray.errors import UserError
from ama_ray.schema import run_file_schema
from tests.support.doc_blocks import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command

SOUND: dict[str, Any] = {
    "base": "org/base",
    "aligned": "org/aligned",
    "reward": {"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "reward.py:score"},
    "tax": [{"name": "facts", "family": "knowledge", "kind": "choice", "file": "facts.jsonl"}],
    "out": "out",
}
YAML = [path for room in ("ama_ray", "benchmarks", "testing", "tests") for path in (ROOT / room).rglob("*.yaml")]
FILES = [path for path in YAML if {"base", "aligned"} <= yaml.safe_load(path.read_text(encoding="utf-8")).keys()]
EXAMPLES = [block for block in blocks() if block.language == "yaml"]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = run_file_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def changed(**changes: Any) -> dict[str, Any]:
    return SOUND | changes


def with_reward(**changes: Any) -> dict[str, Any]:
    return changed(reward=SOUND["reward"] | changes)


def with_probe(**changes: Any) -> dict[str, Any]:
    return changed(tax=[SOUND["tax"][0] | changes])


def test_the_command_prints_it_and_nothing_else(run: Command) -> None:
    ended = run("schema")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == run_file_schema()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_run_files_of_the_repository_pass(path: Path, validator: Draft202012Validator) -> None:
    validator.validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.page)
def test_examples_of_the_pages_pass(block: Any, validator: Draft202012Validator) -> None:
    validator.validate(SOUND | yaml.safe_load(block.text))


@pytest.mark.parametrize("path", sorted((ROOT / "search_spaces").glob("*.yaml")), ids=lambda path: path.stem)
def test_search_spaces_pass_by_name_and_in_place(path: Path, validator: Draft202012Validator) -> None:
    validator.validate(changed(space=path.stem))
    validator.validate(changed(space=yaml.safe_load(path.read_text(encoding="utf-8"))))


TAKEN = {
    "one reward, several": changed(reward=[SOUND["reward"], SOUND["reward"] | {"name": "other"}]),
    "sampling of the checkpoint": with_reward(sampling="checkpoint"),
    "sampling of the checkpoint, but for a field": with_reward(sampling={"defaults": "checkpoint", "n": 4}),
    "sampling of a probe": changed(tax=[{"preset": "gsm8k", "sampling": "checkpoint"}]),
    "a command as a text": changed(
        reward={"kind": "command", "command": "python score.py"}, engine={"max_model_len": 2048}
    ),
    "a command as a list": changed(
        reward={"kind": "command", "command": ["python", "score.py"]}, engine={"max_model_len": 2048}
    ),
    "paths of several aligned": changed(aligned=["org/a", {"path": "org/b", "name": "b", "revision": "v1"}]),
    "one address": changed(engine={"url": "http://127.0.0.1:8100"}),
    "several addresses": changed(engine={"url": ["http://127.0.0.1:8100", "http://127.0.0.1:8101"]}),
    "a tracker": changed(callbacks="mlflow"),
    "a callback": changed(callbacks=["ray.tune.logger.JsonLoggerCallback"]),
    "a sampler by its path": changed(sampler="optuna.samplers.QMCSampler"),
    "a bound with spaces around": changed(constraints={"tax": " <=0.02 "}),
    "warm starts": changed(warm_start=["parts", "runs/earlier"]),
    "a space of one's own": changed(space="mine.yaml"),
}
REFUSED = {
    "an unknown field": (changed(sampelr="tpe"), "sampelr"),
    "one of a reward": (with_reward(weigth=2), "weigth"),
    "one of prompts": (with_reward(prompts={"file": "p.jsonl", "feild": "text"}), "feild"),
    "one of a probe": (with_probe(familiy="x"), "familiy"),
    "one of the engine": (changed(engine={"gpu": 1}), "gpu"),
    "one of a space": (changed(space={"groups": [{"name": "all", "tensor": ["*"]}]}), "tensor"),
    "a field of another kind": (with_probe(positions=8), "positions"),
    "a kind that there is not": (with_probe(kind="choices"), "choices"),
    "no kind": (changed(tax=[{"name": "a", "family": "b", "file": "c.jsonl"}]), "kind"),
    "a command without its kind": (changed(tax=[{"name": "a", "family": "b", "command": "true"}]), "kind"),
    "a preset that there is not": (changed(tax=[{"preset": "arc_esay"}]), "arc_esay"),
    "a space that there is not": (changed(space="per-leyer"), "per-leyer"),
    "a sampler that there is not": (changed(sampler="tpee"), "tpee"),
    "a bound without its side": (changed(constraints={"tax": "0.02"}), "0.02"),
    "no base": ({name: value for name, value in SOUND.items() if name != "base"}, "base"),
    "too few trials": (changed(trials=2), "2"),
    "no probe": (changed(tax=[]), "[]"),
}


@pytest.mark.parametrize("fields", TAKEN.values(), ids=TAKEN)
def test_short_forms_are_taken_as_a_run_takes_them(fields: dict[str, Any], validator: Draft202012Validator) -> None:
    RunConfig.parse(copy.deepcopy(fields), "here")
    validator.validate(fields)


def test_the_steps_of_a_run_are_taken(validator: Draft202012Validator) -> None:
    validator.validate(changed(aligned={"steps": "run/checkpoint-*"}))
    assert not validator.is_valid(changed(aligned={"step": "run/checkpoint-*"}))


@pytest.mark.parametrize(("fields", "named"), REFUSED.values(), ids=REFUSED)
def test_what_a_run_refuses_is_refused_and_named(
    fields: dict[str, Any], named: str, validator: Draft202012Validator
) -> None:
    found = [told for error in validator.iter_errors(fields) for told in [error, *_within(error)]]
    assert any(named in error.message for error in found)
    if named not in ("arc_esay", "per-leyer", "tensor"):  # which are known to what comes after the run file
        with pytest.raises(UserError):
            RunConfig.parse(copy.deepcopy(fields), "here")


def _within(error: Any) -> list[Any]:
    return [told for inner in error.context for told in [inner, *_within(inner)]]


def models_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [schema, *(part for part in schema["$defs"].values() if part["type"] == "object")]


def test_every_field_is_explained_and_every_mapping_closed(validator: Draft202012Validator) -> None:
    for model in models_of(dict(validator.schema)):
        assert model["additionalProperties"] is False
        assert model["description"]
        unsaid = [name for name, field in model["properties"].items() if not field.get("description")]
        assert set(unsaid) <= {"kind"}
        assert "](#" not in json.dumps(model)


def test_every_kind_is_there(validator: Draft202012Validator) -> None:
    consts = [part["properties"]["kind"]["const"] for part in validator.schema["$defs"].values() if _is_kind(part)]
    assert sorted(consts) == sorted([*PROBES.addresses, *REWARDS.addresses])


def _is_kind(part: dict[str, Any]) -> bool:
    return "const" in part["properties"].get("kind", ())


CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "trials": st.integers(3, 99),
    "seed": st.integers(0, 2**32 - 1),
    "mean_ratio": st.none() | st.floats(0.01, 1.99),
    "range": st.none() | st.sampled_from([[0, 1], [0.0, 1.3]]),
    "sampler": st.sampled_from(["gp", "optuna.samplers.QMCSampler"]),
    "stop": st.none() | st.fixed_dictionaries({"patience": st.integers(1, 9)}),
    "budget": st.none() | st.fixed_dictionaries({"hours": st.floats(0.1, 9)}),
    "callbacks": st.sampled_from([[], "mlflow", ["wandb", "a.B"]]),
    "constraints": st.dictionaries(st.sampled_from(["tax", "tokens"]), st.sampled_from(["<= 0.5", ">= 1e-3"])),
    "warm_start": st.lists(st.sampled_from(["uniform", "parts", "distill", "runs/a"])),
    "aligned": st.sampled_from(["org/aligned", ["org/a", "org/b"], [{"path": "a/b", "name": "one"}, "c/d"]]),
    "engine": st.sampled_from([{}, {"gpus": 2}, {"url": "http://a:1"}, {"vllm": {"max_num_batched_tokens": 4}}]),
}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.fixed_dictionaries({}, optional=CHANGES))
def test_what_a_run_writes_down_is_taken(changes: dict[str, Any], validator: Draft202012Validator) -> None:
    try:
        config = RunConfig.parse(SOUND | changes, "here")
    except UserError:
        return  # fields that do not go together, which no schema says
    validator.validate(SOUND | changes)
    validator.validate(yaml.safe_load(config.to_yaml()))
