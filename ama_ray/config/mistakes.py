"""What is wrong with fields, in words: each mistake with its field, its value, and what was probably meant.

Pydantic says where a mistake is and of which type; its own words are for programmers, and none of them is used. What
belongs in a place is said as docs/run-file.md says it, whatever the type of the mistake, so that no list of them is
kept here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from ama_ray.config.wording import bare, branch_of, is_model, kinds_in, members_of, named
from ama_ray.errors import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel, ValidationError

    from ama_ray.config.kinds import Kinds
    from ama_ray.config.yaml_file import Location

_MISSING = "this field is missing"
_MOST_SHOWN = 60
_MOST_LISTED = 12


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        place: The names and positions that lead to it, as the user wrote them.
        said: What is wrong.
        near: Where a field is unknown, the name of the field of the same mapping that was probably meant.
    """

    place: Location
    said: str
    near: str = ""

    def __str__(self) -> str:
        """In words."""
        return f"{'.'.join(map(_key, self.place))}: {self.said}" if self.place else self.said


@dataclass(frozen=True)
class _Spot:
    """Where a mistake is.

    Attributes:
        place: As in `Mistake`.
        given: What the user wrote there.
        annotation: What belongs there.
        metadata: What stands beside the type.
        owner: The model whose field it is.
    """

    place: Location
    given: Any
    annotation: Any
    metadata: tuple[Any, ...]
    owner: type[BaseModel] | None


def mistakes(error: ValidationError, annotation: Any, given: Any, at: Location = ()) -> list[Mistake]:
    """All mistakes that pydantic found.

    Args:
        error: What it raised.
        annotation: The model, or the type, that was validated.
        given: The value that was validated.
        at: Where that value stands.
    """
    spots = ((each, _spot(each["loc"], annotation, given, at)) for each in error.errors(include_url=False))
    # Each branch of a union says the same of one place.
    found = dict.fromkeys(mistake for each, spot in spots for mistake in _worded(each, spot, annotation))
    meant = {(*mistake.place[:-1], mistake.near) for mistake in found if mistake.near}
    return [each for each in found if not (each.place in meant and each.said.startswith(_MISSING))]


def _spot(location: Location, annotation: Any, given: Any, at: Location) -> _Spot:
    """Follows a location of pydantic's, in which kinds and branches of unions stand besides fields."""
    place, metadata, owner = at, (), None
    for part in location:
        annotation, metadata = bare(annotation, metadata)
        if kinds := kinds_in(metadata):
            annotation, metadata = kinds.settings_of(str(part)), ()
            continue
        if is_model(annotation):
            owner = annotation
            field = annotation.model_fields.get(part)
            annotation, metadata = (field.annotation, tuple(field.metadata)) if field else (Any, ())
        elif get_origin(annotation) is tuple:
            arguments, is_list = get_args(annotation), isinstance(given, list | tuple)
            if arguments[-1] is not ... and is_list and len(given) != len(arguments):
                break  # pydantic misses an entry, and the user a whole
            annotation, metadata, owner = arguments[0 if arguments[-1] is ... else part], (), None
            if not is_list:
                continue  # one where a list may stand
        elif get_origin(annotation) is dict:
            annotation, metadata, owner = get_args(annotation)[1], (), None
        elif branch := branch_of(annotation, part):
            annotation, metadata = branch, ()
            continue
        else:
            break  # the branch of a union
        place, given = (*place, part), _inside(given, part)
    return _Spot(place, given, *bare(annotation, metadata), owner)


def _inside(given: Any, part: Any) -> Any:
    try:
        return given[part]
    except (KeyError, IndexError, TypeError):
        return getattr(given, str(part), None)


def _worded(error: Mapping[str, Any], spot: _Spot, root: Any) -> Iterator[Mistake]:
    if error["type"] == "too_short" and not _is_short(spot.given, error["ctx"]["min_length"]):
        return  # pydantic counts the entries that are in order, and the others are told one by one
    if error["type"] == "value_error":  # raised by the models here, in words of their own
        yield from (Mistake(spot.place, line) for line in str(error["ctx"]["error"]).splitlines())
    elif error["type"] == "missing" and spot.owner:
        description = spot.owner.model_fields[spot.place[-1]].description
        yield Mistake(spot.place, f"{_MISSING} ({_plain(description or named(spot.annotation, spot.metadata))})")
    elif error["type"] in ("extra_forbidden", "invalid_key") and spot.owner:
        yield _unknown(spot, spot.owner, root)
    elif (kinds := kinds_in(spot.metadata)) and isinstance(spot.given, Mapping):
        yield _no_kind(spot, kinds)
    else:
        choices = _choices(spot.annotation)
        near = did_you_mean(spot.given, choices, 0.5) if isinstance(spot.given, str) else ""
        yield Mistake(spot.place, f"this is {_shown(spot.given)} and must be {_wanted(spot)}{near}")


def _unknown(spot: _Spot, owner: type[BaseModel], root: Any) -> Mistake:
    name, siblings = str(spot.place[-1]), tuple(owner.model_fields)
    if near := nearest(name, siblings):
        return Mistake(spot.place, f"there is no such field; did you mean {near}?", near)
    inside = [".".join(map(_key, (*spot.place[:-1], *path))) for path in _paths(name, owner)]
    if not inside and is_model(root) and name in root.model_fields:
        inside = [f"{name} outside of {'.'.join(map(_key, spot.place[:-1]))}"]
    if inside:
        return Mistake(spot.place, f"there is no such field here; did you mean {inside[0]}?")
    there = f"; there are {', '.join(siblings)}" if len(siblings) <= _MOST_LISTED else ""
    return Mistake(spot.place, f"there is no such field{there}")


def _paths(name: str, model: type[BaseModel]) -> Iterator[Location]:
    """Where else, in the mappings inside of one, there is a field of this name."""
    for field_name, field in model.model_fields.items():
        inner, _ = bare(field.annotation)
        if is_model(inner):
            if name in inner.model_fields:
                yield field_name, name
            yield from ((field_name, *path) for path in _paths(name, inner))


def _no_kind(spot: _Spot, kinds: Kinds) -> Mistake:
    fields: Mapping[Any, Any] = spot.given
    known = f"the kinds are {', '.join(kinds.addresses)}"
    if "kind" in fields:
        near = did_you_mean(str(fields["kind"]), kinds.addresses, 0.5)
        return Mistake((*spot.place, "kind"), f"there is no kind {_shown(fields['kind'])}, and {known}{near}")
    others = f", or a {' or a '.join(kinds.others)} instead" if kinds.others else ""
    instead = [key for key, value in fields.items() if isinstance(value, str) and value in kinds.addresses]
    if instead:
        return Mistake((*spot.place, instead[0]), f"there is no such field; did you mean kind: {fields[instead[0]]}?")
    likely = [name for name, settings in kinds.settings.items() if fields.keys() <= settings.model_fields.keys()]
    meant = f"; did you mean kind: {likely[0]}?" if len(likely) == 1 else ""
    return Mistake((*spot.place, "kind"), f"{_MISSING}; {known}{others}{meant}")


def _choices(annotation: Any) -> list[str]:
    members = members_of(annotation) or [annotation]
    plain = [bare(each)[0] for each in members]
    return [str(value) for each in plain if get_origin(each) is Literal for value in get_args(each)]


def _key(part: Any) -> str:
    text = str(part)
    return text if text.isprintable() else json.dumps(text)


def _plain(text: str) -> str:
    return text.replace("`", "")


def _wanted(spot: _Spot) -> str:
    wanted = _plain(named(spot.annotation, spot.metadata))
    if get_origin(spot.annotation) is Literal:
        return f"one of {wanted}"
    first = wanted.split(" ")[0].strip(",:")
    if first not in ("whole", "number", "path", "folder", "name", "address", "bound", "list", "mapping", "bundled"):
        return wanted
    return f"an {wanted}" if first.startswith("a") else f"a {wanted}"


def _is_short(given: Any, least: int) -> bool:
    return isinstance(given, list | tuple | str) and len(given) < least


def _shown(value: Any) -> str:
    """A value as a run file has it; of what has parts, what it is."""
    if value is None:
        return "empty"
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple) and any(isinstance(each, Mapping | list | tuple) for each in value):
        return "a list"
    if isinstance(value, list | tuple) and not value:
        return "an empty list"
    text = json.dumps(value, default=str, ensure_ascii=False)
    if not text.isprintable():  # \x85 and its like end a line
        text = json.dumps(value, default=str)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
