"""Points in the space of the objectives, drawn by hypothesis: rewards, then the tax."""

from __future__ import annotations

from hypothesis import strategies as st

# A coarse grid makes ties; floats make everything else.
coordinate = st.integers(-4, 8).map(float) | st.floats(-4, 8)


def objectives_of(count: int) -> st.SearchStrategy[list[tuple[float, ...]]]:
    """Points with so many objectives."""
    return st.lists(st.tuples(*[coordinate] * count), max_size=30 if count == 2 else 12)


def spaces(fewest: int) -> st.SearchStrategy[tuple[int, list[tuple[float, ...]]]]:
    """From so many to four objectives, and points with as many."""
    return st.integers(fewest, 4).flatmap(lambda count: st.tuples(st.just(count), objectives_of(count)))


def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether a point is as good as another one in all objectives, and is not equal to it."""
    rewards = all(a >= b for a, b in zip(one[:-1], other[:-1], strict=True))
    return rewards and one[-1] <= other[-1] and one != other
