"""The JSON Schema of the run file, from the models that read it: editors complete and check fields by it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from ama_ray.config import RunConfig
from ama_ray.config.fields import listed
from ama_ray.config.kinds import Kinds
from ama_ray.probes.presets.registry import PRESETS
from ama_ray.space.search_space import SearchSpace, bundled

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema

_LINK = re.compile(r'\[([^\]"]*)\]\(#[^)"]*\)')
"""To a section of docs/run-file.md."""


class _Generator(GenerateJsonSchema):
    """Says of the validators of a run file what they take; those of one field alone say so themselves."""

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        """An entry of one of several kinds."""
        kinds = getattr(schema["function"]["function"], "__self__", None)
        if not isinstance(kinds, Kinds):
            return super().function_plain_schema(schema)
        return {"anyOf": [self.generate_inner(each.__pydantic_core_schema__) for each in kinds.each]}

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """One thing where a list may stand."""
        inner = super().function_before_schema(schema)
        return {"anyOf": [inner["items"], inner]} if schema["function"]["function"] is listed else inner

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Editors show the name of a field anyway."""
        return False


def run_file_schema() -> dict[str, Any]:
    """The schema, with the meaning of every field."""
    _, whole = models_json_schema([(RunConfig, "validation"), (SearchSpace, "validation")], schema_generator=_Generator)
    parts = whole["$defs"]
    for part in parts.values():
        if "const" in part.get("properties", {}).get("kind", {}):
            part["required"] = [*dict.fromkeys([*part.get("required", ()), "kind"])]
    parts["PresetProbe"]["properties"]["preset"]["enum"] = sorted(PRESETS)
    run = parts.pop("RunConfig")
    run["properties"]["space"]["anyOf"] = [
        {"enum": bundled()},
        {"type": "string", "pattern": r"\.ya?ml$"},
        {"$ref": "#/$defs/SearchSpace"},
    ]
    head = {"$schema": GenerateJsonSchema.schema_dialect, "title": "A run file of ama-ray"}
    schema: dict[str, Any] = json.loads(_LINK.sub(r"\1", json.dumps(run | head | {"$defs": parts})))
    return schema
