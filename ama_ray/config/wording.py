"""What a field takes, in words: for docs/run-file.md, and for who gave something else."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as limits
from pydantic import BaseModel, BeforeValidator, PlainValidator, Tag
from pydantic.fields import FieldInfo

from ama_ray.config.fields import Called, listed
from ama_ray.config.kinds import Kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PLAIN = {Any: "any value", str: "text", int: "whole number", float: "number", bool: "true or false"}


def bare(annotation: Any, metadata: tuple[Any, ...] = ()) -> tuple[Any, tuple[Any, ...]]:
    """A type without `Annotated` and `None` around it, and what stood in the former."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return bare(inner, (*more, *metadata))
    members = members_of(annotation)
    return bare(members[0], metadata) if len(members) == 1 else (annotation, metadata)


def members_of(annotation: Any) -> list[Any]:
    """The types that a union is of, `None` left out; empty for any other type."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return []
    return [each for each in get_args(annotation) if each is not type(None)]


def branch_of(annotation: Any, tag: Any) -> Any:
    """The type of a union that bears this tag; None where there is none."""
    tagged = (each for each in members_of(annotation) if get_origin(each) is Annotated)
    return next((each for each in tagged if Tag(tag) in get_args(each)), None)


def kinds_in(metadata: tuple[Any, ...]) -> Kinds | None:
    """The kinds of which an entry of this type is one."""
    owners = (getattr(each.func, "__self__", None) for each in metadata if isinstance(each, PlainValidator))
    return next((owner for owner in owners if isinstance(owner, Kinds)), None)


def is_model(annotation: Any) -> bool:
    """Whether a type is a mapping of fields."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def mapping_of(model: Any) -> str:
    """A mapping of fields, or an entry of one of several kinds, in words."""
    if isinstance(model, Kinds):
        return f"mapping with a {' or a '.join(('kind', *model.others))}"
    return f"mapping with the {'field' if len(model.model_fields) == 1 else 'fields'} {', '.join(model.model_fields)}"


def named(annotation: Any, metadata: tuple[Any, ...] = (), model: Callable[[Any], str] = mapping_of) -> str:
    """What a type takes, with the limits of its values.

    Args:
        annotation: The type.
        metadata: What stands beside it in `Annotated`, or in the field.
        model: What to call a model, or `Kinds`.
    """
    annotation, metadata = bare(annotation, metadata)
    called = next((each.name for each in metadata if isinstance(each, Called)), None)
    return (called or _structure(annotation, metadata, model)) + "".join(_limits(metadata, annotation))


def _structure(annotation: Any, metadata: tuple[Any, ...], model: Callable[[Any], str]) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if kinds := kinds_in(metadata):
        return model(kinds)
    if members := members_of(annotation):
        return " or ".join(named(each, model=model) for each in members)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return _listed(arguments, metadata, model)
    if origin is dict:
        return "mapping" if arguments[1] is Any else f"{named(arguments[1], model=model)}, by name"
    return model(annotation) if is_model(annotation) else _PLAIN.get(annotation, "something else")


def _listed(arguments: tuple[Any, ...], metadata: tuple[Any, ...], model: Callable[[Any], str]) -> str:
    if arguments[-1] is not ...:
        return f"`[{', '.join(named(each, model=model) for each in arguments)}]`"
    one = named(arguments[0], model=model)
    one_is_a_list = any(isinstance(each, BeforeValidator) and each.func is listed for each in metadata)
    return f"{one}, or a list" if one_is_a_list else f"list: {one}"


def _limits(metadata: tuple[Any, ...], annotation: Any) -> Iterator[str]:
    for each in metadata:
        if isinstance(each, FieldInfo):
            yield from _limits(tuple(each.metadata), annotation)
        elif isinstance(each, limits.Ge):
            yield f", at least {each.ge}"
        elif isinstance(each, limits.Gt):
            yield f", above {each.gt}"
        elif isinstance(each, limits.Le):
            yield f", at most {each.le}"
        elif isinstance(each, limits.Lt):
            yield f", below {each.lt:.10g}"
        elif isinstance(each, limits.MinLen):
            yield ", not empty" if each.min_length == 1 else f", at least {each.min_length}"
