"""A condition such as ``width >= 1000 and format = 'JPEG'`` as a tree; nothing of it is ever executed.

condition:  test | not condition | condition and condition | condition or condition | (condition)
test:       NAME = VALUE, and != < <= > >=
            NAME [not] in (VALUE, VALUE, ...)     NAME [not] contains VALUE
            NAME is [not] missing                 NAME, of a column of yes and no
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from dinoscope.errors import InputError

__all__ = ["MARK", "And", "Name", "Node", "Not", "Or", "Test", "Value", "parse"]

MARK = ">>>"  # stands before the place that is wrong
_SHOWN = 50  # letters on each side of it
_MOST_LETTERS = 10_000
_MOST_DEPTH = 100  # brackets and nots within each other
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`)
      | (?P<sign><=|>=|!=|<>|==|=|<|>|\(|\)|,)
      | (?P<word>[^\s'"`<>=!(),]+)
    )""",
    re.VERBOSE,
)
_COMPARISONS = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_KEYWORDS = frozenset({"and", "or", "not", "in", "is", "contains", "missing"})


@dataclass(frozen=True)
class Name:
    """A column that a condition names, and the place of the letter where it does, counted from 0."""

    text: str
    at: int


@dataclass(frozen=True)
class Value:
    """What a column is compared with, and where that stands; a quoted one is a text for sure."""

    text: str
    at: int
    quoted: bool


@dataclass(frozen=True)
class Test:
    """One column, compared: by "=", "!=", "<", "<=", ">", ">=", "in", "contains", "missing", or "" for a bare name."""

    name: Name
    how: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Not:
    """The contrary."""

    inner: Node


@dataclass(frozen=True)
class And:
    """All of these."""

    inner: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    """One of these at least."""

    inner: tuple[Node, ...]


Node: TypeAlias = Test | Not | And | Or


@dataclass(frozen=True)
class _Token:
    kind: str  # quoted, sign, word or end
    text: str
    at: int

    @property
    def keyword(self) -> str:
        lowered = self.text.lower()
        return lowered if self.kind == "word" and lowered in _KEYWORDS else ""


def parse(text: str) -> Node:
    """Return the tree of a condition.

    Raises:
        InputError: It is none: the message shows the place.
    """
    if len(text) > _MOST_LETTERS:
        raise InputError(f"a condition has at most {_MOST_LETTERS:,} letters, got {len(text):,}")
    return _Parser(text).condition()


def refuse(text: str, at: int, reason: str) -> NoReturn:
    """Refuse a condition, and show the place that is wrong behind a mark.

    Raises:
        InputError: Always.
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    before, after = plain[max(0, at - _SHOWN) : at], plain[at : at + _SHOWN]
    raise InputError(f"{reason} (letter {at + 1}: {before}{MARK}{after})")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._place, self._depth = text, 0, 0
        self._tokens = self._split()

    def condition(self) -> Node:
        if self._now.kind == "end":
            self._wrong('the condition is empty: expected something like "width > 500"')
        found = self._any()
        if self._now.kind != "end":
            more = "; put a text with spaces in 'quotes'" if self._now.kind == "word" else ""
            self._wrong(f"expected 'and', 'or' or the end{more}")
        return found

    def _split(self) -> list[_Token]:
        tokens, at, end = [], 0, len(self._text.rstrip())
        while at < end:
            found = _TOKEN.match(self._text, at)
            if found is None:
                at += len(self._text[at:]) - len(self._text[at:].lstrip())
                reason = (
                    "this quotation mark has no end" if self._text[at] in "'\"`" else "this sign means nothing here"
                )
                refuse(self._text, at, reason)
            kind = found.lastgroup or ""
            tokens.append(_Token(kind, found[kind], found.start(kind)))
            at = found.end()
        return [*tokens, _Token("end", "", end)]

    @property
    def _now(self) -> _Token:
        return self._tokens[self._place]

    def _next(self) -> _Token:
        self._place += 1
        return self._tokens[self._place - 1]

    def _wrong(self, reason: str) -> NoReturn:
        refuse(self._text, self._now.at, reason)

    def _takes(self, *keywords: str) -> str:
        """Step over one of these words, if it is next."""
        return self._next().keyword if self._now.keyword in keywords else ""

    def _sign(self, sign: str) -> bool:
        if self._now.kind == "sign" and self._now.text == sign:
            self._place += 1
            return True
        return False

    def _any(self) -> Node:
        found = [self._all()]
        while self._takes("or"):
            found.append(self._all())
        return found[0] if len(found) == 1 else Or(tuple(found))

    def _all(self) -> Node:
        found = [self._one()]
        while self._takes("and"):
            found.append(self._one())
        return found[0] if len(found) == 1 else And(tuple(found))

    def _one(self) -> Node:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            self._wrong(f"brackets and nots are nested more than {_MOST_DEPTH} deep")
        found = self._inner()
        self._depth -= 1
        return found

    def _inner(self) -> Node:
        if self._takes("not"):
            return Not(self._one())
        if self._sign("("):
            found = self._any()
            if not self._sign(")"):
                self._wrong("expected 'and', 'or' or a closing bracket")
            return found
        return self._test()

    def _test(self) -> Node:
        token = self._now
        if token.kind in ("end", "sign") or token.keyword:
            self._wrong('expected the name of a column; put one with spaces in "double quotes"')
        self._place += 1
        name = Name(_unquoted(token), token.at)
        if self._now.kind == "sign" and self._now.text in _COMPARISONS:
            return Test(name, _COMPARISONS[self._next().text], (self._value(),))
        if self._takes("is"):
            is_not = self._takes("not")
            if not self._takes("missing"):
                self._wrong("expected 'missing', as in \"camera is missing\"")
            found = Test(name, "missing")
            return Not(found) if is_not else found
        if token.kind == "word" and self._now.kind == "word" and not self._now.keyword:
            self._wrong('expected a comparison such as = or >; put a name with spaces in "double quotes"')
        is_not = self._takes("not")
        how = self._takes("in", "contains")
        if is_not and not how:
            self._wrong("expected 'in' or 'contains'")
        if not how:
            return Test(name, "")
        test = Test(name, how, self._values() if how == "in" else (self._value(),))
        return Not(test) if is_not else test

    def _values(self) -> tuple[Value, ...]:
        if not self._sign("("):
            self._wrong("expected an opening bracket, as in \"label in ('a', 'b')\"")
        found = [self._value()]
        while self._sign(","):
            found.append(self._value())
        if not self._sign(")"):
            self._wrong("expected a comma or a closing bracket")
        return tuple(found)

    def _value(self) -> Value:
        token = self._now
        if token.kind in ("end", "sign") or (token.keyword and token.keyword != "missing"):
            self._wrong("expected a value: a number, a date such as 2024-05-17, or a text in 'quotes'")
        self._place += 1
        return Value(_unquoted(token), token.at, token.kind == "quoted")


def _unquoted(token: _Token) -> str:
    if token.kind != "quoted":
        return token.text
    mark = token.text[0]
    return token.text[1:-1].replace(mark * 2, mark) if mark != "`" else token.text[1:-1]
