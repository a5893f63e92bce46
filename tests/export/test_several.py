"""The export of several aligned models: its recipe, made again and verified, its card, and mergekit's configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from ama_ray.api import Run
from ama_ray.checkpoints.pair import Pair
from ama_ray.errors import UserError
from ama_ray.export import reproduce, verify
from ama_ray.export.merge_file import MergeFile
from ama_ray.export.write import digests
from ama_ray.scores.trial import Trial
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import edit, stored
from testing.several import NAMES, make_several
from tests.support.runs import run_of, write_run
from tests.support.trials import scores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Base, the models alone, half of their average, and a point of the sampler, trial 5."""
    base, aligned = make_several(tmp_path / "set", layers=3)
    pair = Pair.open(str(base), list(map(str, aligned)))
    groups = pair.groups(SearchSpace.load("three-parts"), NAMES)
    draw = np.random.default_rng(0)
    shares = [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.5 / 3,) * 3]
    points = [(groups.everywhere(each), "baseline") for each in shares]
    points.append(({name: float(draw.uniform(0, 0.33)) for name in groups.names}, "sampler"))
    values = [(0.0, 0.0), (3.0, 0.4), (4.0, 0.5), (2.0, 0.3), (1.5, 0.1), (3.5, 0.2)]
    trials = [
        Trial(number, "complete", origin, ratios, scores(value), scores(value))  # type: ignore[arg-type]
        for number, ((ratios, origin), value) in enumerate(zip(points, values, strict=True))
    ]
    fields: dict[str, Any] = {"base": str(base), "aligned": list(map(str, aligned)), "space": "three-parts"}
    made = run_of(trials, tmp_path / "run", **fields)
    return Run.open(write_run(made, {"study": "s", "base and aligned": pair.checksum}))


def test_the_recipe_makes_the_same_files(run: Run, tmp_path: Path) -> None:
    out = run.export(5, tmp_path / "out")
    merge = MergeFile.load(out / "merge.json")
    assert (merge.version, len(merge.parents)) == (2, 4)
    base, *aligned = (stored(tmp_path / "set" / name) for name in ("base", *NAMES))
    for name, tensor in stored(out).items():
        exact = base[name].double()
        for share, tensors in zip(merge.shares_of[name], aligned, strict=True):
            exact = exact + share * (tensors[name].double() - base[name].double())
        np.testing.assert_allclose(tensor.double().numpy(), exact.numpy(), rtol=1e-6, atol=1e-7)
    told: list[str] = []
    verify(out, told.append)
    assert told[1] == "base and aligned give the same files"
    moved = (tmp_path / "set").rename(tmp_path / "moved")
    verify(out, told.append)
    assert told[3].endswith("give --base and --aligned a folder or hub id")
    places = [str(moved / name) for name in NAMES]
    again = reproduce(out / "merge.json", tmp_path / "again", str(moved / "base"), places)
    assert digests(again).items() >= {k: d for k, d in digests(out).items() if k != "mergekit.yaml"}.items()


def test_a_recipe_that_is_off_is_refused(run: Run, tmp_path: Path) -> None:
    file = run.export(5, tmp_path / "out") / "merge.json"
    base, *places = (str(tmp_path / "set" / name) for name in ("base", *NAMES))
    with pytest.raises(UserError, match="--aligned: this merge has 3 aligned models; name all of them"):
        reproduce(file, tmp_path / "again", base, places[:2])
    with pytest.raises(UserError, match=r"math: not the aligned 1 that .*; name the right one with --aligned"):
        reproduce(file, tmp_path / "again", base, [places[1], places[0], places[2]])
    edit(file, lambda fields: fields["groups"][0].update(ratio=[0.1, 0.2]))
    with pytest.raises(UserError, match="needs a share for each of the 3 aligned models"):
        reproduce(file, tmp_path / "again")


def test_the_card_names_all_parents_and_their_shares(run: Run, tmp_path: Path) -> None:
    card = (run.export(5, tmp_path / "out") / "README.md").read_text()
    for words in (
        "# chat, math and code, averaged with their base",
        "| aligned 3 | `code`, a local folder | none stated |",
        "| group | aligned 1 | aligned 2 | aligned 3 | tensors |",
        "the checksums of all parents",
        "aligned, the best of 3 in reward",
    ):
        assert words in card


def test_mergekit_does_task_arithmetic_with_the_same_shares(run: Run, tmp_path: Path) -> None:
    out = run.export(5, tmp_path / "out")
    config = yaml.safe_load((out / "mergekit.yaml").read_text())
    assert (config["merge_method"], config["base_model"]) == ("task_arithmetic", str(tmp_path / "set" / "base"))
    shares = MergeFile.load(out / "merge.json").shares_of
    for model, listed in enumerate(config["models"]):
        assert listed["model"] == str(tmp_path / "set" / NAMES[model])
        for name, expected in shares.items():
            found = next(s["value"] for s in listed["parameters"]["weight"] if s.get("filter", "") in name)
            assert found == expected[model]


def test_points_have_names(run: Run) -> None:
    for name, number in {"base": 0, "aligned": 2, "chat": 1, "math": 2, "code": 3, "uniform-0.5": 4, "knee": 5}.items():
        assert run.point(name).number == number
    assert json.loads(json.dumps(run.point("uniform-0.5").ratios)) == run.point(4).ratios
    with pytest.raises(UserError, match=r"There is no point 'mth'; .*did you mean math"):
        run.point("mth")
