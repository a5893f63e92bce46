"""What people write wrong in a run file: each mistake is a line that names the field, its value and what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
import yaml
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core.core_schema import ErrorType

from ama_ray.config import RunConfig
from ama_ray.config.mistakes import mistakes
from ama_ray.errors import UserError
from tests.support.mistakes import PEOPLE, SOUND

if TYPE_CHECKING:
    from pathlib import Path

PYDANTIC = ("Input should", "Unable to extract", "valid tuple", "discriminator", "Field required", "more)", "pydantic")
"""What its own words have in them."""


def refusal(folder: Path, text: str) -> str:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        RunConfig.load(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


def test_there_are_at_least_forty() -> None:
    assert len(PEOPLE) >= 40


def test_the_file_is_sound_before_it_is_spoilt(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(SOUND)
    RunConfig.load(tmp_path / "run.yaml")


@pytest.mark.parametrize("name", PEOPLE)
def test_a_mistake_is_one_line_in_words(name: str, tmp_path: Path) -> None:
    was, written, words = PEOPLE[name]
    assert SOUND.count(was) == 1
    said = refusal(tmp_path, SOUND.replace(was, written))
    assert words in said
    assert "\n" not in said
    assert said.endswith((".", "?"))
    assert not [phrase for phrase in PYDANTIC if phrase in said]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    spoilt = SOUND
    for was, written, _ in (PEOPLE[name] for name in ("capitals", "a file for its mapping", "a bare preset")):
        spoilt = spoilt.replace(was, written)
    first, *lines = refusal(tmp_path, f"{spoilt}seed: -1\nseed: x\n").splitlines()
    assert first == ": there are 5 mistakes."
    assert [line.partition(":")[0] for line in lines] == [
        "  line 1, Base",
        "  line 5, reward.prompts",
        "  line 8, tax.0",
        "  line 11, seed",
        "  line 11, seed",
    ]


def test_several_fields_of_the_whole_file_are_told_at_once(tmp_path: Path) -> None:
    said = refusal(
        tmp_path, SOUND.replace("name: facts", "name: share") + "constraints: {joy: <= 1}\nreference: {luck: 1}\n"
    )
    for words in ("'share' has a meaning of its own", "there is no 'joy'", "there is no 'luck'"):
        assert words in said


def test_a_path_may_hold_an_environment_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", str(tmp_path / "scratch"))
    text = SOUND.replace("runs/mine", "$PLACE/mine").replace("org/aligned", "${PLACE}/aligned")
    (tmp_path / "run.yaml").write_text(text)
    config = RunConfig.load(tmp_path / "run.yaml")
    assert (config.out, config.aligned) == (tmp_path / "scratch/mine", str(tmp_path / "scratch/aligned"))
    again = yaml.safe_load(config.to_yaml())
    assert again["out"] == str(tmp_path / "scratch/mine")


class Anything(BaseModel):
    """Fields of sorts that a run file has not, as it may have one day."""

    when: Any = Field(description="of the run")


@pytest.mark.parametrize("kind", [kind for kind in get_args(ErrorType) if kind not in ("value_error",)])
def test_no_type_of_error_is_told_in_the_words_of_pydantic(kind: str) -> None:
    """Whatever it is about: the words are of what belongs in the place."""

    class Made:
        def errors(self, **_: Any) -> list[dict[str, Any]]:
            context = {"min_length": 1, "actual_length": 0, "error": ValueError("x")}
            return [{"type": kind, "loc": ("when",), "msg": "Input should be pydantic's", "ctx": context}]

    made: Any = Made()
    for mistake in mistakes(made, Anything, {"when": 3}):
        assert "pydantic" not in str(mistake)


def test_a_type_alone_has_its_mistakes_under_a_name() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(int).validate_python("many")
    (mistake,) = mistakes(caught.value, int, "many", ("trials",))
    assert str(mistake) == 'trials: this is "many" and must be a whole number'
