"""Source with one thing changed: a comparison, a condition, a number, a call, a statement."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "reversed": "list"}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True)
class Mutant:
    """A module with one change; ``text`` is its line, and what of it became what."""

    line: int
    text: str
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Every change of every place of a module, one at a time."""
    tree, lines = ast.parse(source), source.splitlines()
    parts = itertools.chain(_aliases(tree), *map(_no_logic, ast.walk(tree)))
    skipped = {id(each) for part in parts for each in ast.walk(part)}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in skipped:
            continue
        for change in _changes(node):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[number]
            _Replace(target, change).visit(changed)
            old, new = ast.unparse(node), ast.unparse(change)
            line: int = getattr(node.target if isinstance(node, ast.comprehension) else node, "lineno", 1)
            text = f"{lines[line - 1].strip()}: {old.splitlines()[0]} -> {new.splitlines()[0]}"
            yield Mutant(line, text, ast.fix_missing_locations(changed))


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, change: ast.AST) -> None:
        self._target = target
        self._change = copy.deepcopy(change)

    def visit(self, node: ast.AST) -> ast.AST:
        return self._change if node is self._target else super().generic_visit(node)


def _no_logic(node: ast.AST) -> Iterator[ast.AST]:
    """Types and decorators."""
    match node:
        case ast.AnnAssign(annotation=annotation) | ast.arg(annotation=ast.expr() as annotation):
            yield annotation
        case ast.FunctionDef(returns=ast.expr() as returns):
            yield returns
        case ast.ClassDef(decorator_list=decorators):
            yield from decorators
        case _:
            pass


def _aliases(tree: ast.Module) -> Iterator[ast.AST]:
    """Names of types."""
    for node in tree.body:
        match node:
            case ast.Assign(value=ast.Subscript() | ast.BinOp(op=ast.BitOr()) as alias):
                yield alias
            case _:
                pass


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.expr():
            yield from _of_expression(node)
        case ast.If(test=test, body=body, orelse=orelse):
            for value in (True, False):
                yield ast.If(ast.Constant(value), body, orelse)
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.While(body=body, orelse=orelse):
            yield ast.While(ast.Constant(value=False), body, orelse)
        case ast.Continue() | ast.Break():
            yield ast.Pass()
            yield ast.Break() if isinstance(node, ast.Continue) else ast.Continue()
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in OPERATORS:
            yield ast.AugAssign(target, OPERATORS[type(op)](), value)
            yield ast.Pass()
        case ast.comprehension(target=target, iter=iterated, ifs=[_, *_], is_async=is_async):
            yield ast.comprehension(target, iterated, [], is_async)
        case _:
            pass


def _of_expression(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare() | ast.BoolOp():
            yield from _of_condition(node)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.IfExp(body=body, orelse=orelse):
            yield body
            yield orelse
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in CALLS:
            kept = [] if CALLS[name] == "list" else keywords
            yield ast.Call(ast.Name(CALLS[name], ast.Load()), args, kept)
            for place in range(len(keywords)):
                yield ast.Call(node.func, args, keywords[:place] + keywords[place + 1 :])
        case _:
            pass


def _of_condition(node: ast.Compare | ast.BoolOp) -> Iterator[ast.expr]:
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            for other in COMPARISONS[type(op)]:
                ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                yield ast.Compare(node.left, ops, node.comparators)
        return
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    for place in range(len(node.values)):
        left = node.values[:place] + node.values[place + 1 :]
        yield ast.BoolOp(node.op, left) if len(left) > 1 else left[0]
