"""What an architecture needs is there, in every architecture and however it is named; or it is named as missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from ama_ray.checkpoints.checkpoint import Checkpoint, read_tensors
from ama_ray.checkpoints.completeness import check_complete
from ama_ray.checkpoints.model_config import read_config
from ama_ray.checkpoints.pair import Pair
from ama_ray.errors import UserError
from testing.checkpoints import ARCHITECTURES, edit_weights, make_pair

if TYPE_CHECKING:
    from pathlib import Path


def opened(folder: Path) -> Checkpoint:
    return Checkpoint(folder, read_tensors(str(folder)), read_config(folder))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_tensor_of_an_architecture_may_be_missing(architecture: str, tied: bool, tmp_path: Path) -> None:
    _, aligned = make_pair(tmp_path, architecture, layers=2, tied=tied)
    whole = opened(aligned)
    check_complete(whole)
    for name in whole.tensors:
        rest = {other: info for other, info in whole.tensors.items() if other != name}
        with pytest.raises(UserError, match=r"aligned: .* is not there, and \w+ needs it") as caught:
            check_complete(Checkpoint(aligned, rest, whole.config))
        assert name in str(caught.value)


def test_a_tensor_under_another_name_is_not_missed(tmp_path: Path) -> None:
    """transformers has names of old that it reads and does not write."""
    _, aligned = make_pair(tmp_path, layers=1)
    tensors = load_file(aligned / "model.safetensors")
    save_file({f"language.{name}": tensor for name, tensor in tensors.items()}, aligned / "model.safetensors")
    check_complete(opened(aligned))


@pytest.mark.parametrize("name", ["score.weight", "classifier.bias", "value_head.0.weight"])
def test_a_head_for_rewards_is_named(name: str, tmp_path: Path) -> None:
    """vLLM would not start, and would name every parameter that it has instead."""
    base, aligned = make_pair(tmp_path, layers=1)
    for folder in (base, aligned):
        edit_weights(folder, lambda tensors: tensors.update({name: torch.ones(1, 64)}))
    with pytest.raises(UserError, match=rf"aligned: {name} is of a head .* LlamaForCausalLM has none; .*save_pret"):
        Pair.open(str(base), str(aligned))


def test_an_architecture_that_transformers_does_not_know_is_left_alone(tmp_path: Path) -> None:
    _, aligned = make_pair(tmp_path, layers=1)
    whole = opened(aligned)
    check_complete(Checkpoint(aligned, {}, whole.config | {"architectures": ["OwnForCausalLM"]}))
