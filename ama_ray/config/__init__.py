"""`RunConfig` and its parts: everything a run needs, validated. Imports no torch, ray or vllm."""

from ama_ray.config.command import Command
from ama_ray.config.data import Evaluated, Split
from ama_ray.config.distill import Distill
from ama_ray.config.engine import EngineSettings
from ama_ray.config.probes import CommandProbe, FewShot, FileProbe, PresetProbe, Probe, TaskProbe
from ama_ray.config.report import BASELINE_RATIOS, FIRST_RATIOS, Report
from ama_ray.config.rewards import CommandReward, Judge, Prompts, RepliesReward, Reward
from ama_ray.config.run import RunConfig
from ama_ray.config.sampling import Chat, Drawing, Sampling
from ama_ray.config.search import Budget, Stop, TokenCost

__all__ = [
    "BASELINE_RATIOS",
    "FIRST_RATIOS",
    "Budget",
    "Chat",
    "Command",
    "CommandProbe",
    "CommandReward",
    "Distill",
    "Drawing",
    "EngineSettings",
    "Evaluated",
    "FewShot",
    "FileProbe",
    "Judge",
    "PresetProbe",
    "Probe",
    "Prompts",
    "RepliesReward",
    "Report",
    "Reward",
    "RunConfig",
    "Sampling",
    "Split",
    "Stop",
    "TaskProbe",
    "TokenCost",
]
