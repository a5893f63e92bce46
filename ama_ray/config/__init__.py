"""`RunConfig` and its parts: everything a run needs, validated. Imports no torch, ray or vllm."""

from ama_ray.config.data import Split
from ama_ray.config.distill import Distill
from ama_ray.config.engine import EngineSettings
from ama_ray.config.probes import (
    BitsPerByteProbe,
    BleuProbe,
    CalibrationProbe,
    ChoiceProbe,
    ChrfProbe,
    ExactProbe,
    F1Probe,
    FewShot,
    FileProbe,
    KlProbe,
    LetterProbe,
    NumberProbe,
    PerplexityProbe,
    PresetProbe,
    Probe,
    TaskProbe,
)
from ama_ray.config.rewards import (
    FunctionReward,
    Judge,
    JudgeReward,
    ModelReward,
    PairwiseReward,
    Prompts,
    Reward,
    Sampling,
)
from ama_ray.config.run import BASELINE_RATIOS, FIRST_RATIOS, Report, RunConfig
from ama_ray.config.search import Stop

__all__ = [
    "BASELINE_RATIOS",
    "FIRST_RATIOS",
    "BitsPerByteProbe",
    "BleuProbe",
    "CalibrationProbe",
    "ChoiceProbe",
    "ChrfProbe",
    "Distill",
    "EngineSettings",
    "ExactProbe",
    "F1Probe",
    "FewShot",
    "FileProbe",
    "FunctionReward",
    "Judge",
    "JudgeReward",
    "KlProbe",
    "LetterProbe",
    "ModelReward",
    "NumberProbe",
    "PairwiseReward",
    "PerplexityProbe",
    "PresetProbe",
    "Probe",
    "Prompts",
    "Report",
    "Reward",
    "RunConfig",
    "Sampling",
    "Split",
    "Stop",
    "TaskProbe",
]
