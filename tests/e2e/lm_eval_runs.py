"""Runs EleutherAI's harness: JSON [{simple_evaluate's arguments}] in, [{results, samples}] out.

A process of its own, as the harness sets seeds and loggers, and reads its environment at import.
Only the tasks of the folder that it is started in are known: reading those that the harness brings
takes longer than these runs.
"""

import json
import sys

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager


def main() -> None:
    tasks = TaskManager(include_path=".", include_defaults=False)
    found = [simple_evaluate(task_manager=tasks, **run) for run in json.load(sys.stdin)]
    kept = [{name: each[name] for name in ("results", "samples")} for each in found]
    json.dump(kept, sys.stdout, default=str)


if __name__ == "__main__":
    main()
