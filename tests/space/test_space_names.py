"""The name of a search space that no file can have."""

import pytest

from ama_ray.errors import UserError
from ama_ray.space.search_space import SearchSpace


@pytest.mark.parametrize("space", ["x" * 5000, "x" * 300 + ".yaml", "a\0b", "\udc80", "~nobody-of-that-name/x.yaml"])
def test_a_name_that_no_file_can_have_is_refused(space: str) -> None:
    with pytest.raises(UserError):
        SearchSpace.load(space)
