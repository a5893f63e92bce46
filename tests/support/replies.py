"""Replies as an engine gives them, of texts."""

from collections.abc import Sequence

from ama_ray.engine.replies import Reply


def said(texts: Sequence[Sequence[str]]) -> list[list[Reply]]:
    """To every prompt the replies with these texts."""
    return [[Reply(text) for text in of_prompt] for of_prompt in texts]
