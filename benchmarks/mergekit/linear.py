"""Merges two checkpoints with mergekit's linear method and prints the seconds it took, imports not counted.

python linear.py BASE ALIGNED OUT
"""

from __future__ import annotations

import sys
import time

from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions


def main() -> None:
    base, aligned, out = sys.argv[1:]
    models = [{"model": folder, "parameters": {"weight": 0.5}} for folder in (base, aligned)]
    fields = {"merge_method": "linear", "dtype": "bfloat16", "models": models}
    start = time.perf_counter()
    run_merge(MergeConfiguration.model_validate(fields), out, MergeOptions(quiet=True, copy_tokenizer=True))
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
