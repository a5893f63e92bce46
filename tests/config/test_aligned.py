"""Several aligned models in a run file, and what of them makes no sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.config import RunConfig
from ama_ray.config.aligned import are_steps
from ama_ray.config.delta import Delta
from ama_ray.errors import UserError
from tests.support.runs import config_of

if TYPE_CHECKING:
    from pathlib import Path

TWO = ["org/chat", "org/math"]


def test_one_model_in_a_list_is_that_model() -> None:
    assert config_of(aligned=["org/chat"]).to_yaml() == config_of(aligned="org/chat").to_yaml()
    assert config_of(aligned="org/chat").models == ("",)


def test_names_and_revisions(tmp_path: Path) -> None:
    listed = [*TWO, {"path": "org/chat", "revision": "step-400", "name": "early"}, {"path": str(tmp_path)}]
    config = config_of(aligned=listed)
    assert config.models == ("chat", "math", "early", tmp_path.name)
    assert config.sources == ("org/base", *TWO, "org/chat@step-400", str(tmp_path))
    assert RunConfig.from_arguments(**config.model_dump()) == config


def test_steps_of_one_run_are_in_their_order(tmp_path: Path) -> None:
    for step in (200, 1000, 30):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-last").mkdir()
    config = config_of(aligned={"steps": str(tmp_path / "checkpoint-*")})
    assert config.models == ("checkpoint-30", "checkpoint-200", "checkpoint-1000")
    assert [model.step for model in config.aligned if not isinstance(model, str)] == [30, 200, 1000]
    assert are_steps(config.aligned)
    assert are_steps(RunConfig.from_arguments(**config.model_dump()).aligned)
    assert config.baseline_points == config_of(aligned=["org/x", *TWO]).baseline_points + 1


def test_ties_makes_one_model_of_several() -> None:
    config = config_of(aligned=TWO, delta="ties", trials=3)
    assert (config.models, config.first_points, len(config.sources)) == (("",), 3, 3)
    assert config.delta == Delta(kind="ties")
    assert RunConfig.from_arguments(**config.model_dump()) == config
    assert config_of(aligned=TWO, delta={"keep": 0.3}).models == ("chat", "math")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"aligned": []}, "aligned: there is no aligned model; name one or several"),
    ({"aligned": ["org/a", "org/a"]}, "aligned: org/a is named twice"),
    ({"aligned": ["org/a", "else/a"]}, "aligned: two aligned models are called 'a'; give each a `name`"),
    (
        {"aligned": [*TWO, {"path": "org/x", "name": "a@b"}]},
        'aligned: 2.name: this is "a@b" and must be a name of letters, digits, _, -, .',
    ),
    ({"aligned": [*TWO, {"name": "x"}]}, "aligned: 2.path: this field is missing"),
    (
        {"aligned": [*TWO, {"path": "org/x", "revison": "1"}]},
        "aligned: 2.revison: there is no such field; did you mean revision?",
    ),
    ({"aligned": ["org/a", {"path": "/x/b", "revision": "1"}]}, "a `revision` goes with the id of a model on the hub"),
    ({"aligned": {"steps": "/nowhere/checkpoint-*"}}, "steps: no folder with a number in its name matches"),
    (
        {"aligned": [{"path": "org/a", "step": 2}, {"path": "org/b", "step": 1}]},
        "either all aligned models have a `step`, and these rise, or none has",
    ),
    ({"aligned": ["org/a", {"path": "org/b", "step": 1}]}, "either all aligned models have a `step`"),
    ({"aligned": TWO, "mix": "cube"}, 'mix: this is "cube" and must be one of simplex, free'),
    ({"mix": "simplex"}, "mix: there is one aligned model, and nothing to mix"),
    ({"aligned": TWO, "mean_ratio": 0.5}, "mean_ratio: it is for one aligned model"),
    ({"aligned": TWO, "range": [0, 1.2]}, "range: with mix: simplex"),
    ({"aligned": TWO, "engine": {"url": "http://here:1"}}, "engine.url: servers hold one aligned model"),
    ({"aligned": TWO, "warm_start": ["parts"]}, "warm_start: parts is for one aligned model"),
    ({"aligned": [f"org/m{i}" for i in range(9)], "trials": 10}, "trials: base, 9 aligned models"),
]


@pytest.mark.parametrize(("fields", "words"), BAD)
def test_what_makes_no_sense_is_one_sentence(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        config_of(**fields)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_free_mixtures_have_a_range() -> None:
    assert config_of(aligned=TWO, mix="free", range=(0, 1.2)).range == (0, 1.2)
