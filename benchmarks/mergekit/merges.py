"""Makes merges as their configurations say, with mergekit as it is, in an environment of its own.

    python merges.py FOLDER...

`benchmarks.peers.environments` makes the environment. Reads FOLDER/mergekit.yaml and writes FOLDER/by-mergekit; prints
a JSON object: why it could not, by folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions


def main() -> None:
    failed = {}
    for folder in map(Path, sys.argv[1:]):
        fields = yaml.safe_load((folder / "mergekit.yaml").read_text(encoding="utf-8"))
        options = MergeOptions(quiet=True, copy_tokenizer=True, lora_merge_cache=str(folder / "adapters"))
        try:
            run_merge(MergeConfiguration.model_validate(fields), str(folder / "by-mergekit"), options)
        except Exception as error:
            failed[folder.name] = f"{type(error).__name__}: {error}"
    print(json.dumps(failed))


if __name__ == "__main__":
    main()
