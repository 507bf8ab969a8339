//! Where and with which numbers the networks compute, and libtorch's start-up.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use tch::Kind;

/// What the user asked for: `auto`, `cpu`, `cuda` or `cuda:N,M,...`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// CUDA when it works on this machine, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPUs of these numbers, at least one, each once.
    Cuda(Vec<usize>),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(vec![0])),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|numbers| numbers.split(',').map(|number| number.parse().ok()).collect())
                .filter(|numbers: &Vec<usize>| {
                    (1..numbers.len()).all(|index| !numbers[..index].contains(&numbers[index]))
                })
                .map(Self::Cuda)
                .ok_or_else(|| {
                    format!(
                        "`{text}` is no device: auto, cpu, cuda, cuda:N or cuda:N,M,... (as \
                         cuda:0,1)"
                    )
                }),
        }
    }
}

/// Number format inside the detector, and inside the explained network where thousands of answers
/// are averaged (LIME-CAM's sets of channels, the changed pictures of an evaluation) or what is
/// rounded is a change alone (a channel missing in Ablation-CAM).
/// Else that network and everything after it compute in f32: they are a hundredth of the
/// arithmetic, and the maps come from differences that 8 bits of mantissa would coarsen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point: the reference.
    #[default]
    F32,
    /// bfloat16: 8 bits of mantissa, the range of f32.
    Bf16,
    /// IEEE half precision: 11 bits of mantissa; activations over 65,504 overflow.
    F16,
}

impl Precision {
    /// libtorch's name for it.
    pub fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
            Self::F16 => Kind::Half,
        }
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

/// NVIDIA's own variable for all of its libraries; it must be set before they are loaded.
const TF32: &str = "NVIDIA_TF32_OVERRIDE";

/// Loads libtorch's CUDA half when it is installed. Must come before anything asks libtorch about
/// devices, because the first answer is remembered.
fn load_cuda() {
    // cuDNN would compute f32 convolutions in TF32, with 11 bits of mantissa, unless told not to:
    // f32 means f32 here, and who wants speed asks for bf16. Somebody's own setting is left alone.
    if std::env::var_os(TF32).is_none() {
        // SAFETY: called before the first network is loaded, when no other thread of this process
        // reads the environment.
        unsafe { std::env::set_var(TF32, "0") };
    }
    #[cfg(unix)]
    {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        // SAFETY: the library's constructors register CUDA's kernels with libtorch, which is what
        // they are for.
        if let Ok(library) =
            unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) }
        {
            // Kept open for the life of the process: the kernels stay registered.
            std::mem::forget(library);
        }
    }
}

/// Tells the C library's allocator to keep large blocks that are freed, for the next activation of
/// that size, instead of handing them back to the system and getting new pages zeroed: that was 13
/// % of the detector's time on the CPU in f32 and 10 % in bf16 in batches of 4, and costs 0.15 GB
/// at the peak. Best called after the networks are loaded, whose large blocks should go back.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: documented parameters with documented values; mallopt takes the allocator's lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}

/// Makes all threads share the C library's main heap, the only one that [`keep_freed_memory`] works
/// on: the heaps that it gives threads of their own hand every large block back at once, which cost
/// a model thread 15 % of the detector's time. To be called before any thread is started.
pub fn share_one_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: a documented parameter with a documented value; mallopt takes the allocator's lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives threads heaps of their own again where `choice` is a GPU. There the large blocks lie on the
/// GPU, and threads that allocate little and often wait for each other at one heap: `analyze` did
/// 408 pictures a second with one and 494 with many (an H200, 16 cores). To be called before any
/// thread is started.
pub fn share_no_heap_on_gpu(choice: &DeviceChoice) {
    let gpu = match choice {
        DeviceChoice::Cpu => false,
        DeviceChoice::Cuda(_) => true,
        DeviceChoice::Auto => {
            load_cuda();
            tch::Cuda::is_available()
        }
    };
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if gpu {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // As many as without share_one_heap().
        let heaps = libc::c_int::try_from(8 * cores).unwrap_or(libc::c_int::MAX);
        // SAFETY: a documented parameter with a documented value; mallopt takes the allocator's
        // lock.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, heaps);
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = gpu;
}

/// Threads the networks use on the CPU: libtorch's own setting (`OMP_NUM_THREADS`, else the
/// machine's cores), at least two, because with one libtorch takes other, slower convolutions whose
/// last digits differ.
pub fn network_threads() -> i32 {
    tch::get_num_threads().max(2)
}

/// The one device for `choice`, as [`open_all`].
///
/// # Errors
/// As [`open_all`]; several GPUs were named.
pub fn open(choice: &DeviceChoice) -> Result<tch::Device> {
    match open_all(choice)?.as_slice() {
        [device] => Ok(*device),
        _ => Err(Error::Setting(
            "this command computes on one device: name one GPU, as `--device cuda:0`".into(),
        )),
    }
}

/// The devices for `choice`. Loads CUDA's half of libtorch unless the CPU was asked for: commands
/// without networks do not pay for it, a quarter of a second and more.
///
/// # Errors
/// A GPU was asked for by name and cannot be used; the message says what is missing.
pub fn open_all(choice: &DeviceChoice) -> Result<Vec<tch::Device>> {
    if *choice != DeviceChoice::Cpu {
        load_cuda();
    }
    let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
    match choice {
        DeviceChoice::Cpu => Ok(vec![tch::Device::Cpu]),
        DeviceChoice::Auto if tch::Cuda::is_available() => Ok(vec![tch::Device::Cuda(0)]),
        DeviceChoice::Auto => Ok(vec![tch::Device::Cpu]),
        DeviceChoice::Cuda(_) if count == 0 => Err(Error::Setting(
            "no usable GPU: either libtorch here is the CPU flavour (`scripts/setup --cuda` \
             installs the other), or the NVIDIA driver is missing or too old (`nvidia-smi` tells), \
             or CUDA_VISIBLE_DEVICES hides every device; `--device cpu` always works"
                .into(),
        )),
        DeviceChoice::Cuda(numbers) => match numbers.iter().find(|&&number| number >= count) {
            None => Ok(numbers.iter().map(|&number| tch::Device::Cuda(number)).collect()),
            Some(number) => Err(Error::Setting(format!(
                "there is no GPU {number}: this machine has {count}, numbered from 0 \
                 (CUDA_VISIBLE_DEVICES may hide others)"
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names() {
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(vec![0])));
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(vec![3])));
        assert_eq!("cuda:2,0".parse(), Ok(DeviceChoice::Cuda(vec![2, 0])));
        assert!(
            "cuda:1,1".parse::<DeviceChoice>().is_err() && "cuda:".parse::<DeviceChoice>().is_err()
        );
        assert!("cuda:x".parse::<DeviceChoice>().unwrap_err().contains("cuda:N"));
    }
}
