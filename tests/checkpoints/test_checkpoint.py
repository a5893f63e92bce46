"""Fetching a checkpoint and reading what its files say."""

from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from tokenizers import Tokenizer, models
from transformers import FalconH1Config

from ama_ray.checkpoints.checkpoint import read_tensors
from ama_ray.checkpoints.model_config import read_config
from ama_ray.checkpoints.pair import Pair
from ama_ray.checkpoints.vocabulary import Vocabulary
from ama_ray.checkpoints.weight_files import INDEX
from ama_ray.errors import UserError
from testing.checkpoints import edit, make_pair


def test_an_index_must_match_its_files(tmp_path: Path) -> None:
    _, aligned = make_pair(tmp_path, layers=2, max_shard_size="50KB")
    first, *_, last = sorted(aligned.glob("*.safetensors"))
    edit(aligned / INDEX, lambda index: index["weight_map"].update({"model.norm.weight": first.name}))
    with pytest.raises(UserError, match=rf"{INDEX}: it places model.norm.weight in {first.name}, which lacks it"):
        read_tensors(str(aligned))
    last.unlink()
    with pytest.raises(UserError, match=rf"{INDEX}: it names {last.name}, which is not there"):
        read_tensors(str(aligned))
    edit(aligned / INDEX, lambda index: index["weight_map"].update({"model.norm.weight": "../base/" + first.name}))
    with pytest.raises(UserError, match=rf"{INDEX}: it names \.\./base/{first.name}"):
        read_tensors(str(aligned))


def test_what_the_hub_refuses_becomes_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise LocalEntryNotFoundError("401 Client Error.\n\nNo route to the hub.")

    monkeypatch.setattr("ama_ray.checkpoints.checkpoint.snapshot_download", unreachable)
    with pytest.raises(
        UserError, match=r"someone/model: no such folder, and not .* hub \(LocalEntry\w+: No route to the hub\.\);"
    ):
        Pair.open("someone/model", str(tmp_path))


def test_from_the_hub_only_what_is_needed_and_no_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, aligned = make_pair(tmp_path, layers=1)
    asked: list[list[str]] = []

    def download(source: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        return str(base)

    monkeypatch.setattr("ama_ray.checkpoints.checkpoint.snapshot_download", download)
    Pair.open("someone/model", str(aligned))
    assert "model.safetensors" not in asked[0]
    assert asked[-1] == ["model.safetensors"]
    assert not any(pattern.endswith((".bin", ".pt", ".py")) for patterns in asked for pattern in patterns)


def test_old_and_new_spelling_of_the_configuration_are_one(tmp_path: Path) -> None:
    base, aligned = make_pair(tmp_path, layers=1)
    edit(base / "config.json", lambda fields: fields.update(rope_theta=fields.pop("rope_parameters")["rope_theta"]))
    ours, theirs = read_config(base), read_config(aligned)
    assert ours["rope_parameters"] == theirs["rope_parameters"]


def test_vocabulary_of_a_unigram_tokenizer(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -2.0)], unk_id=0))
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    vocabulary = Vocabulary.read(tmp_path)
    assert vocabulary.ids == tokenizer.get_vocab() == {"<unk>": 0, "a": 1, "b": 2, "<s>": 3}
    assert vocabulary.added == {"<s>"}


def test_vocabulary_without_tokenizer_json(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[UNK]\n[PAD]\n[CLS]\n[SEP]\n[MASK]\nword\n")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    vocabulary = Vocabulary.read(tmp_path)
    assert vocabulary.ids["word"] == 5
    assert "word" not in vocabulary.added


def test_numbers_that_json_has_not(tmp_path: Path) -> None:
    config = FalconH1Config(time_step_limit=(0.0, float("inf")))
    config.save_pretrained(tmp_path)
    assert '"__float__"' in (tmp_path / "config.json").read_text()
    assert tuple(read_config(tmp_path)["time_step_limit"]) == (0.0, float("inf"))


def test_a_configuration_that_is_such_a_number_is_an_object_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"__float__": 1e+308}')
    assert read_config(tmp_path) == {"__float__": 1e308}


def test_a_configuration_of_a_newer_transformers_names_the_field_and_both_versions(tmp_path: Path) -> None:
    _, aligned = make_pair(tmp_path, layers=1)
    edit(aligned / "config.json", lambda f: f.update(transformers_version="99.1", hidden_act=["of", "the", "future"]))
    with pytest.raises(UserError, match=r"hidden_act.*; it was written by transformers 99\.1, and here is 5"):
        read_config(aligned)
