"""A merge is what float64 says it is, rounded once; an exported merge is a checkpoint that transformers loads."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from ama_ray.checkpoints.arithmetic import interpolate
from ama_ray.checkpoints.merging import export
from ama_ray.checkpoints.pair import Pair
from ama_ray.errors import UserError
from ama_ray.space.search_space import SearchSpace
from testing.checkpoints import ARCHITECTURES, edit_weights, make_pair, stored
from tests.support.files import write
from tests.support.rounding import half_ulp

DTYPES = [torch.float32, torch.bfloat16, torch.float16]
ratios = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]), st.floats(0, 1))
values = st.lists(st.tuples(st.floats(-6e4, 6e4, width=32), st.floats(-6e4, 6e4, width=32)), min_size=1, max_size=40)


# Small enough that nothing overflows float16, three times as large.
beyond = st.lists(st.tuples(st.floats(-2e4, 2e4, width=32), st.floats(-2e4, 2e4, width=32)), min_size=1, max_size=40)


@pytest.mark.parametrize("dtype", DTYPES)
@given(pairs=values, ratio=ratios)
def test_rounded_once_and_exact_at_the_ends(dtype: torch.dtype, pairs: list[tuple[float, float]], ratio: float) -> None:
    base, aligned = torch.tensor(pairs, dtype=torch.float64).T.to(dtype).contiguous()
    merged = interpolate(base, aligned, ratio)
    assert merged.dtype == dtype
    exact = (1 - ratio) * base.double() + ratio * aligned.double()
    # Beyond the one rounding, the float32 arithmetic errs by a few of its own, relative to what was added.
    arithmetic = 4 * 2**-24 * (base.double().abs() + aligned.double().abs()) + torch.finfo(torch.float32).tiny
    assert bool(((merged.double() - exact).abs() <= half_ulp(exact, dtype) + arithmetic).all())
    assert torch.equal(interpolate(base, aligned, 0.0), base)
    assert torch.equal(interpolate(base, aligned, 1.0), aligned)
    assert torch.equal(interpolate(base, base, ratio), base)


@pytest.mark.parametrize("dtype", DTYPES)
@given(pairs=beyond, ratio=st.floats(1, 2))
def test_beyond_aligned_it_extrapolates(dtype: torch.dtype, pairs: list[tuple[float, float]], ratio: float) -> None:
    base, aligned = torch.tensor(pairs, dtype=torch.float64).T.to(dtype).contiguous()
    merged = interpolate(base, aligned, ratio).double()
    # ExPO, arXiv 2404.16792: aligned plus alpha of what alignment changed.
    exact = aligned.double() + (ratio - 1) * (aligned.double() - base.double())
    arithmetic = 8 * 2**-24 * (base.double().abs() + aligned.double().abs()) + torch.finfo(torch.float32).tiny
    assert bool(((merged - exact).abs() <= half_ulp(exact, dtype) + arithmetic).all())
    assert torch.equal(interpolate(base, base, ratio), base)


@pytest.mark.parametrize("dtype", DTYPES)
def test_out_is_written_in_place(dtype: torch.dtype) -> None:
    base, aligned = torch.randn(2, 33, 7).to(dtype)
    expected = interpolate(base, aligned, 0.3)
    whole = torch.zeros(66, 7, dtype=dtype)
    out = whole[33:]
    assert interpolate(base, aligned, 0.3, out=out) is out
    assert torch.equal(whole[33:], expected)
    assert not whole[:33].any()
    assert torch.equal(interpolate(base, aligned, 0.3, out=base), expected)


def opened(paths: tuple[Path, Path]) -> Pair:
    return Pair.open(str(paths[0]), str(paths[1]))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("tied", [False, True])
def test_export_equals_float64_and_loads(architecture: str, tied: bool, tmp_path: Path) -> None:
    paths = make_pair(tmp_path, architecture, layers=3, tied=tied)
    pair = opened(paths)
    groups = SearchSpace.load("attention-mlp").resolve(pair.names)
    shares_of = groups.shares_of({name: i / (len(groups.names) - 1) for i, name in enumerate(groups.names)})
    export(pair, shares_of, tmp_path / "merged")

    base, aligned, merged = (stored(folder) for folder in (*paths, tmp_path / "merged"))
    assert merged.keys() == aligned.keys()
    for name, tensor in merged.items():
        (ratio,) = shares_of[name]
        exact = (1 - ratio) * base[name].double() + ratio * aligned[name].double()
        torch.testing.assert_close(tensor, exact.float(), rtol=1e-6, atol=1e-7)

    model, report = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged", output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    # Not AutoTokenizer, which gives every Qwen 2 a byte-pair tokenizer whatever its files say.
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path / "merged")
    tokens = tokenizer("w4 w5", return_tensors="pt").input_ids
    assert tokens.tolist() == [[4, 5]]
    with torch.no_grad():
        assert bool(model(tokens).logits.isfinite().all())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shard", [None, "50KB"])
def test_export_at_the_ends_is_bit_identical(dtype: torch.dtype, shard: str | None, tmp_path: Path) -> None:
    paths = make_pair(tmp_path, layers=2, dtype=dtype, max_shard_size=shard)
    pair = opened(paths)
    for ratio, path in zip((0.0, 1.0), paths, strict=True):
        out = tmp_path / str(ratio)
        export(pair, dict.fromkeys(pair.names, (ratio,)), out)
        expected, merged = stored(path), stored(out)
        assert {name: t.dtype for name, t in merged.items()} == {name: t.dtype for name, t in expected.items()}
        assert all(torch.equal(merged[name], tensor) for name, tensor in expected.items())


def test_export_keeps_the_shards_of_aligned(tmp_path: Path) -> None:
    make_pair(tmp_path / "one-file", layers=3)
    _, aligned = make_pair(tmp_path, layers=3, max_shard_size="50KB")
    pair = opened((tmp_path / "one-file" / "base", aligned))
    export(pair, dict.fromkeys(pair.names, (0.5,)), tmp_path / "merged")
    assert sorted(p.name for p in (tmp_path / "merged").iterdir()) == sorted(p.name for p in aligned.iterdir())
    index, expected = (
        json.loads((folder / "model.safetensors.index.json").read_text()) for folder in (tmp_path / "merged", aligned)
    )
    assert index["weight_map"] == expected["weight_map"]
    assert index["metadata"]["total_size"] == expected["metadata"]["total_size"]
    with safe_open(tmp_path / "merged" / next(iter(index["weight_map"].values())), "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_export_copies_small_files_of_aligned_and_no_code(tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, layers=2)
    (aligned / "chat_template.jinja").write_text("{{ messages }}")
    (base / "chat_template.jinja").write_text("base's own")
    for name in ("pytorch_model.bin", "training_args.bin", "modeling_custom.py", "optimizer.pt", "README.md"):
        (aligned / name).write_text("not to be copied")
    pair = opened((base, aligned))
    export(pair, dict.fromkeys(pair.names, (0.5,)), tmp_path / "merged")
    assert sorted(p.name for p in (tmp_path / "merged").iterdir()) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert (tmp_path / "merged" / "chat_template.jinja").read_text() == "{{ messages }}"


def test_export_has_what_goes_with_a_model(tmp_path: Path) -> None:
    """Other chat templates, processors, licences: what a reader of the export may need or must be told."""
    base, aligned = make_pair(tmp_path, layers=1)
    names = (
        *("additional_chat_templates/tools.jinja", "NOTICE", "USE_POLICY.md", "LICENSE.txt", "tekken.json"),
        *("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json"),
    )
    for name in names:
        write(aligned / name, "{}" if name.endswith(".json") else name)
    pair = opened((base, aligned))
    export(pair, dict.fromkeys(pair.names, (0.5,)), tmp_path / "merged")
    for name in names:
        assert (tmp_path / "merged" / name).read_bytes() == (aligned / name).read_bytes()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer.get_chat_template("tools") == "additional_chat_templates/tools.jinja"


def test_shards_without_an_index_are_exported_with_one(tmp_path: Path) -> None:
    paths = make_pair(tmp_path, layers=2, max_shard_size="100KB")
    for path in paths:
        (path / "model.safetensors.index.json").unlink()
    pair = opened(paths)
    export(pair, dict.fromkeys(pair.names, (1.0,)), tmp_path / "merged")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged").state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in stored(paths[1]).items())


def test_export_leaves_buffers_and_drops_copies_of_tied_weights(tmp_path: Path) -> None:
    paths = make_pair(tmp_path, tied=True, layers=2)
    for path in paths:
        edit_weights(path, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
        edit_weights(path, lambda t: t.update({"model.layers.0.mask": torch.tensor([True, False])}))
        edit_weights(path, lambda t: t.update({"model.layers.1.mask": torch.arange(3)}))
    pair = opened(paths)
    assert not {"lm_head.weight", "model.layers.0.mask"} & set(pair.names)
    export(pair, dict.fromkeys(pair.names, (0.5,)), tmp_path / "merged")
    merged = stored(tmp_path / "merged")
    assert "lm_head.weight" not in merged
    assert merged["model.layers.0.mask"].tolist() == [True, False]
    assert merged["model.layers.1.mask"].tolist() == [0, 1, 2]


def test_export_refuses_a_folder_with_content(tmp_path: Path) -> None:
    pair = opened(make_pair(tmp_path, layers=1))
    shares_of = dict.fromkeys(pair.names, (0.5,))
    for taken in (tmp_path / "base", tmp_path / "base" / "config.json"):
        with pytest.raises(UserError, match="there is something here already"):
            export(pair, shares_of, taken)
    (tmp_path / "empty").mkdir()
    export(pair, shares_of, tmp_path / "empty")
    assert (tmp_path / "empty" / "config.json").is_file()


def test_export_names_a_tensor_without_a_ratio(tmp_path: Path) -> None:
    pair = opened(make_pair(tmp_path, layers=1))
    with pytest.raises(UserError, match=r"the tensor model\.norm\.weight has no ratio"):
        export(pair, dict.fromkeys(set(pair.names) - {"model.norm.weight"}, (0.5,)), tmp_path / "merged")


def test_a_failed_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = opened(make_pair(tmp_path, layers=1))

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="No space"):
        export(pair, dict.fromkeys(pair.names, (0.5,)), tmp_path / "merged")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_every_file_of_an_export_follows_the_umask(umask: int, tmp_path: Path) -> None:
    make_pair(tmp_path)
    pair = Pair.open(str(tmp_path / "base"), str(tmp_path / "aligned"))
    before = os.umask(umask)
    try:
        export(pair, dict.fromkeys(pair.names, (0.5,)), tmp_path / "out")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()}
    assert "model.safetensors" in modes
    assert set(modes.values()) == {0o666 & ~umask}
