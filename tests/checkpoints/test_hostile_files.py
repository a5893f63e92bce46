"""Checkpoints whose files are not what their names say: one sentence each, and nothing hangs."""

from __future__ import annotations

import json
import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ama_ray.checkpoints.checkpoint import read_tensors
from ama_ray.checkpoints.pair import Pair
from ama_ray.checkpoints.weight_files import INDEX, SINGLE
from testing.checkpoints import edit_weights, make_pair, stored
from tests.support.files import write
from tests.support.hostile import DEEP, NESTED, ODD, VALUES, one_sentence, put, refused_or_not

if TYPE_CHECKING:
    from pathlib import Path

SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return make_pair(tmp_path, layers=1)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A pair whose files are written anew for every example."""
    return make_pair(tmp_path_factory.mktemp("fuzzed"), layers=1)


SMALL = ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", INDEX)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in (*SMALL, "chat_template.jinja") for kind in ODD if kind != "folder" or name == SMALL[0]],
)
def test_a_file_that_is_none_is_named(pair: tuple[Path, Path], name: str, kind: str) -> None:
    base, aligned = pair
    put(aligned / name, kind)
    with one_sentence(str(aligned / name)):
        Pair.open(str(base), str(aligned))


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_weights_that_are_no_file_are_named(pair: tuple[Path, Path], kind: str) -> None:
    base, aligned = pair
    put(aligned / SINGLE, kind)
    with one_sentence(str(aligned / SINGLE)):
        Pair.open(str(base), str(aligned))


@pytest.mark.parametrize("text", [DEEP, NESTED, "[]", '"text"', "\udcff", "[" * 100], ids=range(6))
@pytest.mark.parametrize("name", SMALL)
def test_json_that_is_off_is_named(pair: tuple[Path, Path], name: str, text: str) -> None:
    base, aligned = pair
    (aligned / name).write_bytes(text.encode(errors="surrogateescape"))
    with one_sentence(str(aligned / name)):
        Pair.open(str(base), str(aligned))


def with_index(folder: Path, index: object) -> list[str]:
    write(folder / INDEX, json.dumps(index))
    return list(read_tensors(str(folder)))


@pytest.mark.parametrize("index", [{"weight_map": odd} for odd in ([1], "text", 3, {"a": ["b"]}, {"a": 1, "b": "c"})])
def test_an_index_that_names_no_files_is_refused(pair: tuple[Path, Path], index: object) -> None:
    with one_sentence(INDEX, "weight_map"):
        with_index(pair[0], index)


def test_an_index_without_half_of_the_tensors_is_refused(pair: tuple[Path, Path]) -> None:
    names = list(stored(pair[0]))
    with one_sentence(INDEX, f"{min(names[::2])} is in {SINGLE}, and the index lacks it"):
        with_index(pair[0], {"weight_map": dict.fromkeys(names[1::2], SINGLE)})
    assert with_index(pair[0], {"weight_map": dict.fromkeys(names, SINGLE)})


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    _, aligned = make_pair(tmp_path, layers=1, max_shard_size="50KB")
    first, second, *_ = sorted(aligned.glob("*.safetensors"))
    (aligned / INDEX).unlink()
    second.write_bytes(first.read_bytes())
    with one_sentence(str(second), f"is in {first.name}, too"):
        read_tensors(str(aligned))


def header_of(path: Path) -> tuple[bytes, bytes]:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + size], content[8 + size :]


def with_header(path: Path, header: bytes, rest: bytes) -> None:
    path.write_bytes(struct.pack("<Q", len(header)) + header + rest)


def test_a_header_with_a_name_twice_is_refused(pair: tuple[Path, Path]) -> None:
    path = pair[0] / SINGLE
    header, rest = header_of(path)
    fields = json.loads(header)
    name = next(name for name in fields if name != "__metadata__")
    with_header(path, header.rstrip()[:-1] + f",{json.dumps(name)}:{json.dumps(fields[name])}}}".encode(), rest)
    with one_sentence(str(path), f"{name} twice"):
        read_tensors(str(pair[0]))


def test_values_that_are_all_nan_are_refused(pair: tuple[Path, Path]) -> None:
    edit_weights(pair[0], lambda tensors: [tensor.fill_(float("nan")) for tensor in tensors.values()])
    with one_sentence(SINGLE, "NaN"):
        Pair.open(str(pair[0]), str(pair[1]))


CONFIG_KEYS = (
    *("model_type", "architectures", "vocab_size", "num_hidden_layers", "hidden_size", "eos_token_id", "torch_dtype"),
    *("rope_scaling", "rope_parameters", "quantization_config", "text_config", "tie_word_embeddings", "layer_types"),
    *("max_position_embeddings", "hidden_act", "transformers_version", "id2label", "auto_map", "vision_config"),
)


@SHARED_FOLDER
@given(
    fields=st.dictionaries(st.sampled_from(CONFIG_KEYS), VALUES | st.just({"__float__": "x"}), min_size=1, max_size=3)
)
def test_a_random_configuration_is_read_or_refused(fields: dict[str, Any], fuzzed: tuple[Path, Path]) -> None:
    path = fuzzed[1] / "config.json"
    sound = path.read_text()
    path.write_text(json.dumps(json.loads(sound) | fields))
    try:
        refused_or_not(partial(Pair.open, str(fuzzed[0]), str(fuzzed[1])))
    finally:
        path.write_text(sound)


@SHARED_FOLDER
@given(
    file=st.sampled_from(SMALL[1:4]),
    fields=st.dictionaries(
        st.sampled_from(
            ["eos_token_id", "eos_token", "model", "added_tokens", "min_length", "bad_words_ids", "tokenizer_class"]
        ),
        VALUES,
        min_size=1,
    ),
)
def test_random_small_files_are_read_or_refused(file: str, fields: dict[str, Any], fuzzed: tuple[Path, Path]) -> None:
    path = fuzzed[1] / file
    sound = path.read_text() if path.is_file() else None
    path.write_text(json.dumps((json.loads(sound) if sound else {}) | fields))
    try:
        refused_or_not(partial(Pair.open, str(fuzzed[0]), str(fuzzed[1])))
    finally:
        path.unlink() if sound is None else path.write_text(sound)


@SHARED_FOLDER
@given(index=VALUES | st.dictionaries(st.just("weight_map"), VALUES))
def test_a_random_index_is_read_or_refused(index: object, fuzzed: tuple[Path, Path]) -> None:
    try:
        refused_or_not(partial(with_index, fuzzed[0], index))
    finally:
        (fuzzed[0] / INDEX).unlink()


@SHARED_FOLDER
@given(data=st.data())
def test_a_random_header_is_read_or_refused(data: st.DataObject, fuzzed: tuple[Path, Path]) -> None:
    path = fuzzed[0] / SINGLE
    sound = path.read_bytes()
    header, rest = header_of(path)
    fields = json.loads(header)
    changed = {
        name: data.draw(VALUES | st.just(fields[name])) for name in data.draw(st.lists(st.sampled_from(sorted(fields))))
    }
    text = json.dumps(fields | changed).encode()
    place = data.draw(st.integers(0, len(text) - 1))
    text = text[:place] + data.draw(st.binary(max_size=3)) + text[place + data.draw(st.integers(0, 3)) :]
    try:
        with_header(path, text, rest[: data.draw(st.integers(0, len(rest)))])
        refused_or_not(partial(read_tensors, str(fuzzed[0])))
    finally:
        path.write_bytes(sound)
