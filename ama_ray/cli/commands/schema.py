"""`ama-ray schema`: what editors complete and check run files by."""

from __future__ import annotations

import json


def schema() -> None:
    """Print the JSON Schema of the run file, for editors. Example: ama-ray schema > ama-ray.schema.json."""
    from ama_ray.schema import run_file_schema

    print(json.dumps(run_file_schema(), indent=1))
