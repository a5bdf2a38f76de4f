"""The parts of the model in words."""

from __future__ import annotations

from fractions import Fraction

from meshctl import ir


def timeout(value: ir.Timeout) -> str:
    """With a word where it is the default, for a written timeout is kept exactly."""
    text = ir.duration_text(value.duration) if value.duration else "off"
    return text if value.written else f"{text} (default)"


def retries(policy: ir.RetryPolicy) -> str:
    """How often, and when."""
    if not policy.attempts:
        return "none"
    text = f"{policy.attempts} on {', '.join(each.value for each in policy.conditions)}"
    return text if policy.at is not None else f"{text} (default)"


def conditions(match: ir.RouteMatch) -> str:
    """All conditions of one match."""
    parts = ["/".join(match.methods)] if match.methods else []
    match match.path.kind:
        case ir.PathMatchKind.EXACT:
            parts.append(match.path.value)
        case ir.PathMatchKind.PREFIX:
            parts.append(f"{match.path.value.rstrip('/')}/…")
        case ir.PathMatchKind.REGEX:
            parts.append(f"~{match.path.value}")
    parts += [f"{each.name}: {each.value}" for each in match.headers]
    return " ".join(parts)


def cluster_label(service: str, cluster: str) -> str:
    """What to add to the name of an endpoint: the subset, or nothing."""
    subset = cluster.removeprefix(service).lstrip(".")
    return f" ({subset})" if subset else ""


def backends(service: str, route: ir.Route) -> dict[str, str]:
    """The share of each backend, subsets of ``service`` by their own name."""
    total = sum(each.weight for each in route.backends)
    return {
        each.cluster.removeprefix(f"{service}."): _percent(Fraction(each.weight, total))
        for each in route.backends
    }


def _percent(share: Fraction) -> str:
    hundredth = round(share * 10_000)
    text = f"{hundredth // 100}.{hundredth % 100:02}".rstrip("0").rstrip(".")
    # A share so small that it rounds to nothing, or so large that it rounds to all, must not read so.
    if not hundredth:
        text = "<0.01"
    elif hundredth == 10_000 and share < 1:
        text = ">99.99"
    return f"{text}%"
