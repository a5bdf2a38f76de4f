"""A few requests over every call of the mesh: `meshctl up examples/gaming -- python examples/gaming/calls.py`.

Clients of gRPC and of WebSocket use their usual libraries: `pip install grpcio websockets`.
"""

import http.client
import json
import os
import socket
import time
from urllib.parse import urlsplit

import grpc
from websockets.sync.client import connect


def outbound(service: str) -> str:
    """Where the applications of a service find their own sidecar."""
    return urlsplit(os.environ[f"MESHCTL_{service.upper()}_OUTBOUND"]).netloc


def profile(caller: str, player: str) -> str:
    """The instance that keeps a player's profile."""
    connection = http.client.HTTPConnection(outbound(caller), timeout=10)
    connection.request("GET", "/", headers={"Host": "profile", "x-player": player})
    return str(json.loads(connection.getresponse().read())["instance"])


for caller in ("lobby", "matchmaking", "leaderboard"):
    kept = {
        player: {profile(caller, player) for _ in range(5)} for player in (f"player-{n}" for n in range(60))
    }
    alone = all(len(instances) == 1 for instances in kept.values())
    spread = len(set().union(*kept.values()))
    print(f"{caller:12} profile      60 players on {spread} instances, each always on the same: {alone}")

options = [("grpc.default_authority", "matchmaking")]
with grpc.insecure_channel(outbound("lobby"), options) as channel:
    join = channel.stream_stream("/game.Matches/Join", bytes, bytes)
    answers: list[bytes] = []
    deadline = time.monotonic() + 10
    while not answers:
        try:
            answers = list(join(iter([b"player-1", b"player-2"]), timeout=5))
        except grpc.RpcError:  # the first health checks came while everything was starting
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    print(
        f"lobby        matchmaking  {len(answers)} answers over gRPC: {', '.join(each.decode() for each in answers)}"
    )

host, _, port = outbound("lobby").partition(":")
with connect("ws://leaderboard/live", sock=socket.create_connection((host, int(port)))) as board:
    for score in ("player-1: 120", "player-2: 90"):
        board.send(score)
        print(f"lobby        leaderboard  heard live: {board.recv(decode=True)}")
