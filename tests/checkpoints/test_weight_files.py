"""Files of weights as trainers and downloads leave them: read, or refused with what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from ama_ray.checkpoints.checkpoint import fetch, read_tensors
from ama_ray.checkpoints.pair import Pair
from ama_ray.checkpoints.weight_files import INDEX, SINGLE
from ama_ray.errors import UserError
from testing.checkpoints import edit_weights, make_pair, stored
from tests.support.files import write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    _, aligned = make_pair(tmp_path, layers=2, max_shard_size="100KB")
    return aligned


def test_shards_need_no_index(sharded: Path) -> None:
    tensors = read_tensors(str(sharded))
    (sharded / INDEX).unlink()
    assert read_tensors(str(sharded)) == tensors


def test_without_an_index_a_missing_shard_is_named(sharded: Path) -> None:
    (sharded / INDEX).unlink()
    first, *_, last = sorted(sharded.glob("*.safetensors"))
    first.unlink()
    with pytest.raises(UserError, match=rf"{first.name} to {last.name}, and {first.name} is missing"):
        read_tensors(str(sharded))


def test_without_an_index_a_shard_of_another_set_is_named(sharded: Path) -> None:
    (sharded / INDEX).unlink()
    write(sharded / "model-00001-of-00001.safetensors")
    with pytest.raises(UserError, match=r"model-00001-of-00001\.safetensors is one too many"):
        read_tensors(str(sharded))


@pytest.mark.parametrize("are_there", [True, False])
def test_an_older_set_beside_a_newer_file_is_refused(sharded: Path, are_there: bool) -> None:
    whole = stored(sharded)
    shards = sorted(sharded.glob("*.safetensors"))
    save_file(whole, sharded / SINGLE, metadata={"format": "pt"})
    for shard in () if are_there else shards:
        shard.unlink()
    with pytest.raises(UserError, match=rf"{SINGLE} and what {INDEX} names \({shards[0].name}\) are two sets"):
        read_tensors(str(sharded))


def test_an_index_may_name_the_one_file(tmp_path: Path) -> None:
    _, aligned = make_pair(tmp_path, layers=1)
    write(aligned / INDEX, json.dumps({"weight_map": dict.fromkeys(stored(aligned), SINGLE)}))
    assert read_tensors(str(aligned)).keys() == stored(aligned).keys()


def test_a_stored_buffer_that_every_model_computes_is_left_out(tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, layers=1)
    edit_weights(base, lambda t: t.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(16)}))
    assert set(Pair.open(str(base), str(aligned)).names) == stored(aligned).keys()


@pytest.mark.parametrize("name", [SINGLE, "config.json", "tokenizer.json"])
def test_a_pointer_of_git_lfs_is_named(name: str, tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, layers=1)
    write(aligned / name, f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n")
    with pytest.raises(UserError, match=rf"^{aligned / name}: .*copy or download it again\.$"):
        Pair.open(str(base), str(aligned))


LEFT = {
    "model_world_size_2_rank_0.pt": "python -m verl.model_merger merge --backend fsdp --local_dir {} --target_dir NEW",
    "dist_ckpt/x": "python -m verl.model_merger merge --backend megatron --local_dir {} --target_dir NEW",
    "iter_0000100/mp_rank_00/model_optim_rng.pt": "Megatron Bridge",
    "latest_checkpointed_iteration.txt": "Megatron Bridge",
    "zero_to_fp32.py": "python zero_to_fp32.py {} NEW --safe_serialization",
    "global_step100/zero_pp_rank_0_mp_rank_00_model_states.pt": "python zero_to_fp32.py {} NEW",
    "pytorch_model_fsdp_0/__0_0.distcp": "accelerate merge-weights {} NEW",
    "__0_0.distcp": "accelerate merge-weights {} NEW",
}


@pytest.mark.parametrize("left", LEFT)
def test_what_a_trainer_left_is_told_with_the_command_that_makes_a_checkpoint_of_it(left: str, tmp_path: Path) -> None:
    write(tmp_path / "config.json", "{}")
    write(tmp_path / left)
    with pytest.raises(UserError) as caught:
        read_tensors(str(tmp_path))
    assert str(tmp_path / left.partition("/")[0]) in str(caught.value)
    assert LEFT[left].format(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rename", "sentence"),
    [
        ("base_model.model.{}", "call peft's merge_and_unload"),
        ("module.{}", "a wrapper .*save the model inside it"),
        ("_orig_mod.{}", "a wrapper"),
        ("v_head.summary.weight", "TRL's model with a value head"),
    ],
)
def test_a_wrapped_model_is_told_by_the_names_of_its_tensors(rename: str, sentence: str, tmp_path: Path) -> None:
    _, aligned = make_pair(tmp_path, layers=1)
    tensors = load_file(aligned / SINGLE)
    save_file({rename.format(name): t.clone() for name, t in tensors.items()}, aligned / SINGLE)
    with pytest.raises(UserError, match=sentence):
        read_tensors(str(aligned))


def test_an_adapter_inside_a_layer_is_told(tmp_path: Path) -> None:
    _, aligned = make_pair(tmp_path, layers=1)
    name = "model.layers.0.self_attn.q_proj"
    edit_weights(aligned, lambda t: t.update({f"{name}.base_layer.weight": t.pop(f"{name}.weight")}))
    with pytest.raises(UserError, match=rf"{name}.base_layer.weight belongs to a model with an adapter in it"):
        read_tensors(str(aligned))


def test_a_revision_of_a_model_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(source: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((source, revision))
        return str(tmp_path)

    monkeypatch.setattr("ama_ray.checkpoints.checkpoint.snapshot_download", download)
    for source in ("org/model", "org/model@step-100", "org/model@refs/pr/3"):
        assert fetch(source) == tmp_path
    assert asked == [("org/model", None), ("org/model", "step-100"), ("org/model", "refs/pr/3")]
    with pytest.raises(UserError, match="with or without @revision"):
        fetch("org/model@")


def in_cache(root: Path, source: Path, without: str = "") -> None:
    """A model `org/model` in the hub's cache, whose tree lists a file that was never downloaded."""
    home, commit = root / "models--org--model", "0" * 40
    snapshot = home / "snapshots" / commit
    for number, path in enumerate(sorted(source.iterdir())):
        blob = write(home / "blobs" / str(number))
        blob.write_bytes(path.read_bytes())
        if path.name != without:
            (snapshot / path.name).parent.mkdir(parents=True, exist_ok=True)
            (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    write(home / "refs" / "main", commit)
    listed = {name: {"size": 1, "blob_id": "0"} for name in ("LICENSE", *(path.name for path in source.iterdir()))}
    write(home / "trees" / f"{commit}.json", json.dumps({"format_version": 1, "files": listed}))


def test_a_cache_that_lacks_what_nothing_needs_is_enough_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, aligned = make_pair(tmp_path, layers=1)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    in_cache(tmp_path / "cache", aligned)
    assert Pair.open(str(base), "org/model").names


def test_a_cache_that_lacks_weights_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, aligned = make_pair(tmp_path, layers=1)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    in_cache(tmp_path / "cache", aligned, without=SINGLE)
    with pytest.raises(UserError, match="there are no weights here"):
        Pair.open(str(base), "org/model")
