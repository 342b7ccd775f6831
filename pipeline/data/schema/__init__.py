"""Every table, declared once: raw, stage and published."""

from pipeline.data.schema.raw import END_TYPES, RAW, SHAPES, TOUCH_MODELS
from pipeline.data.schema.stage import CAUSES, MOVEMENTS, SNAPSHOT, UNKNOWN, USAGE_MONTHS
from pipeline.data.schema.table import MONEY, Table

__all__ = [
    "CAUSES",
    "END_TYPES",
    "MONEY",
    "MOVEMENTS",
    "RAW",
    "SHAPES",
    "SNAPSHOT",
    "TOUCH_MODELS",
    "UNKNOWN",
    "USAGE_MONTHS",
    "Table",
]
