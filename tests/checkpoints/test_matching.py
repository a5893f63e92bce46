"""Only the language model is searched, however the two checkpoints wrap it, and whatever else they hold."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
import torch
import transformers

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.pair import Pair
from ama_ray.checkpoints.parts import FURTHER, TOWERS, not_searched, unwrapped
from ama_ray.engine.arguments import pair_arguments
from ama_ray.errors import UserError
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import add_tokens, copied, edit, edit_weights, make_pair, stored, write_adapter
from tests.support.wrappers import make_wrapper_pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EH_PROJ = {f"model.layers.2.{name}.weight": torch.ones(64) for name in ("eh_proj", "enorm", "input_layernorm")}
MTP = {"mtp.fc.weight": torch.ones(64, 128), "mtp.layers.0.input_layernorm.weight": torch.ones(64)}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    make_wrapper_pair(folder, "gemma3")
    make_pair(folder / "text", layers=2)
    return folder


@pytest.fixture
def paths(sound: Path, tmp_path: Path) -> tuple[Path, Path]:
    return copied(sound, tmp_path)


@pytest.fixture
def text_paths(sound: Path, tmp_path: Path) -> tuple[Path, Path]:
    return copied(sound / "text", tmp_path / "text")


def opened(paths: tuple[Path, Path]) -> Pair:
    return Pair.open(str(paths[0]), str(paths[1]))


def rename(folder: Path, new: Callable[[str], str]) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        renamed = {new(name): tensor for name, tensor in tensors.items()}
        tensors.clear()
        tensors.update(renamed)

    edit_weights(folder, change)


def make_text_alone(folder: Path) -> None:
    """Makes of a Gemma 3 for images the one for text that is in it."""
    edit_weights(folder, lambda t: [t.pop(name) for name in list(t) if "language_model" not in name])
    rename(folder, lambda name: f"model.{unwrapped(name)}")
    fields = json.loads((folder / "config.json").read_text())["text_config"]
    (folder / "config.json").write_text(json.dumps(fields | {"architectures": ["Gemma3ForCausalLM"]}))


def test_towers_are_not_searched(paths: tuple[Path, Path]) -> None:
    pair = opened(paths)
    everything = stored(paths[1])
    assert set(pair.names) | pair.beside.keys() == everything.keys()
    assert all(("language_model" in name) == (name not in pair.beside) for name in everything)
    assert set(pair.beside.values()) == {TOWERS}
    assert any("projector" in name for name in pair.beside)
    assert (pair.vocabulary_size, pair.context_limit) == (300, 128)
    (said,) = not_searched(pair.beside, "average")
    assert "images or sound, which is not searched: a merge has the middle of both." in said


@pytest.mark.parametrize("ratio", [None, 0.0, 0.5])
def test_a_merge_has_the_towers_of_the_side_that_is_asked_for(paths: tuple[Path, Path], ratio: float | None) -> None:
    pair = opened(paths)
    shares_of = dict.fromkeys(pair.names, (0.25,))
    if ratio is not None:
        shares_of |= dict.fromkeys(pair.beside, (ratio,))
    merging.export(pair, shares_of, paths[0].parent / "merge")
    base, aligned, merge = (stored(paths[0].parent / each) for each in ("base", "aligned", "merge"))
    assert merge.keys() == aligned.keys()
    for name, tensor in merge.items():
        (share,) = shares_of.get(name, (1.0,))
        exact = (1 - share) * base[name].double() + share * aligned[name].double()
        torch.testing.assert_close(tensor.double(), exact, rtol=1e-6, atol=1e-7)
    assert (paths[0].parent / "merge" / "preprocessor_config.json").is_file()


def test_towers_may_hold_infinite_bounds(paths: tuple[Path, Path]) -> None:
    for path in paths:
        edit_weights(path, lambda t: t.update({"vision_tower.input_max": torch.tensor(float("inf"))}))
    pair = opened(paths)
    merging.export(pair, dict.fromkeys([*pair.names, *pair.beside], (0.5,)), paths[0].parent / "merge")
    assert stored(paths[0].parent / "merge")["vision_tower.input_max"].item() == float("inf")


def test_a_processor_that_aligned_lacks_is_bases(paths: tuple[Path, Path]) -> None:
    (paths[1] / "preprocessor_config.json").unlink()
    edit(paths[0] / "preprocessor_config.json", lambda fields: fields.update(mark=7))
    pair = opened(paths)
    merging.export(pair, dict.fromkeys(pair.names, (0.5,)), paths[0].parent / "merge")
    written = json.loads((paths[0].parent / "merge" / "preprocessor_config.json").read_text())
    assert written["mark"] == 7


def test_a_pair_whose_towers_alone_differ_has_nothing_to_search(paths: tuple[Path, Path]) -> None:
    base = stored(paths[0])
    edit_weights(paths[1], lambda t: t.update({name: base[name] for name in t if "language_model" in name}))
    with pytest.raises(UserError, match="all tensors that are searched are equal"):
        opened(paths)


def test_names_are_matched_by_what_follows_the_wrapping(paths: tuple[Path, Path]) -> None:
    before = {name: base for name, base, _ in opened(paths).tensors()}
    rename(paths[0], lambda name: f"model.{name}".replace("language_model.model", "language_model"))
    pair = opened(paths)
    assert {name: tuple(base.shape) for name, base, _ in pair.tensors()} == pair.shapes
    assert all(torch.equal(before[name], base) for name, base, _ in pair.tensors())
    (warning,) = pair.warnings
    assert "base names its tensors otherwise than aligned" in warning


def test_a_wrapper_as_base_of_text_alone(paths: tuple[Path, Path]) -> None:
    base = {f"model.{unwrapped(name)}": t for name, t in stored(paths[0]).items() if "language_model" in name}
    make_text_alone(paths[1])
    pair = opened(paths)
    assert set(pair.names) == base.keys() == stored(paths[1]).keys()
    assert all(torch.equal(base[name], tensor) for name, tensor, _ in pair.tensors())
    assert not pair.beside
    assert any("only in base, and so left out, as aligned is for text alone" in warning for warning in pair.warnings)


def test_text_alone_as_base_of_a_wrapper(paths: tuple[Path, Path]) -> None:
    make_text_alone(paths[0])
    pair = opened(paths)
    assert all("language_model" in name for name in pair.names)
    merging.export(pair, dict.fromkeys(pair.names, (0.0,)), paths[0].parent / "merge")
    base, aligned, merge = (stored(paths[0].parent / each) for each in ("base", "aligned", "merge"))
    assert merge.keys() == aligned.keys()
    assert all(torch.equal(tensor, aligned[name]) for name, tensor in merge.items() if name in pair.beside)
    assert all(torch.equal(merge[name], base[f"model.{unwrapped(name)}"]) for name in pair.names)


def test_a_head_of_its_own_is_searched_though_the_default_of_a_wrapper_is_tied(tmp_path: Path) -> None:
    paths = make_wrapper_pair(tmp_path, "mistral3")
    for path in paths:
        edit(path / "config.json", lambda fields: fields.pop("tie_word_embeddings"))
    pair = opened(paths)
    assert pair.config["tie_word_embeddings"] is True
    assert pair.groups(SearchSpace.load("per-layer")).of["language_model.lm_head.weight"] == "head"


def test_an_adapter_over_a_wrapper_is_pefts_merge(paths: tuple[Path, Path]) -> None:
    """Its names are those that the model has in memory, and it changes a tower, too."""
    auto = transformers.AutoModelForImageTextToText
    merged = write_adapter(paths[0], paths[0].parent / "adapter", auto=auto, r=4, target_modules=["q_proj", "v_proj"])
    pair = opened((paths[0], paths[0].parent / "adapter"))
    changed = {name for name, distance in pair.moved.items() if distance}
    assert any(name in pair.beside for name in changed) and any(name in pair.names for name in changed)
    expected = {unwrapped(name): tensor for name, tensor in merged.items()}
    for name, aligned in pair.aligned.stream():
        torch.testing.assert_close(aligned, expected[unwrapped(name)], rtol=1e-5, atol=1e-6)


def test_tokens_that_an_adapter_adds_to_a_wrapper(tmp_path: Path) -> None:
    base, adapter, merge = (tmp_path / name for name in ("base", "adapter", "merge"))
    make_wrapper_pair(tmp_path, "mistral3")
    auto = transformers.AutoModelForImageTextToText
    whole = write_adapter(base, adapter, "<|im_end|>", auto=auto, r=4, target_modules=["q_proj"])
    pair = opened((base, adapter))
    assert pair.vocabulary_size == 301
    assert pair_arguments(pair)["hf_overrides"] == {"text_config": {"vocab_size": 301}}
    merging.export(pair, dict.fromkeys(pair.names, (0.5,)), merge)
    model, info = auto.from_pretrained(merge, output_loading_info=True)
    assert not any(info.values())
    for name in ("model.language_model.embed_tokens.weight", "lm_head.weight"):
        assert torch.equal(model.state_dict()[name][300], whole[name][300])


def test_tokens_that_a_wrapper_adds_to_text_alone_whose_head_is_tied(paths: tuple[Path, Path], tmp_path: Path) -> None:
    make_text_alone(paths[0])
    add_tokens(paths[1], "<|im_end|>", auto=transformers.AutoModelForImageTextToText)
    embedding = "language_model.model.embed_tokens.weight"
    edit_weights(paths[1], lambda tensors: tensors.update({"language_model.lm_head.weight": tensors[embedding] + 1}))
    edit(paths[1] / "config.json", lambda config: config.update(tie_word_embeddings=False))
    pair = opened(paths)
    base, aligned = stored(paths[0])["model.embed_tokens.weight"], stored(paths[1])
    for name, ours, (theirs,) in pair.tensors():
        if name.endswith(("embed_tokens.weight", "lm_head.weight")):
            assert torch.equal(ours, torch.cat([base, aligned[name][300:]]))
            assert torch.equal(theirs, aligned[name])
    assert {name.rpartition("model.")[2] for name in pair.base.fits} == {"embed_tokens.weight", "lm_head.weight"}


def test_a_tower_that_a_wrapper_lacks_is_missing(paths: tuple[Path, Path]) -> None:
    edit_weights(paths[1], lambda t: [t.pop(name) for name in list(t) if "projector" in name])
    with pytest.raises(UserError, match=r"aligned: .*projector.* are missing"):
        opened(paths)


@pytest.mark.parametrize("tensors", [MTP, EH_PROJ], ids=["mtp", "eh_proj"])
@pytest.mark.parametrize("side", [0, 1])
def test_layers_for_further_tokens_may_be_on_one_side(
    tensors: dict[str, torch.Tensor], side: int, text_paths: tuple[Path, Path]
) -> None:
    edit_weights(text_paths[side], lambda t: t.update(tensors))
    edit(text_paths[side] / "config.json", lambda config: config.update(num_nextn_predict_layers=1))
    pair = opened(text_paths)
    assert pair.beside == dict.fromkeys(tensors, FURTHER)
    assert not tensors.keys() & set(pair.names)
    assert any(f"only in {('base', 'aligned')[side]}, and so taken from there" in warning for warning in pair.warnings)
    merging.export(pair, dict.fromkeys(pair.names, (0.5,)), text_paths[0].parent / "merge")
    merge = stored(text_paths[0].parent / "merge")
    assert all(torch.equal(merge[name], tensor) for name, tensor in tensors.items())


def test_a_merge_of_shards_has_bases_further_layers_in_the_last(sound: Path, tmp_path: Path) -> None:
    make_pair(tmp_path, layers=2, max_shard_size="50KB")
    shutil.rmtree(tmp_path / "base")
    shutil.copytree(sound / "text" / "base", tmp_path / "base")
    edit_weights(tmp_path / "base", lambda t: t.update(MTP))
    pair = opened((tmp_path / "base", tmp_path / "aligned"))
    merging.export(pair, dict.fromkeys(pair.names, (0.5,)), tmp_path / "merge")
    assert {file.name for file in (tmp_path / "merge").glob("*.safetensors")} == {
        file.name for file in (tmp_path / "aligned").glob("*.safetensors")
    }
    assert Pair.open(str(tmp_path / "merge"), str(tmp_path / "aligned")).beside == dict.fromkeys(MTP, FURTHER)
