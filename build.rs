//! Compiles the API's protos without a `protoc` on the machine, and keeps their descriptors for reflection.

use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // A runner is started for every trial: fixed addresses save it the relocation of tens of thousands of pointers.
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
    let files = ["types", "sweep", "trial", "agent", "admin"].map(|name| format!("swath/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("swath.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
