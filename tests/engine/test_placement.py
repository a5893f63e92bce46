"""Where endpoints lie, decided by sizes alone; with a stand-in for a GPU, which is not on every machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from ama_ray.config import EngineSettings
from ama_ray.engine import placement
from ama_ray.engine.placement import LEAST_CACHE, ON_ACCELERATOR, WORKING, Load, decide, place
from ama_ray.errors import UserError
from scripts import placement as script
from testing.checkpoints import make_pair

if TYPE_CHECKING:
    from ama_ray.engine.placement import Place

GB = 10**9
UTILISATION = EngineSettings().gpu_memory_utilization


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, _ = make_pair(tmp_path_factory.mktemp("placement"), layers=2, dtype=torch.bfloat16)
    return folder


def parameters(checkpoint: Path) -> int:
    from safetensors import safe_open

    with safe_open(checkpoint / "model.safetensors", "pt") as file:
        return sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118 - the file is no mapping


def test_without_a_gpu_they_stay_in_the_object_store(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert place(EngineSettings(), checkpoint, 64) == ("object_store", UTILISATION)


@pytest.mark.parametrize(("copies", "expected"), [(3, "accelerator"), (2, "split"), (1, "pinned")])
def test_as_many_are_on_the_gpu_as_fit(copies: int, expected: Place) -> None:
    """From the least memory that holds so many copies of the weights and a KV cache, down to where one fits less."""
    load = Load(weights=16 * GB, endpoint=16 * GB, request=GB)
    beside = WORKING + (LEAST_CACHE if copies > 1 else load.request)
    just = round((copies * 16 * GB + beside) / UTILISATION) + 1
    where, left = decide(load, just, UTILISATION)
    assert where == expected
    # What vLLM leaves alone is what the endpoints take, and a tenth.
    assert left * just == pytest.approx(UTILISATION * just - (copies - 1) * 16 * GB)
    less = {"accelerator": "split", "split": "pinned"}
    if expected in less:
        assert decide(load, just - 2, UTILISATION)[0] == less[expected]
    else:
        with pytest.raises(UserError, match=r"take 16\.0 GB, and with .* 19\.1 GB; 90% of its .*use a larger GPU"):
            decide(load, just - 2, UTILISATION)


def test_a_long_context_comes_before_endpoints() -> None:
    """Else vLLM would refuse to start for want of a KV cache for one request."""
    memory = 80 * GB
    assert decide(Load(16 * GB, 16 * GB, 4 * GB), memory, UTILISATION)[0] == "accelerator"
    assert decide(Load(16 * GB, 16 * GB, 30 * GB), memory, UTILISATION)[0] == "split"


@pytest.mark.parametrize("wanted", ["accelerator", "split"])
def test_what_is_asked_for_and_does_not_fit_is_refused(wanted: Place) -> None:
    with pytest.raises(UserError, match=r"the weights and the endpoints there take .*set engine\.endpoints to auto"):
        decide(Load(16 * GB, 16 * GB, 0), 24 * GB, UTILISATION, wanted)
    assert decide(Load(16 * GB, 16 * GB, 0), 141 * GB, UTILISATION, wanted)[0] == wanted


def test_every_place_says_what_is_on_the_gpu() -> None:
    places = EngineSettings.model_json_schema()["properties"]["endpoints"]["enum"]
    assert [*ON_ACCELERATOR] == [name for name in places if name != "auto"]


@pytest.mark.parametrize(("dtype", "width"), [("bfloat16", 2), ("float32", 4)])
@pytest.mark.parametrize("ranks", [1, 2])
def test_gpus_that_share_a_model_take_their_part(
    dtype: Any, width: int, ranks: int, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = parameters(checkpoint)
    settings = EngineSettings(dtype=dtype, gpus=ranks)
    load = Load.of(checkpoint, settings, 64)
    assert load.weights == width * count // ranks
    assert load.endpoint == 2 * count // ranks
    # Two layers of one head with keys and values of 32 elements, which cannot be shared.
    assert load.request == 64 * 2 * 2 * 32 * width
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(placement, "accelerator_memory", lambda: 8 * GB)
    where, left = place(settings, checkpoint, 64)
    assert where == "accelerator"
    assert left == pytest.approx(UTILISATION - 2 * load.endpoint / (8 * GB))


def test_endpoints_of_a_checkpoint_that_is_converted_are_in_the_engine_s_precision(tmp_path: Path) -> None:
    folder, _ = make_pair(tmp_path, layers=2, dtype=torch.float32)
    load = Load.of(folder, EngineSettings(dtype="bfloat16"), 64)
    assert load.endpoint == load.weights == 2 * parameters(folder)


def test_what_the_user_sets_counts(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(placement, "accelerator_memory", lambda: 8 * GB)
    settings = EngineSettings(dtype="bfloat16", kv_cache_dtype="fp8", gpu_memory_utilization=0.6, endpoints="pinned")
    load = Load.of(checkpoint, settings, 64)
    assert 2 * load.request == Load.of(checkpoint, EngineSettings(dtype="bfloat16"), 64).request
    assert place(settings, checkpoint, 64) == ("pinned", 0.6)


def test_the_same_weights_in_another_format_are_not_counted(checkpoint: Path) -> None:
    before = Load.of(checkpoint, EngineSettings(dtype="bfloat16"), 64)
    other = checkpoint / "consolidated.safetensors"
    save_file({"tok_embeddings.weight": torch.zeros(1000)}, other)
    try:
        assert Load.of(checkpoint, EngineSettings(dtype="bfloat16"), 64) == before
    finally:
        other.unlink()


def test_the_cache_of_a_token() -> None:
    """Llama 3 8B: 128 KiB in bfloat16, as vLLM says; DeepSeek-V2's latent attention: 576 elements for each layer."""
    llama = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
    assert placement.cache_of_a_token(llama, 2, 1) == 128 * 1024
    assert placement.cache_of_a_token(llama, 2, 4) == 32 * 1024
    assert placement.cache_of_a_token(llama, 2, 16) == 16 * 1024
    latent = llama | {"kv_lora_rank": 512, "qk_rope_head_dim": 64}
    assert placement.cache_of_a_token(latent, 2, 8) == 32 * 576 * 2
    assert placement.cache_of_a_token({"n_layer": 12}, 2, 1) == 0


def test_the_page_has_the_table_as_it_is_now() -> None:
    page = Path(__file__).parents[2] / "docs" / "speed.md"
    assert script.table() in page.read_text(encoding="utf-8"), "make it again by `python -m scripts.placement`"
