"""Exports of aligned models whose differences an operator has changed: recipe, verification, card, mergekit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from ama_ray.api import Run
from ama_ray.checkpoints.differences import operated
from ama_ray.checkpoints.pair import Pair
from ama_ray.errors import UserError
from ama_ray.export import reproduce, verify
from ama_ray.export.merge_file import MergeFile
from ama_ray.scores.trial import Trial
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import edit, stored
from testing.several import NAMES, make_several
from tests.support.runs import run_of, write_run
from tests.support.trials import scores

if TYPE_CHECKING:
    from pathlib import Path

TRIM: dict[str, Any] = {"keep": 0.3, "rescale": True}
DARE: dict[str, Any] = {"kind": "dare", "keep": 0.5, "seed": 3}


def exported(folder: Path, delta: str | dict[str, Any], models: int = 3) -> Path:
    """The export of a point with a share of 0.1, 0.2, ... for each number of its groups."""
    base, aligned = make_several(folder / "set", layers=3)
    fields: dict[str, Any] = {"base": str(base), "aligned": list(map(str, aligned[:models])), "space": "three-parts"}
    run = run_of([], folder / "run", delta=delta, **fields)
    pair = Pair.open(str(base), run.config.sources[1:], delta=run.config.delta)
    groups = pair.groups(SearchSpace.load("three-parts"), run.config.models)
    points = [
        groups.alone(0),
        groups.alone(1),
        dict(zip(groups.names, np.linspace(0.1, 0.3, 9).tolist(), strict=False)),
    ]
    trials = [
        Trial(number, "complete", "baseline", ratios, scores((number, 0.1)), scores((number, 0.1)))
        for number, ratios in enumerate(points)
    ]
    run = run_of(trials, folder / "run", delta=delta, **fields)
    write_run(run, {"study": "s", "base and aligned": pair.checksum})
    return Run.open(folder / "run").export(2, folder / "out")


@pytest.mark.parametrize("delta", [TRIM, DARE, "ties"], ids=["trim", "dare", "ties"])
def test_the_recipe_says_the_operator_and_makes_the_same_files(delta: str | dict[str, Any], tmp_path: Path) -> None:
    out = exported(tmp_path, delta)
    merge = MergeFile.load(out / "merge.json")
    assert merge.delta is not None
    assert (merge.version, len(merge.parents), merge.directions) == (3, 4, 1 if delta == "ties" else 3)
    assert [parent.checksum for parent in merge.parents] == list(
        Pair.open(str(tmp_path / "set/base"), [str(tmp_path / "set" / name) for name in NAMES]).checksums
    )
    before, *after = (stored(tmp_path / "set" / name) for name in ("base", *NAMES))
    for name, tensor in stored(out).items():
        low, high = before[name], [tensors[name] for tensors in after]
        made = (
            [operated(merge.delta, name, low, high)]
            if delta == "ties"
            else [operated(merge.delta, name, low, [each], number) for number, each in enumerate(high)]
        )
        exact = low.double()
        for share, each in zip(merge.shares_of[name], made, strict=True):
            exact = exact + share * (each.double() - low.double())
        np.testing.assert_allclose(tensor.double().numpy(), exact.numpy(), rtol=1e-6, atol=1e-7)
    told: list[str] = []
    verify(out, told.append)
    assert told[1] == "base and aligned give the same files"


def test_another_operator_makes_other_files(tmp_path: Path) -> None:
    out = exported(tmp_path, "ties")
    edit(out / "merge.json", lambda fields: fields["delta"].update(keep=0.5))
    with pytest.raises(UserError, match=r"has another SHA-256 than merge\.json says"):
        reproduce(out / "merge.json", tmp_path / "again")
    edit(out / "merge.json", lambda fields: fields.update(version=2))
    with pytest.raises(UserError, match="version 3 has delta"):
        reproduce(out / "merge.json", tmp_path / "again")
    edit(out / "merge.json", lambda fields: fields.update(version=3, delta={"kind": "trim", "keep": 0.2}))
    with pytest.raises(UserError, match="needs a share for each of the 3 aligned models"):
        reproduce(out / "merge.json", tmp_path / "again")


def test_the_card_says_what_was_done(tmp_path: Path) -> None:
    for delta, words in (
        (
            TRIM,
            "0.3 were kept, the largest by magnitude, and multiplied so that their magnitudes have the sum they had",
        ),
        (DARE, "0.5 were kept at random and divided by 0.5 (DARE, [arXiv 2311.03099]"),
        ("ties", "One aligned model was made of them by TIES ([arXiv 2306.01708]"),
    ):
        name = str(delta) if isinstance(delta, str) else delta.get("kind", "trim")
        card = (exported(tmp_path / name, delta) / "README.md").read_text()
        assert words in card
        assert "| aligned 3 | `code`, a local folder | none stated |" in card
        table = "| group | ratio | tensors |" if delta == "ties" else "| group | aligned 1 | aligned 2 | aligned 3 |"
        assert table in card
        assert ("There is no configuration for mergekit: its dare_linear keeps other elements" in card) == (
            delta is DARE
        )


def setting(found: Any, name: str) -> float:
    """As mergekit resolves a parameter: the first whose filter is a part of the tensor's name."""
    return float(next(each["value"] for each in found if each.get("filter", "") in name))


def test_mergekit_has_the_same_methods(tmp_path: Path) -> None:
    out = exported(tmp_path / "ties", "ties")
    config = yaml.safe_load((out / "mergekit.yaml").read_text())
    base, *aligned = (str(tmp_path / "ties/set" / name) for name in ("base", *NAMES))
    assert (config["merge_method"], config["base_model"]) == ("ties", base)
    assert [each["model"] for each in config["models"]] == aligned
    shares = MergeFile.load(out / "merge.json").shares_of
    lambdas = config["parameters"].pop("lambda")
    assert all(setting(lambdas, name) == share for name, (share,) in shares.items())
    assert config["parameters"] == {"density": 0.2, "rescale": False, "weight": 1.0}

    out = exported(tmp_path / "one", TRIM, models=1)
    config = yaml.safe_load((out / "mergekit.yaml").read_text())
    assert (config["merge_method"], len(config["models"])) == ("ties", 1)
    assert (config["parameters"]["density"], config["parameters"]["rescale"]) == (0.3, True)

    out = exported(tmp_path / "trim", TRIM)
    config = yaml.safe_load((out / "mergekit.yaml").read_text())
    assert config["merge_method"] == "breadcrumbs"
    assert config["parameters"] == {"normalize": False, "density": 0.3, "gamma": 0.0, "rescale": True}
    shares = MergeFile.load(out / "merge.json").shares_of
    for number, model in enumerate(config["models"]):
        assert all(setting(model["parameters"]["weight"], name) == each[number] for name, each in shares.items())
