//! The unsafe corner of tensors: mapped files, and bytes seen as elements.
#![allow(unsafe_code)]
use super::Element;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

/// Where files are mapped now: first byte and one past the last.
static MAPS: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

/// A mapped file, registered as long as it lives.
struct Map(memmap2::Mmap);

impl Map {
    fn new(map: memmap2::Mmap) -> Map {
        let start = map.as_ptr() as usize;
        maps().insert(start, start + map.len());
        Map(map)
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        maps().remove(&(self.0.as_ptr() as usize));
    }
}

fn maps() -> std::sync::MutexGuard<'static, BTreeMap<usize, usize>> {
    MAPS.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The bytes of a file, mapped.
///
/// The file must not be changed while it is in use; compilers and linkers rely on the same.
pub fn map(path: &Path) -> std::io::Result<Bytes> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the map is read-only and private; see above for files that change.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok(Bytes::from_owner(Map::new(map)))
}

/// Tells the system that the pages of these bytes are not needed for now, so that resident memory stays low: they are
/// read again when they are looked at. Does nothing for bytes that are not of a mapped file.
pub fn release(bytes: &Bytes) {
    const PAGE: usize = 4096;
    let (first, last) = (
        bytes.as_ptr() as usize,
        bytes.as_ptr() as usize + bytes.len(),
    );
    let (start, end) = (first.div_ceil(PAGE) * PAGE, last / PAGE * PAGE);
    let maps = maps();
    let mapped = maps
        .range(..=first)
        .next_back()
        .is_some_and(|(_, end)| last <= *end);
    if !mapped || end <= start {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        unsafe extern "C" {
            fn madvise(addr: *mut std::ffi::c_void, length: usize, advice: i32) -> i32;
        }
        // SAFETY: the whole pages lie inside a private read-only file mapping, which `bytes` keeps alive during this
        // call; MADV_DONTNEED (4) only drops them, and the next read maps them again.
        unsafe { madvise(start as *mut std::ffi::c_void, end - start, 4) };
    }
}

/// The bytes of a vector of elements, without copying.
pub(super) fn owned_bytes<T: Element>(values: Vec<T>) -> Bytes {
    struct Owner<T>(Vec<T>);
    impl<T> AsRef<[u8]> for Owner<T> {
        fn as_ref(&self) -> &[u8] {
            // SAFETY: elements are plain numbers (or bools) without padding; the length in bytes is that of the vector.
            unsafe {
                std::slice::from_raw_parts(
                    self.0.as_ptr().cast(),
                    std::mem::size_of_val(&self.0[..]),
                )
            }
        }
    }
    // SAFETY: a vector of plain numbers can move between threads.
    unsafe impl<T> Send for Owner<T> {}
    if cfg!(target_endian = "little") {
        return Bytes::from_owner(Owner(values));
    }
    let mut bytes = Vec::with_capacity(std::mem::size_of_val(&values[..]));
    values.into_iter().for_each(|v| v.write(&mut bytes));
    bytes.into()
}

/// Bytes as elements where they are aligned and of the machine's byte order (never for `bool`, whose bytes may be any).
pub(super) fn aligned<T: Element>(bytes: &[u8]) -> Option<&[T]> {
    let size = std::mem::size_of::<T>();
    let fits = bytes.as_ptr().align_offset(std::mem::align_of::<T>()) == 0
        && bytes.len().is_multiple_of(size);
    if !fits || cfg!(target_endian = "big") || T::DTYPE == super::DType::Bool {
        return None;
    }
    // SAFETY: aligned, of whole elements, and every bit pattern is a value of the number types.
    Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size) })
}
