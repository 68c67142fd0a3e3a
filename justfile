# Recipes for people; CI runs `.ci/run`.

# The main job: build, then train on the breast-cancer data.
main: 
    cargo run --release -- -C examples/breast-cancer run train

# Everything that CI checks.
ci: fmt-check lint deny test

# The tests, as the README gives them.
test:
    cargo test --workspace --features failpoints

fmt:
    cargo fmt --all

fmt-check:
    cargo fmt --all --check

lint:
    cargo clippy --workspace --all-targets --features failpoints -- -D warnings

# Licences, duplicate and forbidden crates, and sources. Advisories need the network: `cargo deny check advisories`.
deny:
    cargo deny check licenses bans sources

# Timings against floors measured in the same run: a table in docs/benchmarks.md and JSON beside it.
bench *ARGS:
    cargo bench --bench liminal -- {{ARGS}}

# The tools that benchmarks stand beside, into target/peers: without them their comparisons are left out.
peers:
    .ci/peers

# The runner for functions and tasks, static: `just runner x86_64 arm64`; x86_64 when nothing is named.
runner *ARCHS:
    .ci/runner {{ARCHS}}

# The archive of a release: liminal, and the runners beside it.
dist:
    .ci/dist

# Writes the JSON Schemas again after a change of the document types.
schemas:
    LIMINAL_UPDATE_SCHEMAS=1 cargo test -p liminal-schemas json_schema

# Whole runs over simulated machines with seeded faults: `just sim SEEDS=20000`, or `just sim SEED=7` to see one again.
sim *SETTINGS:
    env CARGO_PROFILE_DEV_OPT_LEVEL=3 $(for setting in {{SETTINGS}}; do echo "LIMINAL_$setting"; done) cargo test --workspace --features failpoints --lib -- --nocapture simulated::tests::protocol

# Goes through every order of events of small runs, with more faults than the tests have time for.
model:
    LIMINAL_MODEL=large cargo test --workspace --features failpoints --lib -- --nocapture protocol::model

# Fuzzes each parser for so many seconds, from the seeds in tests/fuzz. Needs a nightly compiler and cargo-fuzz.
fuzz SECONDS="600":
    for target in $(cargo +nightly fuzz list --fuzz-dir tests/fuzz); do \
        mkdir -p target/fuzz-corpus/$target && \
        cargo +nightly fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz $target target/fuzz-corpus/$target tests/fuzz/seeds/$target -- -timeout=5 -rss_limit_mb=1024 -max_total_time={{SECONDS}} || exit 1; \
    done

# Accepts changed snapshots after looking at each.
snapshots:
    cargo insta review
