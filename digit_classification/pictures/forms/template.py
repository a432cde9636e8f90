r"""A form that returns: which fields it has, and the cells by which it is known again.

    fields:
      - name: total
        box: [0.62, 0.81, 0.2, 0.04]
        read: number
        constraint: '\d{1,3}'
    page:
      aspect: 0.7071
      cells:
        - [0.1, 0.12, 0.2, 0.04]

A file may be a stranger's: it is YAML of bounded size, without aliases, and nothing in it is run.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from digit_classification.errors import UserError
from digit_classification.names import LONGEST_FIELD, printable
from digit_classification.settings import check_constraint

MOST_FIELDS = 500  # each is a column of a view, of which MySQL has no more than fit into 64 KiB
MOST_CELLS = 1_000  # of the page, by which it is known again
FEWEST = 2  # cells
LARGEST = 2**18  # bytes of a file
MADE = re.compile(r"r\d+c\d+(-\d+)?")  # the names that `make_template` gives
EXAMPLE = "field"  # the one that `make_template` gives a page with marks, to be copied
HEAD = "# A form that returns, for the detector's --template."
_NAME = re.compile(r"\w(?:[\w .-]*\w)?")
_TAKEN = ("path", "page", "run_id")  # columns that stand beside the fields
_SHOWN = 60  # characters of a value in a message

_INSTRUCTIONS = f"""{HEAD}
#
# Rename the fields that you want, delete the others, and say what stands in each:
#   name        its column in tables and in the database
#   box         left, top, width, height, in shares of the page as it is seen in {{picture}}
#   read        number, or digit where one alone stands there
#   constraint  null, or in '' a regular expression that all of it fits: '\\d{{{{1,2}}}}|100'
# `page` is what the form is known again by: leave it as it is.
"""


class TemplateError(UserError):
    """A template cannot be used or made; the message is one sentence for the user."""


class _Part(BaseModel):
    # Built when a template is read: who reads digits should not wait for it.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


Box: TypeAlias = tuple[float, float, float, float]  # left, top, width, height, in shares of a page
Place: TypeAlias = tuple[float, float]  # across and down, likewise


class TemplateField(_Part):
    """A field: its name, where it is on the page, and what may stand there."""

    name: str = Field(max_length=LONGEST_FIELD)
    box: Box
    read: Literal["digit", "number"] = "number"
    constraint: str | None = Field(None, max_length=1_000)

    @field_validator("name")
    @classmethod
    def _is_a_column(cls, name: str) -> str:
        if not _NAME.fullmatch(name) or max(name) > "\uffff":
            raise ValueError("a name has letters, digits, _, and between them also spaces, - and .")
        if name.lower() in _TAKEN:
            raise ValueError("a column beside the fields is called so; choose another name")
        return name

    @field_validator("box")
    @classmethod
    def _is_on_the_page(cls, box: Box) -> Box:
        return _on_the_page(box)

    @field_validator("constraint")
    @classmethod
    def _is_compilable(cls, constraint: str | None) -> str | None:
        if constraint is not None:
            check_constraint(constraint)
        return constraint

    @property
    def pattern(self) -> str | None:
        """The regular expression that what is read fits as a whole; None if anything may stand."""
        if self.read == "number":
            return self.constraint
        return "[0-9]" if self.constraint is None else f"(?=[0-9]$)(?:{self.constraint})"


class TemplatePage(_Part):
    """What the form is known again by: the shape of its page, and its cells or its marks."""

    aspect: float = Field(ge=0.05, le=20)  # width by height
    cells: tuple[Box, ...] = Field((), max_length=MOST_CELLS)
    marks: tuple[Place, Place, Place, Place] | None = None  # clockwise from the top left

    @field_validator("cells")
    @classmethod
    def _are_on_the_page(cls, cells: tuple[Box, ...]) -> tuple[Box, ...]:
        return tuple(map(_on_the_page, cells))

    @field_validator("marks")
    @classmethod
    def _are_in_the_corners(cls, marks: tuple[Place, ...] | None) -> tuple[Place, ...] | None:
        if marks is not None:
            corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
            places = np.array(marks)
            if not ((places >= 0) & (places <= 1) & (np.abs(places - corners) < 0.5)).all():
                raise ValueError(
                    "a mark is near its corner of the page, in shares of it from 0 to 1: top left,"
                    " top right, bottom right, bottom left"
                )
        return marks

    @model_validator(mode="after")
    def _is_known_by_one(self) -> TemplatePage:
        if not (len(self.cells) >= FEWEST if self.marks is None else not self.cells):
            raise ValueError(f"a page has at least {FEWEST} cells, or four marks and no cells")
        return self

    @property
    def known_by(self) -> str:
        """What it is known again by, as a message counts it."""
        return f"{len(self.cells)} cells" if self.marks is None else "4 marks"


class Template(_Part):
    """A form that returns."""

    fields: tuple[TemplateField, ...] = Field(min_length=1, max_length=MOST_FIELDS)
    page: TemplatePage

    @field_validator("fields")
    @classmethod
    def _have_names_of_their_own(
        cls, fields: tuple[TemplateField, ...]
    ) -> tuple[TemplateField, ...]:
        seen: dict[str, str] = {}
        for field in fields:
            other = seen.setdefault(_folded(field.name), field.name)
            if other is not field.name:
                raise ValueError(
                    f"'{other}' and '{field.name}' are one name to a database; rename one of them"
                )
        return fields

    @model_validator(mode="after")
    def _lie_apart(self) -> Template:
        boxes = np.array([field.box for field in self.fields])
        ends = boxes[:, :2] + boxes[:, 2:]
        low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        shared = np.clip(np.minimum(ends[:, None], ends[None]) - low, 0, None).prod(axis=2)
        sizes = boxes[:, 2:].prod(axis=1)
        np.fill_diagonal(shared, 0)
        over = shared > 0.5 * np.minimum(sizes[:, None], sizes[None])
        if over.any():
            one, other = (self.fields[number].name for number in np.argwhere(over)[0])
            raise ValueError(f"the fields '{one}' and '{other}' lie on each other; move one away")
        return self

    @property
    def names(self) -> list[str]:
        """The names of the fields, in order."""
        return [field.name for field in self.fields]

    @property
    def recorded(self) -> dict[str, Any]:
        """What a run records of it: its names, and by what it is known again."""
        return {"sha256": self.sha256, "fields": self.names}

    @property
    def sha256(self) -> str:
        """Of what it says, however that is written: 64 hex digits."""
        # Without what templates did not have from the beginning, unless this one has it.
        unused = {"page": {"marks"}} if self.page.marks is None else None
        return hashlib.sha256(self.model_dump_json(exclude=unused).encode()).hexdigest()

    @property
    def is_as_made(self) -> bool:
        """Whether nobody has worked on its fields since `--make-template` wrote them."""
        if self.page.marks is not None:
            return [field.name for field in self.fields] == [EXAMPLE]
        return len(self.fields) == len(self.page.cells) and all(
            MADE.fullmatch(field.name) and field.read == "number" and field.constraint is None
            for field in self.fields
        )


def _on_the_page(box: Box) -> Box:
    left, top, width, height = box
    # A box at the page's very edge may stand out by what rounding makes of it.
    low, high = min(left, top), max(left + width, top + height)
    if not (low >= -0.01 and high <= 1.01):
        raise ValueError("a box is left, top, width and height, in shares of the page from 0 to 1")
    if not (width > 0 and height > 0):
        raise ValueError("a box has a width and a height above 0")
    return box


def _folded(name: str) -> str:
    """Return a name as databases compare those of columns: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))


# ------------------------------------------------------------------------------------- its file


class _Loader(yaml.SafeLoader):
    """Without aliases, which let a small file stand for a huge one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(None, None, "aliases are not read", event.start_mark)
        return super().compose_node(parent, index)


def read_template(path: Path) -> Template:
    """Read a template from its file.

    Raises TemplateError, which names the line, if it cannot be used.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise TemplateError(
            f"The template '{path}' cannot be read: {error.strerror}: check --template, or make"
            " one with --make-template."
        ) from None
    if len(content) > LARGEST:
        raise TemplateError(
            f"The template '{path}' is larger than {LARGEST:,} bytes: make one with"
            " --make-template."
        )
    try:
        text = content.decode()
        return Template.model_validate(yaml.load(text, _Loader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = error.problem or "bad syntax"
    except ValidationError as error:
        line, problem = _problem(text, error)
    except RecursionError:
        line, problem = 1, "it is nested too deeply"
    except (yaml.YAMLError, ValueError) as error:  # bytes that are no text, or a date that is none
        line, problem = 1, " ".join(str(error).split())[:_SHOWN]
    raise TemplateError(
        f"The template '{path}' cannot be used, line {line}: {problem}: correct it, or make one"
        " with --make-template."
    )


# Where pydantic's own words are for programmers.
_REASONS = {
    "extra_forbidden": "this is no part of a template",
    "missing": "it is missing",
    "string_type": "it should be text: put it in quotes",
    "finite_number": "it should be a number",
    "float_parsing": "it should be a number",
    "float_type": "it should be a number",
    "model_type": "it should hold keys and values",
    "tuple_type": "it should be a list",
}


def _problem(text: str, error: ValidationError) -> tuple[int, str]:
    """Return the line of what is wrong, from 1, and what that is."""
    first = error.errors(include_url=False)[0]
    place = first["loc"]
    node: Any = yaml.compose(text, _Loader)
    line, field = node.start_mark.line if node is not None else 0, ""
    for key in place:
        node = _part(node, key)
        if node is None:
            break
        line = node.start_mark.line
        if place[0] == "fields" and node.__class__ is yaml.MappingNode:
            field = next((k[1].value for k in node.value if k[0].value == "name"), "")
    message = first["msg"].removeprefix("Value error, ")
    reason = _REASONS.get(first["type"], message[:1].lower() + message[1:])
    name = place[-1] if place and isinstance(place[-1], str) else ".".join(map(str, place[-2:]))
    known = [f"field '{printable(str(field))}'"] if field and name != "name" else []
    value = first["input"]
    is_shown = isinstance(value, str | int | float) and first["type"] != "missing"
    shown = f"{name} = {printable(str(value))[:_SHOWN]}" if is_shown else str(name)
    return line + 1, ", ".join([*known, f"{shown}: {reason}" if shown else reason])


def _part(node: Any, key: str | int) -> Any:
    """Return what a YAML node has under a key, or at a place; None if it has none."""
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
        return node.value[key] if key < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    return None


def template_text(template: Template, picture: Path) -> str:
    """Return the text of a template's file, to be worked on by a person who has the picture."""
    lines = [_INSTRUCTIONS.format(picture=os.path.basename(picture)), "fields:"]
    for field in template.fields:
        lines += [
            f"  - name: {field.name}",
            f"    box: {_as_text(field.box)}",
            f"    read: {field.read}",
            "    constraint: null",
        ]
    page = template.page
    known = ("cells", page.cells) if page.marks is None else ("marks", page.marks)
    lines += ["", "page:", f"  aspect: {page.aspect}", f"  {known[0]}:"]
    lines += [f"    - {_as_text(each)}" for each in known[1]]
    return "\n".join(lines) + "\n"


def _as_text(shares: Box | Place) -> str:
    return "[" + ", ".join(f"{share:.5f}" for share in shares) + "]"


def is_as_made(path: Path) -> bool:
    """Whether a file is a template that nobody has worked on since it was made.

    Raises OSError if it cannot be read.
    """
    with open(path, "rb") as file:
        if file.read(len(HEAD)) != HEAD.encode():
            return False
    try:
        return read_template(path).is_as_made
    except TemplateError:
        return False
