"""vLLM looks at the class of a model without a process of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.engine.model_classes import import_model_classes, is_recurrent, names_in_vllm
from tests.support.processes import in_own_process

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine
KNOWN = "LlamaForCausalLM"


def looked_at(folder: Path) -> bool:
    """Whether vLLM knows the classes of a model where it may start no process."""
    from vllm.model_executor.models import registry

    def refuse(function: Any) -> Any:
        raise AssertionError("it starts a process")

    registry._run_in_subprocess = refuse
    import_model_classes(folder)
    (architecture,) = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"]
    assert KNOWN in names_in_vllm(architecture)
    return bool(registry.ModelRegistry.models[KNOWN].inspect_model_cls().is_text_generation_model)


@pytest.mark.parametrize("architecture", [KNOWN, "LlamaForSequenceClassification"])
def test_no_process_is_started(architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_CACHE_ROOT", str(tmp_path / "cache"))
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [architecture]}), encoding="utf-8")
    assert in_own_process(looked_at, tmp_path)


def test_a_model_that_vllm_does_not_know_is_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["NoSuchModel"]}), encoding="utf-8")
    in_own_process(import_model_classes, tmp_path)


@pytest.mark.parametrize(("architecture", "is_one"), [(KNOWN, False), ("FalconH1ForCausalLM", True), ("NoSuch", False)])
def test_a_model_with_a_state_besides_attention_is_known(architecture: str, is_one: bool, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [architecture]}), encoding="utf-8")
    assert in_own_process(is_recurrent, tmp_path) == is_one
