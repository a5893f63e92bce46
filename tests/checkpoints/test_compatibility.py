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
        {"output_hidden_states": True},
        {"return_dict": False},
        {"torchscript": True},
        {"chunk_size_feed_forward": 4},
        {"use_cache": False},
        {"cache_implementation": "hybrid"},
        {"task_specific_params": {"a": 1}},
        {"transformers.js_config": {"dtype": "fp16"}},
        {"_flash_attn_2_enabled": True},
        {"use_flash_attn": True},
        {"_commit_hash": "0"},
        {"unsloth_version": "2025.1"},
        {"model_max_length": 4096},
        {"padding_side": "left"},
        {"gradient_checkpointing_kwargs": {"use_reentrant": False}},
        {"neftune_noise_alpha": 5},
        {"max_window_layers": 28},
        {"router_aux_loss_coef": 0.1},
        {"use_mrope": False},
        {"ends_of_another_version": []},
        {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "default", "factor_of_another_version": None}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_fields_that_compute_nothing_are_no_difference(fields: dict[str, Any], told: Told) -> None:
    assert told(fields) == []


@pytest.mark.parametrize("value", [True, 0, 0.0, 1, "yes", [1], {"a": 1}])
def test_a_field_that_no_class_knows_is_a_difference_where_it_says_something(value: Any, told: Told) -> None:
    with pytest.raises(UserError, match=r"use_mrope in config\.json differs"):
        told({"use_mrope": value})


def test_of_a_class_that_transformers_does_not_have_no_default_is_known(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"qkv_bias in config\.json differs \(None, False\)"):
        list(compare_configs([tmp_path, tmp_path], [{"model_type": "own"}, {"model_type": "own", "qkv_bias": False}]))


def test_an_activation_of_another_name_computes_differently(told: Told) -> None:
    with pytest.raises(UserError, match=r"hidden_act in config\.json differs .*compute differently"):
        told({"hidden_act": "gelu"})
