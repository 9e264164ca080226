"""What MINING_MODE may be, and which mode an algorithm has by itself."""

from typing import Literal

from transformers_hem.algorithms.base import Stage

MiningMode = Literal["mining-then-inference", "inference-then-mining", "self-design"]

MODES: dict[Stage, MiningMode] = {
    "query": "mining-then-inference",
    "answer": "inference-then-mining",
}
SELF_DESIGN: MiningMode = "self-design"  # of any stage, with a strategy
