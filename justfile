# Shortcuts; each line works without `just` too.

# the sample shop, the proxy before it, and what to try
demo *ARGS:
    ./.ci/demo {{ARGS}}

# everything that must pass, with the set-up that it needs
test:
    ./.ci/run

# the quick part of it: no database
quick:
    cargo test --lib

lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

fmt:
    cargo fmt

# licences, advisories, bans
deny:
    cargo deny check

# the sample policies and their own tests
check:
    cargo run -- check --offline --policy policies/shop.toml

# the .deb and the static binary, in target/package
package *ARGS:
    ./deploy/package {{ARGS}}
