"""Many messages from one text and a table of people: a CSV file with a header row, one message a row."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from .errors import MessageError

__all__ = ["fill", "rows"]

#: What may stand between columns, by the preferences of spreadsheets in different countries.
_DELIMITERS = ",;\t"
# A name in braces; in double braces it stands for itself. Anything else in braces, such as a style sheet, is text.
_PLACEHOLDER = re.compile(r"\{\{(\w[\w .-]*)\}\}|\{(\w[\w .-]*)\}")


def fill(what: str, template: str, row: Mapping[str, str], *, markup: bool = False) -> str:
    """Return *template* with ``{column}`` replaced by the row's value, and ``{{column}}`` by ``{column}``.

    Args:
        what: which text it is, for the message of an error.
        template: the text.
        row: values by column.
        markup: the text is HTML: what has a meaning there is escaped in the values.

    Raises:
        MessageError: a column that the table does not have.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] is not None:
            return f"{{{found[1]}}}"
        if found[2] not in row:
            known = ", ".join(row)
            raise MessageError(
                f"{what} has the placeholder {{{found[2]}}}, but the table has no such column (it has {known}); "
                f"write {{{{{found[2]}}}}} for the text {{{found[2]}}}"
            )
        return html.escape(row[found[2]]) if markup else row[found[2]]

    return _PLACEHOLDER.sub(value, template)


def rows(path: str | Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a CSV file in UTF-8, row by row; columns are separated by comma, semicolon or tab.

    Returns:
        The number of each row's last line, and its values by column, without blanks around them.

    Raises:
        MessageError: no CSV, no column ``to``, or a row with more or fewer values than the header.
        OSError: it cannot be read.
    """
    # Spreadsheets put a byte order mark in front.
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        try:
            reader = csv.reader(file, delimiter=_delimiter(path, file), strict=True)
            columns = [name.strip() for name in next(reader)]
            for values in reader:
                if any(value.strip() for value in values):
                    yield reader.line_num, _row(path, reader.line_num, columns, values)
        except csv.Error as error:
            raise MessageError(f"{path}, line {reader.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise MessageError(f"{path} is not in UTF-8: save it as CSV UTF-8") from error


def _delimiter(path: str | Path, file: io.TextIOBase) -> str:
    """Return what makes a column ``to`` of the first line; the file stands at its beginning afterwards."""
    first = file.readline()
    file.seek(0)
    for delimiter in _DELIMITERS:
        columns = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        if "to" in columns:
            if len(set(columns)) < len(columns) or not all(columns):
                raise MessageError(f"the columns of {path} need names, and each its own: {', '.join(columns)}")
            return delimiter
    raise MessageError(f"{path} has no column called to: its first line must name the columns")


def _row(path: str | Path, line: int, columns: list[str], values: list[str]) -> dict[str, str]:
    if len(values) != len(columns):
        raise MessageError(f"{path}, line {line}: {len(values)} values for {len(columns)} columns")
    return dict(zip(columns, (value.strip() for value in values), strict=True))
