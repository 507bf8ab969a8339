//! What both networks stand on: device and precision, libtorch's start-up, weights readers, layers,
//! batches of pixels.
//!
//! Knows nothing of emotions, boxes or classes.

mod device;
mod layers;
mod nonlinearity;
pub mod script;
pub mod weights;

pub use device::{
    DeviceChoice, Precision, keep_freed_memory, network_threads, open, open_all,
    share_no_heap_on_gpu, share_one_heap,
};
pub use layers::{Graph, Layer, forward, forward_kept};
pub use nonlinearity::Nonlinearity;

use crate::image::{Rgb8, Size};
use tch::{Device, Kind, TchError, Tensor};

/// Pictures of one size as one `u8` tensor on `device`: logically (N, 3, height, width), values
/// 0..255, RGB; in memory channels-last, which is how the pixels lie anyway.
///
/// # Errors
/// libtorch is out of memory.
///
/// # Panics
/// When a picture has another size, or there is none: a mistake of the caller.
pub fn stack(pictures: &[&Rgb8], size: Size, device: Device) -> Result<Tensor, TchError> {
    assert!(!pictures.is_empty(), "a batch has pictures");
    let shape = [pictures.len() as i64, i64::from(size.height), i64::from(size.width), 3];
    let pixels = Tensor::f_zeros(shape, (Kind::Uint8, Device::Cpu))?;
    let bytes = 3 * size.area();
    // SAFETY: the tensor is contiguous, has just this many bytes, and nobody else knows of it.
    let memory = unsafe {
        std::slice::from_raw_parts_mut(pixels.data_ptr().cast::<u8>(), pictures.len() * bytes)
    };
    for (place, picture) in memory.chunks_exact_mut(bytes).zip(pictures) {
        assert_eq!(picture.size(), size, "pictures of a batch have one size");
        place.copy_from_slice(picture.data());
    }
    let pixels = match device {
        // From pinned memory the copy needs neither this thread nor a stop of the GPU.
        // (`f_pin_memory` would warn on stderr that its device, which tch must name, is
        // deprecated.)
        Device::Cuda(_) => {
            pixels.f_internal_pin_memory(device)?.f_to_device_(device, Kind::Uint8, true, false)?
        }
        _ => pixels.f_to_device(device)?,
    };
    pixels.f_permute([0, 3, 1, 2])
}
