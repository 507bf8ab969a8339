//! Build script: lets the binary find libtorch without any environment variable.

fn main() {
    println!("cargo:rerun-if-changed=scripts/build.rs");
    // Set by torch-sys, which is named in Cargo.toml for this alone.
    let libtorch =
        std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys names libtorch's folder");
    let beside = if cfg!(target_os = "macos") { "@loader_path" } else { "$ORIGIN" };
    // First in the folder that scripts/package makes; then where it was at build time; then, in a
    // checkout that has been moved, as seen from target/release and from target/debug/deps.
    let folders = [
        format!("{beside}/libtorch/torch/lib"),
        libtorch,
        format!("{beside}/../../.libtorch/torch/lib"),
        format!("{beside}/../../../.libtorch/torch/lib"),
    ];
    // `-Wl,-rpath,FOLDER` would cut a folder at its commas.
    for argument in folders.iter().flat_map(|folder| ["-rpath", folder]) {
        println!("cargo:rustc-link-arg=-Xlinker");
        println!("cargo:rustc-link-arg={argument}");
    }
}
