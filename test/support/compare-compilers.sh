#!/bin/sh
# Compiles src/ and test/ with TypeScript 5.9, 6.0 and the installed 7.0 (npm ci), and compares
# every byte, and the archives that npm pack makes of them: where three compilers agree, no single
# one needs to be trusted. 5.9 and 6.0 are of JavaScript, 7.0 is another program, in Go. Installs 5.9
# and 6.0 into a temporary directory, without running their scripts.
set -eu
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Prints the SHA-256 of the archive of what stands in a directory.
archive() {
  mkdir -p "$scratch/package/dist"
  cp package.json README.md .env.example "$scratch/package"
  cp -r "$1/src" "$scratch/package/dist/src"
  cp src/docs/*.js src/docs/*.css src/docs/*.svg src/docs/openapi.json "$scratch/package/dist/src/docs"
  (cd "$scratch/package" && npm pack --silent --ignore-scripts --pack-destination "$scratch" >"$scratch/name")
  rm -r "$scratch/package"
  sha256sum <"$scratch/$(cat "$scratch/name")"
}

node_modules/.bin/tsc --version
node_modules/.bin/tsc --outDir "$scratch/installed"
packed=$(archive "$scratch/installed")
for version in 5.9 6.0; do
  npm install --silent --ignore-scripts --no-save --prefix "$scratch/$version" "typescript@$version"
  "$scratch/$version/node_modules/.bin/tsc" --version
  "$scratch/$version/node_modules/.bin/tsc" --outDir "$scratch/other"
  diff -r "$scratch/installed" "$scratch/other"
  [ "$(archive "$scratch/other")" = "$packed" ]
  rm -r "$scratch/other"
done
echo "$(find "$scratch/installed" -type f | wc -l) files: the same bytes from all three compilers, and the archive ${packed%% *}"
