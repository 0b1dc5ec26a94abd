#!/bin/sh
# What each page of the console takes at the server, over a generated log of RECORDS records (1,000,000 where it is not said). Not optimised
# unless PROFILE=release is given.
set -eu
cd "$(dirname "$0")/.."
exec cargo nextest run --locked ${PROFILE:+--cargo-profile "$PROFILE"} --test operate --run-ignored only --no-capture \
  pages_over_a_large_log
