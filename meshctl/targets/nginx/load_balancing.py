"""Which endpoint of a cluster a request goes to.

The balancer is in Lua because NGINX's own cannot try a lone endpoint again, nor prefer an untried one when weights
differ. Turns alone are in ``mesh.lua``; where the policy, the levels or the health of endpoints count, it is
``load_balancing.lua`` that chooses, among those that ``peers.lua`` says may be asked.
"""

from __future__ import annotations

from typing import assert_never

from meshctl import ir
from meshctl.ir import HashKey, LoadBalancingPolicy
from meshctl.targets.nginx import outlier_detection, quoting
from meshctl.targets.nginx.model_policies import Watch
from meshctl.targets.nginx.quoting import Token, word


def watch(cluster: ir.Cluster) -> Watch | None:
    """None where endpoints take turns, whatever becomes of their tries."""
    policy = cluster.load_balancing.policy
    turns = policy is LoadBalancingPolicy.ROUND_ROBIN
    levels = any(each.priority for each in cluster.endpoints)
    if turns and not (levels or cluster.outlier_detection or cluster.health_check):
        return None
    return Watch(
        cluster=quoting.lua_string(cluster.name),
        balance=_balance(cluster.load_balancing),
        counted=policy is LoadBalancingPolicy.LEAST_REQUEST,
        checked=cluster.health_check is not None,
        ejection=outlier_detection.ejection(cluster.outlier_detection),
    )


def observed(cluster: ir.Cluster) -> bool:
    """Whether the beginning and the end of each try count."""
    least = cluster.load_balancing.policy is LoadBalancingPolicy.LEAST_REQUEST
    return least or cluster.outlier_detection is not None


def _balance(load_balancing: ir.LoadBalancing) -> Token:
    match load_balancing.policy:
        case LoadBalancingPolicy.ROUND_ROBIN:
            return Token("load_balancing.round_robin()")
        case LoadBalancingPolicy.LEAST_REQUEST:
            return Token("load_balancing.least_request()")
        case LoadBalancingPolicy.RANDOM:
            return Token("load_balancing.random()")
        case LoadBalancingPolicy.RING_HASH:
            return Token(f"load_balancing.ring_hash({_key(load_balancing.hash_on)})")
        case _ as never:
            assert_never(never)


def _key(hash_on: ir.HashOn | None) -> Token:
    if hash_on is None:
        raise ValueError("a ring without a key")
    match hash_on.key:
        case HashKey.HEADER:
            return Token(f"load_balancing.header({quoting.lua_string(hash_on.name)})")
        case HashKey.COOKIE:
            return Token(f"load_balancing.cookie({quoting.lua_string(hash_on.name)})")
        case HashKey.SOURCE_ADDRESS:
            return Token("load_balancing.source()")
        case _ as never:
            assert_never(never)


def stream_method(load_balancing: ir.LoadBalancing, *, levels: bool) -> Token | None:
    """The directive for streams; None where endpoints take turns.

    There is no ring, for a stream has no key. NGINX draws nothing where there are levels.
    """
    match load_balancing.policy:
        case LoadBalancingPolicy.LEAST_REQUEST:
            return word("least_conn")
        case LoadBalancingPolicy.RANDOM:
            return None if levels else word("random")
        case LoadBalancingPolicy.ROUND_ROBIN | LoadBalancingPolicy.RING_HASH:
            return None
        case _ as never:
            assert_never(never)
