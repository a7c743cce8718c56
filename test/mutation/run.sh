#!/bin/sh
# Changes src/ in many small ways, one at a time, and runs the tests on each: those that belong to the
# file, then those of its folder, then the rest. Prints the score of each file, and each change that no
# test notices. Needs Node 22.18 or later, and hours; TypeScript 5.9, whose API finds the places, is
# installed into a temporary directory.
#
# usage: sh test/mutation/run.sh [--sample N] [--seed N] [--own] [--folder] [FILE…]
#   --sample N   only N changes of each file, chosen by the seed (1 without --seed)
#   --own        only the tests that belong to the file
#   --folder     only those, and the others of its folder
set -eu
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
npm install --silent --ignore-scripts --no-save --prefix "$scratch" typescript@5.9
node test/mutation/mutation.ts --scratch "$scratch" "$@"
