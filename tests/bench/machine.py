"""Where was it measured? Processor, memory and versions; no name of the machine, no path."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

import psutil

PROCESSORS = Path("/proc/cpuinfo")
LIBRARIES = (
    "duckdb", "ibis-framework", "jupyter_client", "lifelines", "nbconvert", "numpy", "pandas",
    "papermill", "pyarrow", "pyspark", "scipy", "statsmodels",
)  # fmt: skip


def described() -> dict[str, object]:
    """Processor, cores that we may use, memory, system, Python, R and library versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "r": _r(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def _processor() -> str:
    if PROCESSORS.is_file():
        for line in PROCESSORS.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or "not told"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _r() -> str:
    if not shutil.which("Rscript"):
        return ""
    said = "cat(paste(R.version$major, R.version$minor, sep = '.'))"
    done = subprocess.run(["Rscript", "-e", said], capture_output=True, text=True, check=False)
    return done.stdout.strip()
