"""`CheckBeside`: the deep check of a run, which goes on beside its first trials."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import ray

from ama_ray.errors import UserError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from ama_ray.engine.deep_check import Checked
    from ama_ray.engine.plain_vllm import PlainVllm
    from ama_ray.engine.verdict import Verdict


def waited(reference: Any, trouble: str) -> Any:
    """Waits for a reference.

    Raises:
        UserError: The engine behind it failed; in one sentence.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        raise UserError(f"{trouble}: {one_line(error)}") from error


class CheckBeside:
    """The deep check of a run.

    What is compared in one engine is known before any trial is scored, as the answers of base come after it from the
    same engine. Plain vLLM, where it is due, starts once a trial has been scored, which it would delay. Everything is
    called from one thread.
    """

    def __init__(
        self,
        steps: Sequence[tuple[Any, str]],
        plain: PlainVllm | None,
        refuse: Callable[[Verdict], UserError],
        tell: Callable[[str], None],
    ) -> None:
        """Follows a check that is under way.

        Args:
            steps: What the engine does, each a reference, with what to say where it fails; the last is a `Checked`.
            plain: The second reference, where this project changes vLLM; None elsewhere.
            refuse: Makes the error of a verdict.
            tell: Called with a line of text for each part that has passed.
        """
        self._steps = steps
        self._plain = plain
        self._refuse = refuse
        self._tell = tell
        self._checked: Checked | None = None
        self._second: Future[Verdict] | None = None
        self._failure: UserError | None = None
        self._is_done = not steps

    @classmethod
    def done(cls) -> CheckBeside:
        """One that has passed."""
        return cls((), None, lambda verdict: UserError(verdict.trouble), lambda line: None)

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its stoppers; a run goes on from its own folder instead.
        return {}

    def has_failed(self) -> bool:
        """Whether it is known by now that the search must not go on."""
        if self._failure is not None:
            return True
        if self._checked is None and self._steps and ray.wait([self._steps[-1][0]], timeout=0)[0]:
            self._take_engine()
        if self._second is not None and not self._is_done and self._second.done():
            self._take_plain()
        return self._failure is not None

    def go_on(self) -> None:
        """Starts plain vLLM where it is due: a trial has been scored."""
        if not self.has_failed():
            self._start_plain()

    def wait_for_engine(self) -> None:
        """Waits for what is compared in one engine.

        Raises:
            UserError: The swap is not sound, or the engine does not start.
        """
        if self._checked is None and self._steps:
            self._take_engine()
        if self._failure is not None:
            raise self._failure

    def wait(self) -> None:
        """Waits for all of it.

        Raises:
            UserError: The swap is not sound, or an engine does not start.
        """
        self.wait_for_engine()
        if not self._is_done:
            self._start_plain()
            self._take_plain()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Ends plain vLLM where it still runs."""
        if self._plain is not None:
            self._plain.close()

    def _take_engine(self) -> None:
        try:
            for reference, trouble in self._steps:
                value = waited(reference, trouble)
        except UserError as error:
            self._failure = error
            return
        self._checked = value
        if self._take(self._checked.verdict, "deep check passed"):
            self._is_done = self._plain is None or self._plain.known is not None

    def _start_plain(self) -> None:
        if self._second is None and not self._is_done and self._checked is not None and self._plain is not None:
            threads = ThreadPoolExecutor(1, "plain-vllm")
            self._second = threads.submit(self._plain.check, self._checked.answers)
            threads.shutdown(wait=False)

    def _take_plain(self) -> None:
        assert self._second is not None
        self._is_done = True
        self._take(self._second.result(), "plain vLLM agrees")

    def _take(self, verdict: Verdict, passed: str) -> bool:
        if verdict.passed:
            self._tell(f"{passed}: {verdict}")
        else:
            self._failure = self._refuse(verdict)
        return verdict.passed
