#[test]
fn bless() {
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md"), swath::spec::code::errors_page())
        .unwrap();
}
