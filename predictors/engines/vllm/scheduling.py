"""In the process of vLLM's that schedules: what one query leaves in the cache reaches no other."""

from dataclasses import fields
from typing import Any

from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.kv_cache_interface import KVCacheConfig


class _Zeroed(KVCacheConfig):
    needs_kv_cache_zeroing = True


class ZeroingScheduler(Scheduler):
    """Has each block of the cache zeroed before a query gets it, as vLLM itself does for other
    models only. Attention on the CPU reads a block to its end, and takes the rest of it times 0:
    the NaN of a query that is long gone would become that of its block's next owner."""

    def __init__(self, *, kv_cache_config: KVCacheConfig, **others: Any) -> None:
        known = {each.name: getattr(kv_cache_config, each.name) for each in fields(kv_cache_config)}
        super().__init__(kv_cache_config=_Zeroed(**known), **others)
