//! Why a bundle cannot be opened or written.

use super::{FORMAT_VERSION, MAX_BUNDLE_BYTES};

/// Why bytes are not a bundle that may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The magic is missing.
    #[error("this is not an mxcp bundle: it does not begin with `MXCPBNDL`")]
    NotABundle,
    /// Another format.
    #[error(
        "the bundle has format {found} and this runtime reads format {FORMAT_VERSION}; build it with the `mxcp` of the same release"
    )]
    Format {
        /// the version found
        found: u32,
    },
    /// The bundle wants a newer runtime.
    #[error("the bundle needs mxcp-runtime {0}.{1}.{2} or later")]
    RuntimeTooOld(u16, u16, u16),
    /// The archives hold types of another release.
    #[error(
        "the bundle was written by another release of the compiler (schema hash differs); build it again"
    )]
    Schema,
    /// The file is shorter or longer than it says.
    #[error(
        "the bundle says that it has {expected} bytes and has {found}: it was cut off or something was added"
    )]
    Length {
        /// as the header says
        expected: u64,
        /// as it is
        found: u64,
    },
    /// The file is larger than [`MAX_BUNDLE_BYTES`].
    #[error("the bundle has {0} bytes; at most {MAX_BUNDLE_BYTES} are read")]
    TooLarge(u64),
    /// Header or table break a rule.
    #[error("the bundle's {part} is damaged: {problem}")]
    Layout {
        /// which part
        part: &'static str,
        /// what is wrong
        problem: &'static str,
    },
    /// The digest does not match.
    #[error("the bundle's digest does not match its content: the file was damaged or changed")]
    Digest,
    /// There is a signature and it is wrong.
    #[error("the bundle's signature is not valid for its content")]
    Signature,
    /// A key is trusted and the bundle is unsigned.
    #[error(
        "the bundle is not signed, and a public key is configured: sign it with `mxcp build --sign KEY`"
    )]
    Unsigned,
    /// A key is trusted and another one signed.
    #[error("the bundle is signed by a key that is not the configured one")]
    UntrustedKey,
    /// An archive is not valid.
    #[error("the bundle's {section} section is damaged: {problem}")]
    Archive {
        /// which section
        section: &'static str,
        /// what is wrong
        problem: String,
    },
}

/// Why a bundle could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Too much in it.
    #[error("the bundle would have {0} bytes; at most {MAX_BUNDLE_BYTES} are allowed")]
    TooLarge(u64),
    /// rkyv could not write an archive.
    #[error("section {section} could not be written: {problem}")]
    Archive {
        /// which section
        section: &'static str,
        /// what is wrong
        problem: String,
    },
}
