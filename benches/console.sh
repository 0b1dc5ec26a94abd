#!/bin/sh
# What each page of the console takes at the server, over a generated log of RECORDS records (1,000,000 where it is not said). Not optimised
# unless PROFILE=release is given, or PGPURPOSE_TEST_PROGRAM names a program that was built before. PGPURPOSE_BENCH_LOG names a folder in
# which the generated log is kept for the next run (5 GB for ten million records while it is made, 0.6 GB then).
set -eu
cd "$(dirname "$0")/.."
exec cargo nextest run --locked ${PROFILE:+--cargo-profile "$PROFILE"} --test operate --run-ignored only --no-capture \
  -E 'test(pages_over_a_large_log) or test(an_inbox_that_is_full)'
