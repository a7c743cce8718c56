#!/bin/sh
# Compares the service with the frameworks that people use instead: Fastify, Polka, Hono, Koa and
# Express, and FastAPI where Python 3 is there. Installs them into a temporary directory, without
# running their scripts, and prints a table for each Node.
#
#   sh test/bench/peers.sh [--instructions] [--same-fields] [--quick] [NODE...]
#
# NODE is the path of a Node; without one it is the Node in the PATH. --instructions counts with
# valgrind instead of timing. With --same-fields all but FastAPI send the header fields that the
# service adds.
set -eu
cd "$(dirname "$0")/../.."
flags=""
while [ "${1#--}" != "${1:-}" ]; do
  flags="$flags $1"
  shift
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

npm run --silent build
cp test/bench/peers/* "$scratch"
echo '{ "private": true, "type": "module" }' >"$scratch/package.json"
npm install --silent --ignore-scripts --prefix "$scratch" fastify@5 polka@0.5 hono@4 \
  @hono/node-server@1 koa@3 @koa/bodyparser@6 express@5
npm ls --prefix "$scratch" | tail -n +2
if command -v python3 >/dev/null && python3 -m venv "$scratch/python" 2>/dev/null; then
  "$scratch/python/bin/pip" install --quiet fastapi uvicorn || rm -r "$scratch/python"
fi

if [ $# = 0 ]; then set -- node; fi
for node in "$@"; do
  # shellcheck disable=SC2086 # The flags are words.
  "$node" dist/test/bench/peers.js "$scratch" $flags
done
