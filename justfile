# Everything a contributor does. `just` lists it.

_default:
    @just --list

# What a pull request must pass; the README's second command
test:
    scripts/test

# The tour: emulated company, first sync, changes
demo:
    cargo run -- demo

# Formatting, lints, documentation
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Rewrite the generated reference pages
bless:
    ENTRAIN_BLESS=1 cargo nextest run -p entrain reference

# Requests, time and memory of reading and planning, for 1k, 10k and 100k users
bench:
    cargo bench -p entrain --bench read_and_plan
    cargo bench -p entrain --bench sign_in

# Licences, advisories, doubles (needs cargo-deny)
deny:
    cargo deny check
