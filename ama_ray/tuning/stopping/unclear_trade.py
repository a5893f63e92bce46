"""`UnclearTrade`: ends a search whose base and aligned differ by no more than the error of their items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ama_ray.report.text.trade import ending, warning

if TYPE_CHECKING:
    from ama_ray.tuning.recorder import Recorder


class UnclearTrade:
    """Tests base against aligned as soon as both are scored, once (`ama_ray.analysis.trade_test`).

    Trials that are handed out before run to their end. Where one of the two failed there is no test, and the search
    goes on.
    """

    def __init__(self, recorder: Recorder) -> None:
        """Watches a run; where its run file says `unclear_trade: go-on`, an unclear trade is only told."""
        self._recorder = recorder
        self._done = False

    @property
    def pending(self) -> bool:
        """Whether the search may yet end, as base or aligned has neither been scored nor failed."""
        return self._recorder.run.config.unclear_trade == "stop" and not self._both_ended()

    def found(self) -> str:
        """Why the search should end, as a sentence without its stop; empty where it should go on."""
        if self._done or not self._both_ended():
            return ""
        self._done = True
        run = self._recorder.run
        test = run.trade_test()
        if test is None or test.clear:
            return ""
        if run.config.unclear_trade == "go-on":
            self._recorder.tell(warning(test, run))
            return ""
        return ending(test, run)

    def _both_ended(self) -> bool:
        ended = [trial for trial in self._recorder.run.trials if trial.origin == "baseline"]
        alone = {trial.alone for trial in ended if trial.alone is not None}
        return any(trial.uniform_ratio == 0 for trial in ended) and len(alone) == len(self._recorder.run.config.models)
