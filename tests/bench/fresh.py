"""How long, and how much memory, does one program take? Run it alone and say so.

`python -S fresh.py <answer> <program> …` starts the program, waits, and writes one JSON object. The
subtle point: Linux lets a process begin with the peak of the process that started it. The bench
holds large tables; this one holds nothing, so the peak it reports is the program's own. Time and
peak include what the program itself started and waited for; the peak is of the largest of them.
"""

import json
import os
import sys
import time


def main() -> int:
    """Run, measure, write; the program's own exit code goes into the answer."""
    answer, *program = sys.argv[1:]
    began = time.perf_counter()
    process = os.posix_spawnp(program[0], program, os.environ)
    _, status, used = os.wait4(process, 0)
    taken = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
        "code": os.waitstatus_to_exitcode(status),
    }
    with open(answer, "w", encoding="utf-8") as place:
        json.dump(taken, place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
