"""Every sentence of an error of ours, read from the source: `docs/reference/errors.md` lists them.

A message is an f-string in the code. Here it is a template: the same sentence with `…` for what differs from time to
time. Nothing is imported, so the libraries that an export needs are not needed to list its errors.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("sparkclin", "export", "pipelines", "evaluation")
BASE = "SparkclinError"
GAP = "…"
VALUES = {"printable_names"}
"""Functions that say what there is, within a sentence."""

LEAST_CONSTANT = 15
"""Characters of a sentence in a row that are always the same, so that it can be searched for."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What an error says. `sentences` has several where the code chooses between them, or lists problems."""

    kind: str
    place: str
    line: int
    sentences: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.sentences, *self.problems)


def constants_of(template: str) -> list[str]:
    """The parts of a template that have neither a gap nor a digit."""
    return [part.strip() for part in re.split(rf"{GAP}|\d+", template)]


def longest_constant(template: str) -> str:
    return max(constants_of(template), key=len)


def searchable(sentence: str, found: Sequence[Message]) -> bool:
    """Whether a part of it, of at least LEAST_CONSTANT characters, is found in this error alone: in no sentence but
    those that stand in for it, and those that are the same but for what differs."""
    mine = {text for message in found if sentence in message.all for text in message.all}
    same = re.compile(".*".join(map(re.escape, sentence.split(GAP))), flags=re.DOTALL)
    others = [text for message in found for text in message.all if text not in mine and not same.fullmatch(text)]
    return any(
        len(part) >= LEAST_CONSTANT and not any(part in other for other in others) for part in constants_of(sentence)
    )


def messages() -> list[Message]:
    """Of all errors of ours, in the order of the files."""
    modules = read_modules()
    return [message for module in modules.values() for message in Reader(module, modules).messages(kinds_of(modules))]


def kinds() -> dict[str, str]:
    """The classes of our errors: name -> what its docstring says."""
    return kinds_of(read_modules())


def read_modules() -> dict[str, Module]:
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {name_of(path): Module(path) for path in paths}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def kinds_of(modules: Mapping[str, Module]) -> dict[str, str]:
    classes = [node for module in modules.values() for node in module.tree.body if isinstance(node, ast.ClassDef)]
    found = {BASE: ""}
    while len(found) < len(found := found | _children(classes, found)):
        pass
    return found


def _children(classes: Sequence[ast.ClassDef], parents: Mapping[str, str]) -> dict[str, str]:
    return {
        node.name: " ".join((ast.get_docstring(node) or "").split())
        for node in classes
        if node.name in parents or any(isinstance(base, ast.Name) and base.id in parents for base in node.bases)
    }


@dataclass(frozen=True)
class Module:
    """A source file, parsed."""

    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """Names that are assigned at the top."""
        found: dict[str, ast.expr] = {}
        for node in self.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    found[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    found[name] = value
        return found

    @cached_property
    def imports(self) -> dict[str, str]:
        """Names that are imported from a module: name -> module."""
        return {
            alias.asname or alias.name: node.module
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """All, also those of classes, by name."""
        return {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)}

    @cached_property
    def function_of(self) -> dict[ast.AST, ast.FunctionDef]:
        """The innermost function that a node is in."""
        found: dict[ast.AST, ast.FunctionDef] = {}
        for function in ast.walk(self.tree):  # outer ones come first
            if isinstance(function, ast.FunctionDef):
                found |= {node: function for node in ast.walk(function) if node is not function}
        return found


@dataclass
class Reader:
    """Reads messages of a module; `modules` are those that it may import from."""

    module: Module
    modules: Mapping[str, Module]
    _open: list[ast.AST] = field(default_factory=list)
    """What is being looked into: a name may lead back to itself."""

    _bound: set[str] = field(default_factory=set)
    """Variables of the loops of a list of problems."""

    def messages(self, kinds: Mapping[str, str]) -> Iterator[Message]:
        for node in ast.walk(self.module.tree):
            match node:
                case ast.Call(func=ast.Name(id=kind), args=[message, *_]) if kind in kinds and not _is_another(message):
                    sentences = tuple(dict.fromkeys(self.templates(message)))
                    problems = tuple(dict.fromkeys(self.problems(message)))
                    yield Message(
                        kind=kind,
                        place=self.module.path.relative_to(ROOT).as_posix(),
                        line=node.lineno,
                        sentences=tuple(text for text in sentences if not problems or longest_constant(text)),
                        problems=problems,
                    )

    def templates(self, node: ast.expr) -> list[str]:
        """What an expression may say."""
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=values):
                return _joined([self.templates(value) for value in values])
            case ast.FormattedValue(value=value):
                return self.templates(value)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _joined([self.templates(left), self.templates(right)])
            case ast.IfExp(body=body, orelse=orelse):
                return [*self.templates(body), *self.templates(orelse)]
            case ast.Name(id=name):
                return self._of_name(node, name)
            case ast.Call(func=ast.Name(id=name)) if called := self._function(name):
                reader, function = called
                return reader.returned(function) or [GAP]
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[_, default]):
                match self.module.constants.get(name):
                    case ast.Dict(values=values):
                        return [text for value in [*values, default] for text in self.templates(value)]
        return [GAP]

    def _of_name(self, node: ast.Name, name: str) -> list[str]:
        """Of a constant of the module, or of one that it imports; of a variable of the function, what it is set to."""
        if name in self._bound:
            return [GAP]
        if function := self.module.function_of.get(node):
            values = [value for value in _values(function, name) if value not in self._open]
            if values:
                return [text for value in values for text in self._guarded(value)]
        home = self.modules.get(self.module.imports.get(name, ""), self.module)
        constant = home.constants.get(name)
        if constant is None or constant in self._open:
            return [GAP]
        found = Reader(home, self.modules, [*self._open, constant]).templates(constant)
        return found if all(len(text) > 1 for text in found) else [GAP]

    def _guarded(self, value: ast.expr) -> list[str]:
        self._open.append(value)
        try:
            return self.templates(value)
        finally:
            self._open.pop()

    def _function(self, name: str) -> tuple[Reader, ast.FunctionDef] | None:
        home = self.modules.get(self.module.imports.get(name, ""), self.module)
        function = home.functions.get(name)
        if function is None or function in self._open or name in VALUES:
            return None
        return Reader(home, self.modules, [*self._open, function]), function

    def returned(self, function: ast.FunctionDef) -> list[str]:
        """What a function returns, where it returns sentences."""
        values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
        found = [text for value in values for text in self.templates(value)]
        return found if any(len(longest_constant(text)) > LEAST_CONSTANT for text in found) else []

    def problems(self, message: ast.expr) -> Iterator[str]:
        """Sentences of the lists that a message joins, as in `"; ".join(problems)`, by itself or in a variable."""
        function = self.module.function_of.get(message)
        names = [node.id for node in ast.walk(message) if isinstance(node, ast.Name)]
        variables = [value for name in names for value in (_values(function, name) if function else [])]
        for node in (node for expression in (message, *variables) for node in ast.walk(expression)):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="join"), args=[listed]):
                    yield from (text for text in self.items(listed) if _says_something(text))

    def items(self, node: ast.expr) -> list[str]:
        """The sentences of an expression that is a list of them."""
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [text for element in elements for text in self._element(element)]
            case ast.ListComp(elt=element, generators=loops) | ast.GeneratorExp(elt=element, generators=loops):
                self._bound |= {
                    name.id for loop in loops for name in ast.walk(loop.target) if isinstance(name, ast.Name)
                }
                return [*self._element(element), *(text for loop in loops for text in self._strings(loop.iter))]
            case ast.IfExp(body=left, orelse=right) | ast.BinOp(left=left, right=right):
                return [*self.items(left), *self.items(right)]
            case ast.NamedExpr(value=value):
                return self.items(value)
            case ast.Name(id=name) if function := self.module.function_of.get(node):
                values = [value for value in _values(function, name, lists=True) if value not in self._open]
                self._open += values
                return [text for value in values for text in self.items(value)]
            case ast.Call(func=ast.Name(id="filter" | "list" | "sorted" | "map"), args=arguments):
                return [text for argument in arguments for text in self.items(argument)]
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if found := self._function(name):
                reader, function = found
                return [text for value in _given(function) for text in [*reader.items(value), *reader._sentence(value)]]
            case ast.Dict() | ast.DictComp():
                return self._strings(node)
        return []

    def _element(self, node: ast.expr) -> list[str]:
        return self.items(node.value) if isinstance(node, ast.Starred) else self.templates(node)

    def _sentence(self, node: ast.expr) -> list[str]:
        return self.templates(node) if isinstance(node, ast.JoinedStr | ast.Constant | ast.IfExp) else []

    def _strings(self, node: ast.expr) -> list[str]:
        """Those in a table that a list of problems is made of."""
        inner = [child for child in ast.walk(node) if isinstance(child, ast.JoinedStr)]
        within = {part for joined in inner for part in ast.walk(joined) if part is not joined}
        texts = [child for child in ast.walk(node) if isinstance(child, ast.JoinedStr | ast.Constant)]
        return [text for child in texts if child not in within for text in self.templates(child) if " " in text]


def _says_something(problem: str) -> bool:
    """Not only `… (the first: row …)`, around a text that is listed by itself."""
    return len(longest_constant(problem)) >= LEAST_CONSTANT and not problem.startswith(f"{GAP} (")


def _is_another(message: ast.expr) -> bool:
    """Whether an error of ours is said again, in `str(error)`."""
    calls = [node.func for node in ast.walk(message) if isinstance(node, ast.Call)]
    strings = [node for node in ast.walk(message) if isinstance(node, ast.JoinedStr)]
    return not strings and any(isinstance(called, ast.Name) and called.id == "str" for called in calls)


def _joined(parts: Sequence[Sequence[str]]) -> list[str]:
    """All ways to join one alternative of each part, with one gap where several meet."""
    return [re.sub(rf"(?:{GAP} ?)*{GAP}", GAP, "".join(chosen)) for chosen in product(*parts)]


def _values(function: ast.FunctionDef, name: str, *, lists: bool = False) -> list[ast.expr]:
    """What a variable of a function is set to; of a list, what is put into it too."""
    found: list[ast.expr] = []
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                found.append(value)
            case (
                ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value)
                | ast.NamedExpr(target=ast.Name(id=target), value=value)
                | ast.AugAssign(target=ast.Name(id=target), value=value)
            ) if target == name:
                found.append(value)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=target), attr="append"), args=[value]) if (
                lists and target == name
            ):
                found.append(ast.List(elts=[value]))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=target), attr="extend"), args=[value]) if (
                lists and target == name
            ):
                found.append(value)
    return found


def _given(function: ast.FunctionDef) -> list[ast.expr]:
    """What a function returns or yields."""
    nodes = ast.walk(function)
    return [node.value for node in nodes if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) and node.value]
