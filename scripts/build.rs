//! Build script: lets the binary find libtorch without any environment variable.

fn main() {
    println!("cargo:rerun-if-changed=scripts/build.rs");
    // Set by torch-sys, which has checked that the folder exists.
    let libtorch = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys names libtorch's folder");
    // First where it was at build time; then beside a checkout that has been moved.
    for path in [libtorch.as_str(), "$ORIGIN/../../.libtorch/torch/lib", "$ORIGIN/../../../.libtorch/torch/lib"] {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{path}");
    }
}
