"""How does Spark compute what DuckDB does? The same expressions, and where their SQL must differ.

Connects to the Spark that the user's environment names (`NAMED_BY`), else starts one on this
machine that listens to nobody else. What Ibis lacks for Spark, or where Spark's answer would be
another one, stands in `Dialect`, once. The subtle point: Spark is lazy, so a table that is kept is
computed there and then; else each later step would compute all earlier ones again.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import string
import uuid
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import ibis.backends.pyspark
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.backends.sql.datatypes import PySparkType
from ibis.formats.pandas import PandasData
from ibis.formats.pyarrow import PyArrowData
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from pipeline.data import store
from pipeline.settings import ConfigurationError

NAMED_BY = ("SPARK_CONF_DIR", "SPARK_HOME", "PYSPARK_SUBMIT_ARGS")
"""Environment variables by which a user says which Spark it is."""
ON_THIS_MACHINE = {
    "spark.master": "local[*]",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "4",  # 200 by default, each a task of its own
    "spark.log.level": "ERROR",
}
MEANING = {
    "spark.sql.ansi.enabled": "true",  # a cast that fails is an error, as it is on DuckDB
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.caseSensitive": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
"""What numbers depend on is said here, whatever the defaults of a cluster are."""
JAVA_MISSING = (
    "engine: pyspark needs Java 17 or newer, and no `java` is found. On Debian and Ubuntu: apt-get "
    "install openjdk-17-jre-headless; elsewhere set JAVA_HOME. Or set engine: duckdb."
)
OVERLAPS = (30, 60)
"""Minutes by which a clock is set back, as in `cells`."""
MIDNIGHT = r"^([0-9-]{10})[T ]24:00(:00(\.0+)?)?(?=$|[Z+-])"
WHITE = sorted(map(ord, string.whitespace))
EPOCH = "TIMESTAMP_NTZ'1970-01-01'"


class Types(PySparkType):
    """Local times and moments are two types: Spark's own word for both depends on its settings."""

    @classmethod
    def _from_ibis_Timestamp(cls, dtype: dt.Timestamp) -> sge.DataType:  # noqa: N802
        kind = sge.DataType.Type
        return sge.DataType(this=kind.TIMESTAMPLTZ if dtype.timezone else kind.TIMESTAMPNTZ)


class Dialect(PySparkCompiler):
    """Spark's SQL for the operations that Ibis leaves out, or that would answer otherwise."""

    __slots__ = ()
    type_mapper = Types
    SIMPLE_OPS = {ops.BitOr: "bit_or", ops.BitAnd: "bit_and", ops.BitXor: "bit_xor"}  # noqa: RUF012

    def visit_Strip(self, op: Any, *, arg: Any) -> Any:  # noqa: N802
        r"""Spark's text knows no `\v` and no `\f`: it would take the letters away."""
        return self.f.anon.btrim(arg, self.f.anon.concat(*map(self.f.anon.chr, WHITE)))

    def visit_RegexSearch(self, op: Any, *, arg: Any, pattern: Any) -> Any:  # noqa: N802
        """Whether a pattern is found, as Java reads it."""
        return self.f.regexp_like(arg, java_pattern(op.pattern))

    def visit_RegexExtract(  # noqa: N802
        self, op: Any, *, arg: Any, pattern: Any, index: Any
    ) -> Any:
        """A group of what a pattern finds, as Java reads it."""
        return self.f.regexp_extract(arg, java_pattern(op.pattern), index)

    def visit_RegexReplace(  # noqa: N802
        self, op: Any, *, arg: Any, pattern: Any, replacement: Any
    ) -> Any:
        """What a pattern finds is replaced; Java's mark of a group is `$`."""
        by = re.sub(r"\\([0-9])", r"$\1", op.replacement.value)
        return self.f.regexp_replace(arg, java_pattern(op.pattern), by)

    def visit_DateTruncate(self, op: Any, *, arg: Any, unit: Any) -> Any:  # noqa: N802
        """A day at the beginning of its month or year; date_trunc would make a moment of it."""
        return self.f.anon.trunc(arg, unit.singular)

    def visit_DateDelta(self, op: Any, *, part: Any, left: Any, right: Any) -> Any:  # noqa: N802
        """Days from one date to another."""
        if op.part.value != "day":
            raise NotImplementedError("the distance of two dates on Spark: in days")
        return self.cast(self.f.anon.date_diff(left, right), op.dtype)

    def visit_First(  # noqa: N802
        self, op: Any, *, arg: Any, where: Any, order_by: Any, include_null: Any
    ) -> Any:
        """The first value by an order: Spark's own knows none."""
        if not order_by:
            return super().visit_First(
                op, arg=arg, where=where, order_by=order_by, include_null=include_null
            )
        if include_null or any(key.descending for key in op.order_by):
            raise NotImplementedError("first() on Spark: ascending keys, without empty values")
        there = sge.Not(this=sge.Is(this=arg, expression=sge.Null()))
        rows = sge.And(this=there, expression=where) if where is not None else there
        order = self.f.anon.struct(*[key.this for key in order_by])
        return sge.Filter(this=self.f.anon.min_by(arg, order), expression=sge.Where(this=rows))

    def visit_TryCast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: N802
        """Written time as a moment; 24:00, which Spark refuses, begins the next day."""
        cast = partial(super().visit_TryCast, op)
        if not (to.is_timestamp() and op.arg.dtype.is_string()):
            return cast(arg=arg, to=to)
        text = sge.to_identifier("text")
        day = self.f.anon.date_add(cast(arg=self.f.anon.left(text, 10), to=dt.date), 1)
        next_day = self.f.anon.concat(day, self.f.anon.substr(text, 11))
        midnight = self.f.anon.regexp_replace(next_day, MIDNIGHT, "$1 00:00:00")
        is_end = self.f.anon.regexp_like(text, MIDNIGHT)
        return self._named(text, arg, cast(arg=self.if_(is_end, midnight, text), to=to))

    def visit_BitwiseLeftShift(self, op: Any, *, left: Any, right: Any) -> Any:  # noqa: N802
        """In 64 bits: a plain 1 has 32 of them in Spark, and the bits above would come round."""
        return self.f.anon.shiftleft(self.cast(left, op.dtype), self.cast(right, dt.int32))

    def visit_InSubquery(self, op: Any, *, rel: Any, needle: Any) -> Any:  # noqa: N802
        """As an array, which may stand among columns too; Spark's own only in a filter."""
        (name,) = op.rel.schema.names
        values = sge.select(self.f.anon.collect_set(sge.column(name, quoted=True)))
        source = rel.this if isinstance(rel.this, sge.Identifier) else rel.this.subquery("sought")
        values = values.from_(sge.Table(this=source) if source is rel.this else source)
        return self.f.anon.array_contains(values.subquery(), needle)

    def visit_ScalarUDF(self, op: Any, **kw: Any) -> Any:  # noqa: N802
        """A time in a zone, by DuckDB's name for it."""
        if op.__func_name__ == "timezone":
            zone, moment = kw.values()
            to = op.dtype
            return self._in_zone(zone, moment, to) if to.timezone else self._local(zone, moment)
        return super().visit_ScalarUDF(op, **kw)

    def _in_zone(self, zone: Any, local: Any, to: dt.Timestamp) -> Any:
        """The moment of a local time; the last of two, as DuckDB takes it."""
        written, first = sge.to_identifier("written"), sge.to_identifier("first")
        moment: Any = first
        for minutes in OVERLAPS:
            later = self.f.anon.timestampadd(sge.var("MINUTE"), minutes, first)
            again = self.f.anon.convert_timezone("UTC", zone, later)
            moment = self.if_(sge.EQ(this=again, expression=written), later, moment)
        moment = self._named(first, self.f.anon.convert_timezone(zone, "UTC", written), moment)
        utc = self.f.anon.concat(self.cast(self._named(written, local, moment), dt.string), "Z")
        return self.cast(utc, to)

    def _named(self, name: sge.Identifier, value: Any, within: Any) -> Any:
        """An expression in which a value stands by name: written out, it would double each time."""
        each = sge.Lambda(this=within, expressions=[name])
        return self.f.anon.element_at(self.f.anon.transform(self.f.anon.array(value), each), 1)

    def _local(self, zone: Any, moment: Any) -> Any:
        """The local time of a moment, whatever the session's zone is."""
        epoch: Any = sge.maybe_parse(EPOCH, dialect="spark")
        utc = self.f.anon.timestampadd(
            sge.var("MICROSECOND"), self.f.anon.unix_micros(moment), epoch
        )
        return self.f.anon.convert_timezone("UTC", zone, utc)


def java_pattern(pattern: ops.Literal) -> str:
    r"""A pattern of ours as Java reads it: there `$` also matches before a last line break."""
    return re.sub(r"(?<!\\)\$", r"\\z", pattern.value)


class Backend(ibis.backends.pyspark.Backend):
    """Ibis on Spark, with the calls that the stages make on DuckDB."""

    compiler = Dialect()
    scratch: Path
    """Where results wait that are taken row by row; on a cluster, a folder that all workers see."""

    def create_table(self, name: str, obj: ir.Table | pa.Table, **_: object) -> ir.Table:
        """Rows under a name, computed now and held by Spark; nothing is written anywhere."""
        if isinstance(obj, pa.Table):
            self._session.createDataFrame(obj).createOrReplaceTempView(name)
        else:
            _as_promised(self._rows(obj), obj).localCheckpoint().createOrReplaceTempView(name)
        return self.table(name)

    def read_parquet(
        self,
        path: Path | Sequence[Path],
        /,
        *,
        table_name: str,
        filename: bool = False,
        union_by_name: bool = False,
    ) -> ir.Table:
        """Parquet files as one table; `filename`: the path of each row beside it.

        `union_by_name`: a column that a file lacks is empty there.
        """
        paths = [path] if isinstance(path, Path) else path
        reader = self._session.read.option("mergeSchema", union_by_name)
        rows = reader.parquet(*[f"file://{each.resolve()}" for each in paths])
        if filename:
            rows = rows.withColumn("filename", sql.col("_metadata.file_path"))
        rows.createOrReplaceTempView(table_name)
        return self.table(table_name)

    def spill(self, folder: Path, megabytes_of_a_thread: int = 0) -> None:
        """Let results wait in a folder; what does not fit into memory Spark spills by itself."""
        self.scratch = folder

    def keep_in_file(self, expression: ir.Table, path: Path) -> ir.Table:
        """Compute an expression once; Spark holds its rows itself, under the name of the file."""
        return self.create_table(path.stem, expression)

    def keep(self, expression: ir.Table, name: str) -> ir.Table:
        """Compute an expression once and hold it under a name."""
        return self.create_table(name, expression)

    def batches(self, expression: ir.Table, rows: int) -> Iterator[pa.Table]:
        """The result in its order, so many rows at a time; it waits in files of `scratch`."""
        place = self.scratch / f"result-{uuid.uuid4().hex}"
        self._rows(expression).write.parquet(place.resolve().as_uri())
        for path in sorted(place.glob("part-*")):
            for content in store.foreign_parquet_batches(path, expression.columns, rows):
                yield PyArrowData.convert_table(content, expression.schema())

    def to_pyarrow(self, expr: ir.Expr, /, **_: object) -> Any:
        """The result as Arrow, in the types that the expression promises."""
        return expr.__pyarrow_result__(self._arrow(expr))

    def execute(self, expr: ir.Expr, /, **_: object) -> Any:
        """The result as pandas, as Ibis makes it of DuckDB's."""
        content = self._arrow(expr)
        columns = {
            name: column.to_pylist() if column.null_count else column.to_pandas()
            for name, column in zip(content.column_names, content.columns, strict=True)
        }
        schema = expr.as_table().schema()
        return expr.__pandas_result__(PandasData.convert_table(pd.DataFrame(columns), schema))

    def _arrow(self, expr: ir.Expr) -> pa.Table:
        table = expr.as_table()
        return PyArrowData.convert_table(self._rows(table).toArrow(), table.schema())

    def _rows(self, expr: ir.Table) -> DataFrame:
        self._run_pre_execute_hooks(expr)
        return self._session.sql(self.compile(expr))

    def _register_in_memory_table(self, op: ops.InMemoryTable) -> None:
        rows = op.data.to_pyarrow(op.schema)
        self._session.createDataFrame(rows).createOrReplaceTempView(op.name)


def _as_promised(rows: DataFrame, expression: ir.Table) -> DataFrame:
    """Columns in the types that Ibis derives: Spark's sums and differences have digits more."""
    return rows.select(
        *[
            sql.col(f"`{name}`").cast(Types.to_string(kind))
            for name, kind in expression.schema().items()
        ]
    )


@contextlib.contextmanager
def connected(timezone: str) -> Iterator[Backend]:
    """A session of its own in the business time zone; ConfigurationError: Java is not there."""
    Backend.register_options()
    backend = Backend()
    session = _spark().newSession()
    backend.do_connect(session)
    for name, value in (MEANING | {"spark.sql.session.timeZone": timezone}).items():
        session.conf.set(name, value)
    yield backend


@cache
def _spark() -> SparkSession:
    """The one Spark of this process; it ends with it."""
    home = os.environ.get("JAVA_HOME")
    if not shutil.which("java", path=str(Path(home) / "bin") if home else None):
        raise ConfigurationError(JAVA_MISSING)
    builder = SparkSession.builder.appName("lodestar")
    if not any(os.environ.get(name) for name in NAMED_BY):
        for name, value in ON_THIS_MACHINE.items():
            builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, OSError) as error:
        raise ConfigurationError(
            f"engine: pyspark, and Spark does not start: {error}. It needs Java 17 or newer, and "
            f"the cluster that {' or '.join(NAMED_BY)} names must answer."
        ) from None


def stop() -> None:
    """End the Spark of this process, if there is one."""
    if _spark.cache_info().currsize:
        _spark().stop()
        _spark.cache_clear()
