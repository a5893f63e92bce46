"""No engine is scored with weights that are not the merge that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch

from ama_ray.engine import deep_check
from ama_ray.engine.endpoints import Span
from ama_ray.engine.worker.swap_extension import SwapError
from testing.checkpoints import make_pair
from tests.support import equality, live_engine
from tests.support.processes import OwnProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine

SPLIT = {
    "groups": [
        *({"name": part, "tensors": [f"*.{part}_proj.*"]} for part in ("q", "k", "v", "gate", "up")),
        {"name": "rest"},
    ]
}
"""Cuts every parameter that vLLM fuses."""
EACH = {
    "groups": [
        *(
            {"name": f"{kind}-{{layer}}", "tensors": [f"*{kind}*"]}
            for kind in ("q_proj", "k_proj", "v_proj", "o_proj", "gate", "up", "down", "input_layernorm", "post_att")
        ),
        {"name": "embedding", "side": "input"},
        {"name": "head", "side": "output"},
    ]
}
"""A group per tensor."""
SPLIT_EXPERTS = {"groups": [{"name": "gate", "tensors": ["*.w1.*", "*.gate_proj.*"]}, {"name": "rest"}]}
HERE = {"q": 0.1, "k": 0.3, "v": 0.5, "gate": 0.6, "up": 0.8, "rest": 0.9}
THERE = dict.fromkeys(HERE, 0.2)


def fill(parameter: torch.nn.Parameter) -> torch.nn.Parameter:
    parameter.data.fill_(3.0)
    return parameter


def change_one(parameter: torch.nn.Parameter) -> torch.nn.Parameter:
    parameter.data.view(-1)[-1] += 1e-3
    return parameter


def poison(parameter: torch.nn.Parameter) -> torch.nn.Parameter:
    parameter.data.view(-1)[0] = torch.nan
    return parameter


def empty(parameter: torch.nn.Parameter) -> torch.nn.Parameter:
    parameter.data = torch.empty(0)
    return parameter


def halve(parameter: torch.nn.Parameter) -> torch.nn.Parameter:
    parameter.data = parameter.data[: len(parameter) // 2].clone()
    return parameter


def stride(parameter: torch.nn.Parameter) -> torch.nn.Parameter:
    parameter.data = torch.stack([parameter.data, parameter.data], dim=-1)[..., 0]
    return parameter


def replace(parameter: torch.nn.Parameter) -> torch.nn.Parameter:
    return torch.nn.Parameter(parameter.data.clone(), requires_grad=False)


def remove(parameter: torch.nn.Parameter) -> None:
    return None


Change = Callable[[torch.nn.Parameter], torch.nn.Parameter | None]
SEEN_AT_ONCE = [fill, change_one, poison, empty, halve, stride, remove]
SEEN_AT_THE_NEXT_SWAP = [empty, halve, stride, replace, remove]


def spoiled(worker: Any, change: Change, then: str, ratios: dict[str, float]) -> dict[str, str | None]:
    """Swaps to `HERE`, spoils a live parameter, and sets it right again; each in turn.

    Returns:
        By parameter, the `SwapError` that calling `then` raised.
    """
    model = worker.model_runner.get_model()
    errors: dict[str, str | None] = {}
    for name, parameter in list(model.named_parameters()):
        worker.swap(HERE)
        module, _, leaf = name.rpartition(".")
        owner, data, saved = model.get_submodule(module), parameter.data, parameter.data.clone()
        setattr(owner, leaf, change(parameter))
        try:
            getattr(worker, then)(ratios)
            errors[name] = None
        except SwapError as error:
            errors[name] = str(error)
        finally:
            parameter.data = data.copy_(saved)
            setattr(owner, leaf, parameter)
    return errors


def spoil(change: Change, then: str, ratios: dict[str, float]) -> dict[str, str | None]:
    """Runs `spoiled` inside the engine's worker."""
    errors: dict[str, str | None] = live_engine.ask("_call", spoiled, change, then, ratios)
    return errors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("safety")
    make_pair(folder, layers=2)
    return folder


@pytest.fixture(scope="module")
def process(folder: Path) -> Iterator[OwnProcess]:
    process = OwnProcess()
    process.run(live_engine.start, folder, SPLIT, live_engine.SETTINGS, deep_check.CONTEXT)
    yield process
    process.close()


def assert_named(errors: dict[str, str | None]) -> None:
    assert len(errors) == 15
    for name, error in errors.items():
        assert error is not None, name
        assert error.endswith(f": {name}")


@pytest.mark.parametrize("change", SEEN_AT_ONCE)
def test_a_check_names_the_parameter_that_is_off(process: OwnProcess, change: Change) -> None:
    assert_named(process.run(spoil, change, "verify", HERE))
    process.run(live_engine.ask, "swap", HERE)


@pytest.mark.parametrize("change", SEEN_AT_THE_NEXT_SWAP)
def test_a_swap_names_the_parameter_that_it_did_not_reach(process: OwnProcess, change: Change) -> None:
    assert_named(process.run(spoil, change, "swap", THERE))
    process.run(live_engine.ask, "swap", THERE)


def test_an_error_reaches_the_caller(process: OwnProcess) -> None:
    process.run(live_engine.ask, "swap", HERE)
    with pytest.raises(SwapError, match=r"qkv_proj\.weight"):
        process.run(live_engine.ask, "_call", "verify", THERE)


def test_groups_are_found_inside_fused_parameters(process: OwnProcess) -> None:
    spans = process.run(live_engine.spans)
    hidden, inner, key = 64, 96, 32
    assert spans["model.layers.1.self_attn.qkv_proj.weight"] == (
        Span(0, hidden * hidden, "q"),
        Span(hidden * hidden, (hidden + key) * hidden, "k"),
        Span((hidden + key) * hidden, (hidden + 2 * key) * hidden, "v"),
    )
    assert spans["model.layers.0.mlp.gate_up_proj.weight"] == (
        Span(0, inner * hidden, "gate"),
        Span(inner * hidden, 2 * inner * hidden, "up"),
    )
    # vLLM pads the 300 words; the padding belongs to no group.
    assert spans["lm_head.weight"] == (Span(0, 300 * hidden, "rest"),)


@pytest.mark.parametrize(
    ("architecture", "layers", "dtype", "space"),
    [
        # Nearly as many groups as bfloat16 can count.
        pytest.param("llama", 28, "bfloat16", EACH, marks=pytest.mark.slow),
        ("qwen2", 2, "float32", SPLIT),
        pytest.param("mixtral", 2, "float32", SPLIT_EXPERTS, marks=pytest.mark.slow),
    ],
    ids=["llama", "qwen2-with-biases", "mixtral-with-packed-experts"],
)
def test_fused_parameters_may_be_split_between_groups(
    architecture: str, layers: int, dtype: Literal["float32", "bfloat16"], space: dict[str, Any], tmp_path: Path
) -> None:
    make_pair(tmp_path, architecture, layers, dtype=getattr(torch, dtype))
    settings = live_engine.SETTINGS.model_copy(update={"dtype": dtype})
    result = equality.check(tmp_path, space, settings)
    print(f"{architecture}: {result.verdict}; plain vLLM {result.plain}")
    assert result.verdict.passed, result.verdict.trouble
    for equal, largest in (result.plain, *result.ends):
        assert equal == result.prompts
        assert largest <= {"float32": 1e-4, "bfloat16": 1e-2}[dtype]
