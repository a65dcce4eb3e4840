#!/usr/bin/env bash
# Install the Debian packages that some tests need: a browser that opens the report page, LaTeX that compiles its
# tables, SLURM that runs the jobs. Where that is not possible those tests are skipped, and say so. `make test` calls this.
set -euo pipefail
packages=(chromium texlive-latex-recommended slurm-wlm munge)
missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not root on Debian: the tests that need ${missing[*]} are skipped" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -qq --no-install-recommends "${missing[@]}"; } >/dev/null ||
    echo "apt-get failed: the tests that need ${missing[*]} are skipped" >&2
