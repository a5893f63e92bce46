"""What a run file may name is found at its address."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ama_ray.config import Command, RunConfig
from ama_ray.config.probes import PROBES
from ama_ray.config.rewards import REWARDS
from ama_ray.errors import UserError
from ama_ray.probes.base import ProbeKind
from ama_ray.rewards.base import RewardKind

if TYPE_CHECKING:
    from ama_ray.config.kinds import Kinds

FIELDS: dict[str, Any] = {
    "base": "org/base",
    "aligned": "org/aligned",
    "reward": {"kind": "function", "prompts": {"file": "prompts.jsonl"}, "scorer": "reward.py:score"},
    "tax": [{"name": "facts", "family": "knowledge", "kind": "choice", "file": "facts.jsonl"}],
    "out": "run",
}


@pytest.mark.parametrize(("kinds", "base"), [(PROBES, ProbeKind), (REWARDS, RewardKind)])
def test_every_address_leads_to_settings_of_that_kind(kinds: Kinds, base: type[Any]) -> None:
    for name, settings in kinds.settings.items():
        assert issubclass(settings, (base, Command))  # which has no code beside it
        assert settings.model_fields["kind"].annotation.__args__ == (name,)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tax": [{"kind": "no"}]},
            rf"tax\.0\.kind: there is no kind \"no\", and the kinds are {', '.join(PROBES.addresses)}",
        ),
        (
            {"tax": [{"kind": "choice", "name": "a", "family": "b"}]},
            r"tax\.0\.file: this field is missing \(JSON lines, a row per item\)\.$",
        ),
        ({"reward": {"kind": "no"}}, rf"reward\.kind: .* the kinds are {', '.join(REWARDS.addresses)}\.$"),
        ({"reward": FIELDS["reward"] | {"weight": 0}}, r"reward\.weight: a weight must be a finite number"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        RunConfig.from_arguments(**(FIELDS | changes))


def test_settings_that_were_made_before_stay_the_same_objects() -> None:
    config = RunConfig.from_arguments(**FIELDS)
    again = RunConfig.from_arguments(**(FIELDS | {"reward": config.reward, "tax": config.tax}))
    assert again == config
    assert again.tax[0] is config.tax[0]


def test_kinds_are_loaded_with_the_first_run_file() -> None:
    code = (
        "import sys; from ama_ray.config import RunConfig; print('ama_ray.probes' in sys.modules)\n"
        f"RunConfig.from_arguments(**{FIELDS!r}); print('ama_ray.probes.choice' in sys.modules)\n"
        "print([name for name in ('torch', 'transformers', 'vllm', 'ray', 'openai', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["False", "True", "[]", ""]
