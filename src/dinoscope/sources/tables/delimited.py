"""Tables of texts with commas, semicolons, tabs or bars between the columns, as people's programs write them."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from dinoscope.errors import SourceError
from dinoscope.sources.names import SUFFIXES
from dinoscope.sources.tables.columns import check_names

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CsvTable", "unreadable"]

_PREVIEW_ROWS = 20
_HEAD_BYTES = 1 << 16  # in which a line of column names ends
_DELIMITERS = (",", ";", "\t", "|")
_UTF8, _UTF16, _WINDOWS = "utf-8-sig", "utf-16", "cp1252"
_MISSING = ("", "nan", "NaN", "<NA>", "#N/A")  # what pandas, R and Excel write where there is no value
_EXPECTED = "CSV in UTF-8 with a line of column names"


class CsvTable:
    """A CSV or TSV file; every value is a text, and an empty one is none.

    The first line shows which of comma, semicolon, tab and bar separates the columns: the one that makes the
    most names, or the one in the "sep=;" that Excel reads. The text is UTF-8, UTF-16 with its mark, or else
    Windows-1252. Spaces around a value are not part of it. A short row lacks its last values. Where the first line
    names a file already, there is no line of column names.

    Attributes:
        notes: What was assumed.

    Raises:
        SourceError: It is no such file, or two columns have one name.
    """

    rows = None

    def __init__(self, file: pa.NativeFile, name: str) -> None:
        self.name, self._file = name, file
        self.notes: Sequence[str] = ()
        head = file.read_at(_HEAD_BYTES, 0)
        marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        self._encoding = _UTF16 if marked else _UTF8 if _is_utf8(head) else _WINDOWS
        lines = io.StringIO(head[: len(head) // 2 * 2 if marked else None].decode(self._encoding, "replace"))
        told = lines.readline().strip("\r\n")
        is_told = told.lower().startswith("sep=") and len(told) == len("sep=;")
        first = lines.read() if is_told else lines.getvalue()
        self._delimiter = (
            told[-1] if is_told else _usual_delimiter(first, "\t" if name.lower().endswith(".tsv") else ",")
        )
        reader = csv.reader(io.StringIO(first, newline=""), delimiter=self._delimiter, skipinitialspace=True)
        try:
            found = [each.strip() for each in next(filter(None, reader), ())]
        except csv.Error as error:
            raise unreadable(name, _EXPECTED, error) from None
        if any(each.lower().endswith(SUFFIXES) for each in found):
            self._names, self._skipped = _names_for(found), int(is_told)
            self.notes = (f"{name} has no line of column names: its columns are called {', '.join(self._names)}",)
        else:
            self._names = [each or f"column {number}" for number, each in enumerate(found, start=1)]
            self._skipped = int(is_told) + reader.line_num
        check_names(self._names, name)
        self._say_encoding()

    def preview(self) -> pa.Table:
        """See `Table.preview`."""
        return self._read(self._names).slice(0, _PREVIEW_ROWS)

    def columns(self, names: Sequence[str]) -> pa.Table:
        """See `Table.columns`."""
        return self._read(names)

    def bytes_read(self, column: str, row: int) -> int:
        """See `Table.bytes_read`."""
        return int(self._file.size())

    def value_size(self, column: str, row: int) -> None:
        """See `Table.value_size`: its values are paths."""

    def value(self, column: str, row: int) -> object:
        """See `Table.value`."""
        return self._read([column]).column(0)[row].as_py()

    def _read(self, names: Sequence[str]) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self._names:
            raise unreadable(self.name, _EXPECTED, ValueError("it is empty"))
        if not set(names) <= set(self._names):
            raise KeyError(names)
        try:
            try:
                read = self._read_quickly(names)
            except pa.ArrowInvalid as error:
                if "invalid UTF8" in str(error) and self._encoding == _UTF8:
                    self._take_windows()
                    return self._read(names)
                if "columns, got" not in str(error):
                    raise
                read = self._read_patiently(names)
        except (pa.ArrowException, OSError, ValueError, csv.Error) as error:
            raise unreadable(self.name, _EXPECTED, error) from None
        missing = pa.array(_MISSING)
        for place, column in enumerate(read.columns):
            trimmed = pc.utf8_trim_whitespace(column)
            known = pc.if_else(pc.is_in(trimmed, missing), pa.scalar(None, pa.string()), trimmed)
            read = read.set_column(place, read.column_names[place], known)
        return read

    def _read_quickly(self, names: Sequence[str]) -> pa.Table:
        import pyarrow as pa
        from pyarrow import csv as arrow

        encoding = "utf8" if self._encoding == _UTF8 else self._encoding
        return arrow.read_csv(
            self._file.get_stream(0, self._file.size()),
            read_options=arrow.ReadOptions(column_names=self._names, skip_rows=self._skipped, encoding=encoding),
            parse_options=arrow.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
            convert_options=arrow.ConvertOptions(
                column_types=dict.fromkeys(self._names, pa.string()),
                include_columns=list(names),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )

    def _read_patiently(self, names: Sequence[str]) -> pa.Table:
        """Read a table whose rows are not all of one length."""
        import pyarrow as pa

        held = self._file.read_at(self._file.size(), 0)
        try:
            text = held.decode(self._encoding)
        except UnicodeDecodeError:
            if self._encoding != _UTF8:
                raise
            self._take_windows()
            text = held.decode(self._encoding)
        lines = io.StringIO(text, newline="")
        for _ in range(self._skipped):
            lines.readline()
        rows: list[list[str]] = []
        for row in filter(None, csv.reader(lines, delimiter=self._delimiter, skipinitialspace=True)):
            if any(row[len(self._names) :]):
                raise ValueError(f"row {len(rows) + 1} has {len(row)} values, expected {len(self._names)}: {row}")
            rows.append(row[: len(self._names)])
        columns = list(zip_longest(*rows, fillvalue="")) or [()] * len(self._names)
        columns += [("",) * len(rows)] * (len(self._names) - len(columns))
        return pa.table({name: pa.array(columns[self._names.index(name)], pa.string()) for name in names})

    def _take_windows(self) -> None:
        """Read it as Windows-1252: no UTF-8 was found behind its head."""
        self._encoding = _WINDOWS
        self._say_encoding()

    def _say_encoding(self) -> None:
        if self._encoding == _WINDOWS:
            self.notes = (
                *self.notes,
                f"{self.name} is not in UTF-8: it is read as Windows-1252, as older programs write it; if accents look "
                "wrong, save it again as UTF-8, in Excel as 'CSV UTF-8'",
            )


def unreadable(name: str, expected: str, error: Exception) -> SourceError:
    """Return the error for a file that is not a table of the expected kind."""
    reason = " ".join(str(error).split())[:200]
    remedy = "; save it again as UTF-8, in Excel as 'CSV UTF-8'" if isinstance(error, UnicodeError) else ""
    return SourceError(f"{name} cannot be read as {expected}: {reason}{remedy}")


def _is_utf8(head: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head)  # a letter that is cut at the end is none yet
    except UnicodeDecodeError:
        return False
    return True


def _usual_delimiter(text: str, usual: str) -> str:
    def names(delimiter: str) -> int:
        try:
            return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), ()))
        except csv.Error:
            return 0

    return max((usual, *_DELIMITERS), key=names)


def _names_for(values: Sequence[str]) -> list[str]:
    """Return names of columns for a table that has none: a path, and where there is one more column, a label."""
    is_path = [value.lower().endswith(SUFFIXES) for value in values]
    if len(values) <= 2 and sum(is_path) == 1:
        return ["path" if each else "label" for each in is_path]
    return [f"column {number}" for number in range(1, len(values) + 1)]
