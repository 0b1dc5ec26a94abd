#!/bin/sh
# What others wait while one login fills the disk of the access log: 40 MB, mounted for it (as root). Not optimised unless
# PROFILE=release is given.
set -eu
cd "$(dirname "$0")/.."
exec cargo nextest run --locked ${PROFILE:+--cargo-profile "$PROFILE"} --test durable --run-ignored only --no-capture \
  others_while_a_login_fills_the_disk
