#!/bin/sh
# What meshctl does, in under a minute: `make demo`. Only Envoy is needed, which comes as a wheel.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say '$ meshctl validate examples/shop'
meshctl validate examples/shop

say '$ meshctl lint examples/shop'
meshctl lint examples/shop

say '$ meshctl build examples/shop -o build'
meshctl build examples/shop -o "$scratch/build" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
sed -n '/created/p' "$scratch/log"
echo 'One of the bundles:'
(cd "$scratch/build" && find catalog/127.0.20.20 -type f | sort | sed 's/^/  build\//')

say 'A colleague edits the shop: half of the traffic to the canary, and web may call payments.'
mkdir "$scratch/shop"
cp examples/shop/*.yaml "$scratch/shop"
(
    cd "$scratch"
    git init -q .
    git add shop
    git -c user.name=demo -c user.email=demo@localhost -c commit.gpgsign=false commit -q -m 'The shop'
    sed 's/weight: 90/weight: 50/; s/weight: 10}/weight: 50}/' shop/catalog.yaml >edited && mv edited shop/catalog.yaml
    sed 's/orders: {timeout: 4s}/&\n      payments: {}/' shop/edge.yaml >edited && mv edited shop/edge.yaml
)
say '$ meshctl diff'
(cd "$scratch" && meshctl diff --spec shop) || [ $? -eq 1 ]

say '$ meshctl up examples/shop -- python examples/shop/demo.py'
meshctl up examples/shop -- python examples/shop/demo.py

say 'That was real: twelve Envoys, and certificates of a CA that is gone already.'
echo 'Look around yourself with `meshctl up examples/shop`; read examples/shop to see what was asked for.'
