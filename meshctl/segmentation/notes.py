"""What rules leave open, in the words that stand above them."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir.segmentation import ANYWHERE, Perimeter


def notes(perimeter: Perimeter, *, pods: bool = False) -> Iterator[str]:
    """One sentence each, without a full stop. With ``pods`` those that a cluster knows are no matter of addresses."""
    for each in perimeter.destinations:
        known = pods and each.workload is not None and each.workload.pods
        if each.looked_up and not known and set(each.networks) & set(ANYWHERE):
            port = f"port {each.port}" if each.port else "every port"
            yield (
                f"the addresses of {each.name} are known only when they are looked up, so the sidecar may "
                f"reach {port} of any; --within {each.name}=NETWORK narrows it"
            )
    yield from perimeter.notes
