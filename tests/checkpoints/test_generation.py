"""What ends a reply is what any file of the pair names, in trials and by what an export says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from ama_ray.checkpoints import merging
from ama_ray.checkpoints.generation import GENERATION
from ama_ray.checkpoints.pair import Pair
from testing.checkpoints import LORA, add_tokens, copied, edit, make_pair, write_adapter

Paths = tuple[Path, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    base, _ = make_pair(folder, layers=1)
    write_adapter(base, folder / "adapter", **LORA)
    return folder


@pytest.fixture
def paths(made: Path, tmp_path: Path) -> Paths:
    return copied(made, tmp_path)


def opened(paths: Paths) -> Pair:
    return Pair.open(str(paths[0]), str(paths[1]))


def exported_ends(pair: Pair, out: Path) -> set[int]:
    """What ends a reply of transformers' on an export."""
    merging.export(pair, dict.fromkeys(pair.names, (0.5,)), out)
    model = transformers.AutoModelForCausalLM.from_pretrained(out)
    ends = model.generation_config.eos_token_id
    return set(ends if isinstance(ends, list) else [ends])


def config(**fields: Any) -> Any:
    return lambda folder: edit(folder / "config.json", lambda f: f.update(fields))


def generation(**fields: Any) -> Any:
    return lambda folder: edit(folder / GENERATION, lambda f: f.update(fields))


def tokenizer(**fields: Any) -> Any:
    return lambda folder: edit(folder / "tokenizer_config.json", lambda f: f.update(fields))


SAYS = {
    "configuration": (config(eos_token_id=5), {2, 5}),
    "generation configuration": (generation(eos_token_id=[5, 6]), {2, 5, 6}),
    "tokenizer": (tokenizer(eos_token="w7"), {2, 7}),
    "tokenizer, as an added token": (tokenizer(eos_token={"content": "w7", "special": True}), {2, 7}),
}


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("case", SAYS)
def test_every_file_of_both_has_its_say(case: str, side: int, paths: Paths, tmp_path: Path) -> None:
    say, ends = SAYS[case]
    say(paths[side])
    pair = opened(paths)
    assert set(pair.ends.ids) == ends
    (told,) = pair.warnings
    assert told.startswith("a reply ends at ")
    assert exported_ends(pair, tmp_path / "merge") == ends


def test_where_all_say_the_same_nothing_is_told_or_changed(paths: Paths, tmp_path: Path) -> None:
    pair = opened(paths)
    assert (pair.ends.ids, pair.warnings) == ((2,), ())
    exported_ends(pair, tmp_path / "merge")
    assert (tmp_path / "merge" / GENERATION).read_bytes() == (paths[1] / GENERATION).read_bytes()


def test_without_a_generation_configuration_the_tokenizer_s_end_is_exported_too(paths: Paths, tmp_path: Path) -> None:
    for path in paths:
        (path / GENERATION).unlink()
    tokenizer(eos_token="w7")(paths[1])
    pair = opened(paths)
    assert exported_ends(pair, tmp_path / "merge") == {2, 7}
    exported = json.loads((tmp_path / "merge" / GENERATION).read_text())
    assert (exported["bos_token_id"], exported["pad_token_id"]) == (1, 0)


def test_without_one_where_all_agree_none_is_written(paths: Paths, tmp_path: Path) -> None:
    for path in paths:
        (path / GENERATION).unlink()
    pair = opened(paths)
    assert exported_ends(pair, tmp_path / "merge") == {2}
    assert not (tmp_path / "merge" / GENERATION).exists()


def test_base_s_end_is_meant_by_its_token(paths: Paths) -> None:
    """Its id may be another token's in aligned, or nobody's."""
    add_tokens(paths[0], "<|a|>", "<|end|>")
    add_tokens(paths[1], "<|end|>", "<|b|>")
    generation(eos_token_id=301)(paths[0])
    assert set(opened(paths).ends.ids) == {2, 300}
    generation(eos_token_id=300)(paths[0])
    assert set(opened(paths).ends.ids) == {2}


def test_an_adapter_s_tokenizer_adds_its_end(made: Path, tmp_path: Path) -> None:
    base, _ = copied(made, tmp_path)
    write_adapter(base, tmp_path / "adapter", **LORA)
    own = transformers.AutoTokenizer.from_pretrained(base)
    own.eos_token = "w9"
    own.save_pretrained(tmp_path / "adapter")
    pair = opened((base, tmp_path / "adapter"))
    assert set(pair.ends.ids) == {2, 9}
    assert exported_ends(pair, tmp_path / "merge") == {2, 9}


def test_settings_that_trials_do_not_follow_are_told(paths: Paths) -> None:
    generation(repetition_penalty=1.1, suppress_tokens=[4], min_new_tokens=0)(paths[1])
    told = opened(paths).warnings
    assert len(told) == 2
    assert "generation_config.json: repetition_penalty is 1.1; exports keep it" in told[0]
    # `sampling: checkpoint` takes it.
    assert told[0].endswith("but a trial only where its `sampling` says so.")
    assert "suppress_tokens is [4]" in told[1]
    assert told[1].endswith("but no trial.")
