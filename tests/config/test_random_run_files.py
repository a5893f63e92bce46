"""A run file of random fields is read, or refused with a sentence for each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ama_ray.config import RunConfig
from ama_ray.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

KEYS = st.sampled_from([*RunConfig.model_fields, "kind", "prompts", "file", "name", "scorer", "n", "nonsense"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["./base", "choice"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
SOUND: dict[str, Any] = {
    "base": "org/base",
    "aligned": "org/aligned",
    "reward": {"kind": "function", "prompts": {"file": "p.jsonl"}, "scorer": "reward.py:score"},
    "tax": [{"name": "facts", "family": "knowledge", "kind": "choice", "file": "facts.jsonl"}],
    "out": "out",
}


@settings(max_examples=4 * settings().max_examples, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(KEYS, VALUES, max_size=4))
def test_a_random_run_file_is_read_or_refused_with_a_sentence_for_each_mistake(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(SOUND | changes, allow_unicode=True), encoding="utf-8")
    try:
        RunConfig.load(path)
    except UserError as error:
        first, *mistakes = str(error).splitlines()
        assert first.startswith(str(path))
        assert all(each.startswith("  ") and each.endswith((".", "?")) for each in mistakes)
        assert not any(words in str(error) for words in ("Input should", "valid ", "Unable to"))
