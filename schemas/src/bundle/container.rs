//! The file around the archives: header, section table, sections.
//!
//! ```text
//! offset  bytes
//!      0      8  magic `MXCPBNDL`
//!      8      4  format version
//!     12      4  flags, zero
//!     16      6  minimum runtime version: major, minor, patch, two bytes each
//!     22      2  reserved, zero
//!     24      4  number of sections
//!     28      4  reserved, zero
//!     32      8  length of the file
//!     40      8  build number
//!     48     32  schema hash: which types the archives hold
//!     80     32  BLAKE3 of every byte of the file but these and the signature block
//!    112     32  Ed25519 public key    ┐ signature block,
//!    144     64  Ed25519 signature     ┘ zero when unsigned
//!    208     48  reserved, zero
//!    256   24×n  section table: id (4), reserved (4), offset (8), length (8)
//!                sections in the order of their ids, each at a multiple of 16, zeros between
//! ```
//! All numbers are little-endian. Whoever opens a bundle checks, in this order: bounds, digest,
//! signature, the archives. Nothing is believed before it was checked.

mod error;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::definition::{ArchivedEndpoints, ArchivedPredicates, ArchivedTypes};
use super::definition::{Endpoints, Predicates, Types};
use super::manifest::{ArchivedManifest, Manifest};
use super::source::{ArchivedSources, Sources};

pub use error::{OpenError, SealError};

/// The first eight bytes of every bundle.
pub const MAGIC: [u8; 8] = *b"MXCPBNDL";
/// The layout of header and table.
pub const FORMAT_VERSION: u32 = 1;
/// The largest bundle that is opened.
pub const MAX_BUNDLE_BYTES: u64 = 1 << 30;
/// Alignment of the sections.
pub const SECTION_ALIGN_BYTES: usize = 16;

const HEADER_BYTES: usize = 256;
const SECTION_COUNT: u32 = 5;
const ENTRY_BYTES: usize = 24;
const DIGEST: std::ops::Range<usize> = 80..112;
const PUBLIC_KEY: std::ops::Range<usize> = 112..144;
const SIGNATURE: std::ops::Range<usize> = 144..208;
const MINIMUM_RUNTIME: [u16; 3] = [0, 1, 0];
const SIGNATURE_DOMAIN: &[u8] = b"mxcp bundle signature v1\0";

/// Everything that a bundle holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// what it says of itself
    pub manifest: Manifest,
    /// declared types
    pub types: Types,
    /// endpoints
    pub endpoints: Endpoints,
    /// conditions and plans
    pub predicates: Predicates,
    /// texts for readers
    pub sources: Sources,
}

/// A section of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Section {
    /// [`Manifest`]
    Manifest = 1,
    /// [`Types`]
    Types = 2,
    /// [`Endpoints`]
    Endpoints = 3,
    /// [`Predicates`]
    Predicates = 4,
    /// [`Sources`]
    Sources = 5,
}

impl Section {
    /// All sections, in file order.
    pub const ALL: [Self; SECTION_COUNT as usize] =
        [Self::Manifest, Self::Types, Self::Endpoints, Self::Predicates, Self::Sources];

    /// What errors and `inspect` call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Types => "types",
            Self::Endpoints => "endpoints",
            Self::Predicates => "predicates",
            Self::Sources => "sources",
        }
    }
}

/// Writes a bundle. The same bundle, number and key give the same bytes.
///
/// # Errors
/// When the bundle is too large.
pub fn seal(
    bundle: &Bundle,
    build_number: u64,
    key: Option<&SigningKey>,
) -> Result<Vec<u8>, SealError> {
    let sections = [
        archive(Section::Manifest, &bundle.manifest)?,
        archive(Section::Types, &bundle.types)?,
        archive(Section::Endpoints, &bundle.endpoints)?,
        archive(Section::Predicates, &bundle.predicates)?,
        archive(Section::Sources, &bundle.sources)?,
    ];
    let mut table = Vec::with_capacity(ENTRY_BYTES * sections.len());
    let mut body = Vec::new();
    let start = HEADER_BYTES + ENTRY_BYTES * sections.len();
    for (section, bytes) in Section::ALL.iter().zip(&sections) {
        let padding = (start + body.len()).next_multiple_of(SECTION_ALIGN_BYTES) - start;
        body.resize(padding, 0);
        table.extend_from_slice(&(*section as u32).to_le_bytes());
        table.extend_from_slice(&[0; 4]);
        table.extend_from_slice(&((start + body.len()) as u64).to_le_bytes());
        table.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        body.extend_from_slice(bytes);
    }
    let total = (start + body.len()) as u64;
    if total > MAX_BUNDLE_BYTES {
        return Err(SealError::TooLarge(total));
    }
    let mut before = Vec::with_capacity(DIGEST.start);
    before.extend_from_slice(&MAGIC);
    before.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    before.extend_from_slice(&[0; 4]);
    for part in MINIMUM_RUNTIME {
        before.extend_from_slice(&part.to_le_bytes());
    }
    before.extend_from_slice(&[0; 2]);
    before.extend_from_slice(&SECTION_COUNT.to_le_bytes());
    before.extend_from_slice(&[0; 4]);
    before.extend_from_slice(&total.to_le_bytes());
    before.extend_from_slice(&build_number.to_le_bytes());
    before.extend_from_slice(&schema_hash());

    let reserved = [0; HEADER_BYTES - SIGNATURE.end];
    let digest = digest_of(&[&before, &reserved, &table, &body]);
    let (public, signature) = match key {
        Some(key) => (key.verifying_key().to_bytes(), key.sign(&signed_text(&digest)).to_bytes()),
        None => ([0; 32], [0; 64]),
    };
    let parts: [&[u8]; 7] = [&before, &digest, &public, &signature, &reserved, &table, &body];
    Ok(parts.concat())
}

fn archive<T>(section: Section, value: &T) -> Result<Vec<u8>, SealError>
where
    T: for<'a> rkyv::Serialize<
            rkyv::api::high::HighSerializer<
                rkyv::util::AlignedVec,
                rkyv::ser::allocator::ArenaHandle<'a>,
                rkyv::rancor::Error,
            >,
        >,
{
    rkyv::to_bytes::<rkyv::rancor::Error>(value)
        .map(|bytes| bytes.to_vec())
        .map_err(|e| SealError::Archive { section: section.name(), problem: e.to_string() })
}

/// A copy of bytes at an address that archives can be read from.
#[derive(Debug, Clone)]
pub struct AlignedBytes(rkyv::util::AlignedVec<SECTION_ALIGN_BYTES>);

impl AlignedBytes {
    /// Copies the bytes.
    pub fn copy(bytes: &[u8]) -> Self {
        let mut aligned = rkyv::util::AlignedVec::with_capacity(bytes.len());
        aligned.extend_from_slice(bytes);
        Self(aligned)
    }

    /// The copy.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What the header of an opened bundle said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// build number, zero when none was given
    pub build_number: u64,
    /// digest of the content; names the bundle
    pub digest: [u8; 32],
    /// who signed it
    pub signer: Option<[u8; 32]>,
}

impl Header {
    /// The digest in hexadecimal.
    pub fn digest_hex(&self) -> String {
        use std::fmt::Write as _;
        self.digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// A bundle whose bounds, digest, signature and archives were checked.
#[derive(Clone, Copy)]
pub struct Opened<'b> {
    /// what the header said
    pub header: Header,
    /// what it says of itself
    pub manifest: &'b ArchivedManifest,
    /// declared types
    pub types: &'b ArchivedTypes,
    /// endpoints
    pub endpoints: &'b ArchivedEndpoints,
    /// conditions and plans; their code is verified where it is linked
    pub predicates: &'b ArchivedPredicates,
    /// texts for readers
    pub sources: &'b ArchivedSources,
}

impl std::fmt::Debug for Opened<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Checks bytes and gives access to what they hold. `bytes` must be aligned to 16.
///
/// With a `trusted` key an unsigned bundle, or one that another key signed, is refused.
///
/// # Errors
/// The first rule that the bytes break.
pub fn open<'b>(bytes: &'b [u8], trusted: Option<&[u8; 32]>) -> Result<Opened<'b>, OpenError> {
    let raw = Raw::read(bytes)?;
    let digest = raw.check_digest()?;
    let signer = raw.check_signature(&digest, trusted)?;
    archives(&raw, Header { build_number: raw.build_number, digest, signer })
}

/// Gives access to bytes that [`open`] accepted, with what it said of them, and that cannot have
/// changed since. The archives are checked again; digest and signature are not.
///
/// # Errors
/// The first rule that the bytes break.
pub fn reopen(bytes: &[u8], header: Header) -> Result<Opened<'_>, OpenError> {
    archives(&Raw::read(bytes)?, header)
}

fn archives<'b>(raw: &Raw<'b>, header: Header) -> Result<Opened<'b>, OpenError> {
    Ok(Opened {
        header,
        manifest: access(Section::Manifest, raw.section(Section::Manifest)?)?,
        types: access(Section::Types, raw.section(Section::Types)?)?,
        endpoints: access(Section::Endpoints, raw.section(Section::Endpoints)?)?,
        predicates: access(Section::Predicates, raw.section(Section::Predicates)?)?,
        sources: access(Section::Sources, raw.section(Section::Sources)?)?,
    })
}

fn access<'b, T>(section: Section, bytes: &'b [u8]) -> Result<&'b T, OpenError>
where
    T: rkyv::Portable
        + for<'a> rkyv::bytecheck::CheckBytes<rkyv::api::high::HighValidator<'a, rkyv::rancor::Error>>,
{
    rkyv::access::<T, rkyv::rancor::Error>(bytes).map_err(|e| OpenError::Archive {
        section: section.name(),
        problem: e.to_string().lines().next().unwrap_or_default().to_owned(),
    })
}

/// Which types the archives hold: a hash over their declarations, comments apart.
pub fn schema_hash() -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"mxcp bundle schema, rkyv 0.8\0");
    for source in [
        include_str!("code.rs"),
        include_str!("definition.rs"),
        include_str!("manifest.rs"),
        include_str!("plan.rs"),
        include_str!("source.rs"),
    ] {
        for line in source.lines().map(str::trim) {
            if !line.is_empty() && !line.starts_with("//") {
                hasher.update(line.as_bytes());
                hasher.update(b"\n");
            }
        }
    }
    *hasher.finalize().as_bytes()
}

fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

fn signed_text(digest: &[u8; 32]) -> Vec<u8> {
    [SIGNATURE_DOMAIN, digest].concat()
}

/// A file whose bounds were checked.
struct Raw<'b> {
    bytes: &'b [u8],
    build_number: u64,
    sections: Vec<(u32, &'b [u8])>,
}

impl<'b> Raw<'b> {
    fn read(bytes: &'b [u8]) -> Result<Self, OpenError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(OpenError::NotABundle);
        }
        let found = bytes.len() as u64;
        if found > MAX_BUNDLE_BYTES {
            return Err(OpenError::TooLarge(found));
        }
        let header = bytes
            .get(..HEADER_BYTES)
            .ok_or(OpenError::Length { expected: HEADER_BYTES as u64, found })?;
        let format = u32_at(header, 8);
        if format != FORMAT_VERSION {
            return Err(OpenError::Format { found: format });
        }
        let needs = [u16_at(header, 16), u16_at(header, 18), u16_at(header, 20)];
        if needs > MINIMUM_RUNTIME {
            let [major, minor, patch] = needs;
            return Err(OpenError::RuntimeTooOld(major, minor, patch));
        }
        let zero = |range| header.get(range).is_some_and(|b: &[u8]| b.iter().all(|b| *b == 0));
        if !(zero(12..16) && zero(22..24) && zero(28..32) && zero(SIGNATURE.end..HEADER_BYTES)) {
            return Err(layout("header", "reserved bytes are not zero"));
        }
        let expected = u64_at(header, 32);
        if expected != found {
            return Err(OpenError::Length { expected, found });
        }
        if header.get(48..80) != Some(&schema_hash()[..]) {
            return Err(OpenError::Schema);
        }
        let sections = read_table(bytes, u32_at(header, 24))?;
        Ok(Self { bytes, build_number: u64_at(header, 40), sections })
    }

    fn check_digest(&self) -> Result<[u8; 32], OpenError> {
        let part = |range: std::ops::Range<usize>| self.bytes.get(range).unwrap_or(&[]);
        let found = digest_of(&[part(0..DIGEST.start), part(SIGNATURE.end..self.bytes.len())]);
        if part(DIGEST) == found { Ok(found) } else { Err(OpenError::Digest) }
    }

    fn check_signature(
        &self,
        digest: &[u8; 32],
        trusted: Option<&[u8; 32]>,
    ) -> Result<Option<[u8; 32]>, OpenError> {
        let key: [u8; 32] = array(self.bytes, PUBLIC_KEY.start);
        let signature: [u8; 64] = array(self.bytes, SIGNATURE.start);
        if key == [0; 32] && signature == [0; 64] {
            return if trusted.is_some() { Err(OpenError::Unsigned) } else { Ok(None) };
        }
        VerifyingKey::from_bytes(&key)
            .and_then(|public| {
                public.verify_strict(&signed_text(digest), &Signature::from_bytes(&signature))
            })
            .map_err(|_| OpenError::Signature)?;
        match trusted {
            Some(trusted) if *trusted != key => Err(OpenError::UntrustedKey),
            _ => Ok(Some(key)),
        }
    }

    fn section(&self, section: Section) -> Result<&'b [u8], OpenError> {
        self.sections
            .iter()
            .find(|(id, _)| *id == section as u32)
            .map(|(_, bytes)| *bytes)
            .ok_or_else(|| layout("section table", "a section is missing"))
    }
}

fn read_table(bytes: &[u8], count: u32) -> Result<Vec<(u32, &[u8])>, OpenError> {
    if count != SECTION_COUNT {
        return Err(layout("section table", "it does not have the sections of this format"));
    }
    let mut end = HEADER_BYTES + ENTRY_BYTES * Section::ALL.len();
    let mut sections = Vec::with_capacity(Section::ALL.len());
    for (index, section) in Section::ALL.iter().enumerate() {
        let at = HEADER_BYTES + index * ENTRY_BYTES;
        let entry = bytes
            .get(at..at + ENTRY_BYTES)
            .ok_or_else(|| layout("section table", "it is cut off"))?;
        if u32_at(entry, 0) != *section as u32 || u32_at(entry, 4) != 0 {
            return Err(layout("section table", "its entries are not those of this format"));
        }
        let start = end.next_multiple_of(SECTION_ALIGN_BYTES);
        let length = usize::try_from(u64_at(entry, 16)).unwrap_or(usize::MAX);
        if u64_at(entry, 8) != start as u64 {
            return Err(layout("section table", "a section is not where it belongs"));
        }
        let stop = start
            .checked_add(length)
            .ok_or_else(|| layout("section table", "a section ends outside the file"))?;
        let body = bytes
            .get(start..stop)
            .ok_or_else(|| layout("section table", "a section ends outside the file"))?;
        if bytes.get(end..start).is_none_or(|gap| gap.iter().any(|b| *b != 0)) {
            return Err(layout("padding", "it is not zero"));
        }
        sections.push((*section as u32, body));
        end = stop;
    }
    if end != bytes.len() {
        return Err(layout("section table", "bytes follow the last section"));
    }
    Ok(sections)
}

const fn layout(part: &'static str, problem: &'static str) -> OpenError {
    OpenError::Layout { part, problem }
}

/// The `N` bytes at an offset; zeros where the slice is too short.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{Audit, DuckDb};
    use super::*;
    use rkyv::util::AlignedVec;

    fn small() -> Bundle {
        Bundle {
            manifest: Manifest {
                project: "clinic".into(),
                profile: "dev".into(),
                compiler: "0.1.0".into(),
                duckdb: DuckDb::default(),
                audit: Audit::default(),
                limits: vec![("rows".into(), 5)],
                secrets: Vec::new(),
                extensions: Vec::new(),
                user_attributes: Vec::new(),
                sql_tools: Vec::new(),
                disabled: Vec::new(),
            },
            types: Types::default(),
            endpoints: Endpoints::default(),
            predicates: Predicates::default(),
            sources: Sources::pack([("a.yml", "tool:")]),
        }
    }

    fn aligned(bytes: &[u8]) -> AlignedVec<16> {
        let mut copy = AlignedVec::new();
        copy.extend_from_slice(bytes);
        copy
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn what_is_sealed_opens_and_is_reproducible() {
        let bytes = seal(&small(), 7, None).unwrap();
        assert_eq!(bytes, seal(&small(), 7, None).unwrap());
        let copy = aligned(&bytes);
        let opened = open(&copy, None).unwrap();
        assert_eq!(opened.header.build_number, 7);
        assert_eq!(opened.manifest.project, "clinic");
        assert_eq!(opened.sources.files().unwrap(), [("a.yml".to_owned(), "tool:".to_owned())]);
    }

    #[test]
    fn every_single_bit_flip_is_refused() {
        for key in [None, Some(key(3))] {
            let bytes = seal(&small(), 1, key.as_ref()).unwrap();
            let mut copy = aligned(&bytes);
            for bit in 0..bytes.len() * 8 {
                copy[bit / 8] ^= 1 << (bit % 8);
                assert!(open(&copy, None).is_err(), "bit {bit} of {}", bytes.len() * 8);
                copy[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn every_cut_and_every_addition_is_refused() {
        let bytes = seal(&small(), 1, None).unwrap();
        assert!((0..bytes.len()).all(|cut| open(&aligned(&bytes[..cut]), None).is_err()));
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(open(&aligned(&longer), None), Err(OpenError::Length { .. })));
    }

    #[test]
    fn trust_is_in_one_key() {
        let trusted = key(1).verifying_key().to_bytes();
        let signed = aligned(&seal(&small(), 1, Some(&key(1))).unwrap());
        assert_eq!(open(&signed, Some(&trusted)).unwrap().header.signer, Some(trusted));
        let refused = |key: Option<SigningKey>| {
            open(&aligned(&seal(&small(), 1, key.as_ref()).unwrap()), Some(&trusted)).unwrap_err()
        };
        assert_eq!(refused(Some(key(2))), OpenError::UntrustedKey);
        assert_eq!(refused(None), OpenError::Unsigned);
        let mut stripped = signed.clone();
        stripped[PUBLIC_KEY.start..SIGNATURE.end].fill(0);
        assert_eq!(open(&stripped, Some(&trusted)).unwrap_err(), OpenError::Unsigned);
    }
}
