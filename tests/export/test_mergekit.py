"""`mergekit.yaml` means the merge. Mergekit itself, whose pins clash with ours, makes it in `benchmarks.peers`."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ama_ray.api import Run
from ama_ray.export.merge_file import Group, MergeFile, Parent
from ama_ray.export.mergekit import filters, mergekit_yaml
from ama_ray.miniature import ROOT
from testing.checkpoints import edit_weights, make_pair, stored
from tests.support.rounding import half_ulp

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.runs import MakeRun

words = st.sampled_from(["model", "layers", "0", "1", "10", "w", "weight"])
names = st.lists(words, min_size=1, max_size=4).map(".".join)


def weight(setting: list[dict[str, Any]], name: str) -> float:
    """As mergekit 0.1.5 resolves a parameter: the first whose filter is a part of the tensor's name."""
    return float(next(each["value"] for each in setting if each.get("filter", "") in name))


def interpreted(config: dict[str, Any], name: str, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mergekit's linear method without normalising, in float64."""
    assert config["merge_method"] == "linear"
    assert config["parameters"] == {"normalize": False}
    return sum(
        (weight(each["parameters"]["weight"], name) * tensors[each["model"]].double() for each in config["models"]),
        torch.zeros(()),
    )


@pytest.mark.parametrize("space", ["uniform", "three-parts", "per-layer", "attention-mlp"])
def test_all_tensors_of_the_miniature_are_equal_to_rounding(
    space: str, make_export_run: MakeRun, tmp_path: Path
) -> None:
    out = Run.open(make_export_run((ROOT / "base", ROOT / "rsf"), space)).export(3, tmp_path / "out")
    config = yaml.safe_load((out / "mergekit.yaml").read_text())
    assert (config["base_model"], config["dtype"]) == (str(ROOT / "rsf"), "bfloat16")
    ends = {str(ROOT / end): stored(ROOT / end) for end in ("base", "rsf")}
    merged = stored(out)
    assert len(merged) == 56
    for name, tensor in merged.items():
        exact = interpreted(config, name, {end: tensors[name] for end, tensors in ends.items()})
        arithmetic = 4 * 2**-24 * sum(tensors[name].double().abs() for tensors in ends.values())
        assert bool(((tensor.double() - exact).abs() <= half_ulp(exact, torch.bfloat16) + arithmetic).all()), name


@given(st.dictionaries(names, st.sampled_from([0.0, 0.25, 0.5, 1.3]), min_size=1, max_size=12))
def test_every_tensor_gets_its_ratio_whatever_the_names(ratio_of: dict[str, float]) -> None:
    found = list(filters(ratio_of))
    assert found[-1][0] == ""
    for name, ratio in ratio_of.items():
        assert next(each for part, each in found if part in name) == ratio
    assert all(one != other for one, other in pairwise(part for part, _ in found))


def test_a_filter_per_layer_is_enough() -> None:
    ratio_of = {f"model.layers.{i}.{each}.weight": i / 20 for i in range(12) for each in ("mlp.up", "attn.q", "norm")}
    found = list(filters(ratio_of | {"model.norm.weight": 1.0, "lm_head.weight": 1.0}))
    assert len(found) == 13
    assert ("model.layers.1.", 1 / 20) in found
    assert list(filters(dict.fromkeys(ratio_of, 0.5))) == [("", 0.5)]


def merge(base: str, aligned: str, adapter: bool = False) -> MergeFile:
    return MergeFile(
        base=Parent(source=base, checksum=""),
        aligned=Parent(source=aligned, checksum="", adapter=adapter),
        dtype="bfloat16",
        groups=(Group(name="all", ratio=0.25, tensors=("w",)),),
        made_with={},
    )


def test_names_that_mergekit_would_read_otherwise_and_adapters_are_spelt_out() -> None:
    plain = yaml.safe_load(mergekit_yaml(merge("org/base", "org/aligned")))
    assert (
        [each["model"] for each in plain["models"]] == ["org/base", plain["base_model"]] == ["org/base", "org/aligned"]
    )
    assert [each["parameters"]["weight"] for each in plain["models"]] == [[{"value": 0.75}], [{"value": 0.25}]]
    odd = yaml.safe_load(mergekit_yaml(merge("/c++/base", "/me@home/aligned")))
    assert odd["models"][0]["model"] == {"model": {"path": "/c++/base"}}
    assert odd["base_model"] == {"model": {"path": "/me@home/aligned"}}
    adapted = yaml.safe_load(mergekit_yaml(merge("org/base", "org/adapter", adapter=True)))
    assert adapted["base_model"] == {"model": {"path": "org/base"}, "lora": {"path": "org/adapter"}}
    step = yaml.safe_load(mergekit_yaml(merge("org/base", "org/aligned@step-100")))
    assert step["base_model"] == {"model": {"path": "org/aligned", "revision": "step-100"}}


def test_there_is_none_where_mergekit_would_make_something_else(make_export_run: MakeRun, tmp_path: Path) -> None:
    integers = make_pair(tmp_path / "integers", layers=1)
    precisions = make_pair(tmp_path / "precisions", layers=1)
    for one, two in zip(integers, precisions, strict=True):
        edit_weights(one, lambda tensors: tensors.update({"model.layers.0.mask": torch.arange(3)}))
        edit_weights(two, lambda tensors: tensors.update({"lm_head.weight": tensors["lm_head.weight"].bfloat16()}))
    experts = make_pair(tmp_path / "experts", "mixtral", layers=2)
    cases = {
        "integers": (integers, "per-layer", "tensors of integers"),
        "precisions": (precisions, "per-layer", "one precision"),
        "experts": (experts, "attention-mlp", "tensors of experts under other names"),
    }
    for name, (pair, space, why) in cases.items():
        (tmp_path / "run").rename(tmp_path / f"before-{name}") if (tmp_path / "run").exists() else None
        out = Run.open(make_export_run(pair, space)).export(3, tmp_path / f"out-{name}")
        assert not (out / "mergekit.yaml").exists()
        assert why in (out / "README.md").read_text()
