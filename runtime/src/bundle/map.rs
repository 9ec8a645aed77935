//! Memory that nobody can change: on Linux a sealed memory file, mapped; elsewhere aligned memory.
//!
//! One of the three modules of the runtime that hold `unsafe`.

#[cfg(target_os = "linux")]
pub(super) use linux::Sealed;
#[cfg(not(target_os = "linux"))]
pub(super) use portable::Sealed;

#[cfg(target_os = "linux")]
mod linux {
    #![expect(unsafe_code, reason = "mapping a file is unsafe; the seals make it sound")]

    use std::fs::File;
    use std::io::{self, Read as _, Write as _};

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    /// A sealed copy.
    #[derive(Debug)]
    pub(in crate::bundle) struct Sealed(memmap2::Mmap);

    impl Sealed {
        /// Copies at most so many bytes of a file.
        pub(in crate::bundle) fn copy(file: File, max_bytes: u64) -> io::Result<Self> {
            let mut memory = Self::memory()?;
            let copied = io::copy(&mut file.take(max_bytes), &mut memory)?;
            Self::seal(memory, copied == 0)
        }

        pub(in crate::bundle) fn new(bytes: &[u8]) -> io::Result<Self> {
            let mut memory = Self::memory()?;
            memory.write_all(bytes)?;
            Self::seal(memory, bytes.is_empty())
        }

        fn memory() -> io::Result<File> {
            let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
            Ok(File::from(memfd_create("mxcp-bundle", flags)?))
        }

        fn seal(mut file: File, is_empty: bool) -> io::Result<Self> {
            // A map of no bytes is an error; the check of the header refuses this byte.
            if is_empty {
                file.write_all(&[0])?;
            }
            let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
            fcntl_add_seals(&file, seals)?;
            // SAFETY: the memory file has no name, and its seals forbid for good that anyone,
            // this process included, writes to it, shrinks it or grows it. So the mapped bytes
            // neither change nor go away while the map lives.
            let map = unsafe { memmap2::Mmap::map(&file)? };
            Ok(Self(map))
        }

        pub(in crate::bundle) fn bytes(&self) -> &[u8] {
            &self.0
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::fs::File;
    use std::io::{self, Read as _};

    use mxcp_schemas::bundle::container::AlignedBytes;

    /// A copy of our own, aligned.
    #[derive(Debug)]
    pub(in crate::bundle) struct Sealed(AlignedBytes);

    impl Sealed {
        pub(in crate::bundle) fn copy(file: File, max_bytes: u64) -> io::Result<Self> {
            let mut bytes = Vec::new();
            file.take(max_bytes).read_to_end(&mut bytes)?;
            Self::new(&bytes)
        }

        pub(in crate::bundle) fn new(bytes: &[u8]) -> io::Result<Self> {
            Ok(Self(AlignedBytes::copy(bytes)))
        }

        pub(in crate::bundle) fn bytes(&self) -> &[u8] {
            self.0.bytes()
        }
    }
}
