"""Fields of a configuration that may differ, as they compute nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import transformers

from ama_ray.checkpoints.compatibility import compare_configs
from ama_ray.checkpoints.model_config import read_config
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

Told = Callable[[dict[str, Any]], list[str]]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """What is said of two configurations of which the second has further fields."""
    plain = transformers.LlamaConfig(architectures=["LlamaForCausalLM"]).to_dict()

    def compared(fields: dict[str, Any]) -> list[str]:
        folders = [tmp_path / name for name in ("base", "aligned")]
        for folder, more in zip(folders, ({}, fields), strict=True):
            folder.mkdir()
            (folder / "config.json").write_text(json.dumps(plain | more))
        return list(compare_configs(folders, [read_config(folder) for folder in folders]))

    return compared


@pytest.mark.parametrize(
    "fields",
    [
        {"unsloth_fixed": True},
        {"gradient_checkpointing": True},
        {"output_attentions": True},
        {"tokenizer_class": "LlamaTokenizer"},
        {"auto_map": {"AutoModel": "modeling.Model"}},
        {"problem_type": "single_label_classification"},
        {"pretraining_tp": 2},
        {"_attn_implementation_autoset": True},
        {"hidden_act": "swish"},
        {"num_labels": 1},
        {"id2label": {"0": "good", "1": "bad", "2": "neither"}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_fields_that_compute_nothing_are_no_difference(fields: dict[str, Any], told: Told) -> None:
    assert told(fields) == []


def test_an_activation_of_another_name_computes_differently(told: Told) -> None:
    with pytest.raises(UserError, match=r"hidden_act in config\.json differs .*compute differently"):
        told({"hidden_act": "gelu"})
