//! Whatever is done to a trail is found, at its place.

use proptest::prelude::*;

use super::*;
use crate::audit::chain::Flaw;
use crate::audit::verify::{Fault, Range, Witness};

/// The lines of a segment, line feeds included.
fn lines(segment: &Segment) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(&segment.path).unwrap();
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn rewrite(segment: &Segment, lines: &[Vec<u8>]) {
    std::fs::write(&segment.path, lines.concat()).unwrap();
}

/// The first problem: number, line and what it is.
fn problem(path: &Path) -> (u64, u64, Fault) {
    let problem =
        verify(path, &Options::default()).unwrap().problems.into_iter().next().expect("a problem");
    (problem.seq, problem.line, problem.fault)
}

#[test]
fn every_flipped_bit_is_found_in_its_record() {
    let place = place();
    let segment = written(&place.path, 2);
    let good = std::fs::read(&segment.path).unwrap();
    let mut bytes = good.clone();
    let mut seq = 1;
    for at in 0..good.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            std::fs::write(&segment.path, &bytes).unwrap();
            let (found, line, _) = problem(&place.path);
            assert_eq!((found, line), (seq, seq), "byte {at}, bit {bit}");
            bytes[at] = good[at];
        }
        seq += u64::from(good[at] == b'\n');
    }
}

#[test]
fn whatever_is_removed_repeated_or_moved_is_named() {
    const COUNT: usize = 30;
    let place = place();
    let segment = written(&place.path, COUNT);
    let good = lines(&segment);
    for at in 0..COUNT {
        let seq = at as u64 + 1;
        let mut without = good.clone();
        without.remove(at);
        rewrite(&segment, &without);
        let fault = if at + 1 == COUNT {
            Fault::Cut(seq, Witness::Sidecar)
        } else {
            Fault::Missing(Range { first: seq, last: seq })
        };
        assert_eq!(problem(&place.path), (seq, seq, fault));

        let mut twice = good.clone();
        twice.insert(at, good[at].clone());
        rewrite(&segment, &twice);
        assert_eq!(problem(&place.path), (seq + 1, seq + 1, Fault::Repeated(seq)));

        if at + 1 < COUNT {
            let mut swapped = good.clone();
            swapped.swap(at, at + 1);
            rewrite(&segment, &swapped);
            let missing = Fault::Missing(Range { first: seq, last: seq });
            assert_eq!(problem(&place.path), (seq, seq, missing));
        }
    }
}

#[test]
fn records_of_other_trails_are_named() {
    let (one, two) = (place(), place());
    let (first, second) = (written(&one.path, 6), written(&two.path, 6));
    let (mine, theirs) = (lines(&first), lines(&second));
    let other = verify(&two.path, &Options::default()).unwrap().trail_id.unwrap();
    for at in 0..6 {
        let mut spliced = mine.clone();
        spliced[at].clone_from(&theirs[at]);
        rewrite(&first, &spliced);
        let seq = at as u64 + 1;
        assert_eq!(problem(&one.path), (seq, seq, Fault::Foreign(other.clone())));
    }
}

#[test]
fn another_trail_in_its_place_is_named() {
    let (one, two) = (place(), place());
    let (first, second) = (written(&one.path, 6), written(&two.path, 9));
    let theirs = lines(&second);
    let other = verify(&two.path, &Options::default()).unwrap().trail_id.unwrap();
    rewrite(&first, &theirs);
    assert_eq!(problem(&one.path), (1, 1, Fault::Foreign(other)));
}

/// Whoever recomputes all hashes is found by the sidecar, unless that is changed as well.
#[test]
fn a_trail_that_was_written_anew_is_not_what_its_sidecar_knows() {
    let place = place();
    let segment = written(&place.path, 4);
    let mut forged = Vec::new();
    let mut chain: Option<chain::Chain> = None;
    for line in lines(&segment) {
        let record = chain::open(line.trim_ascii_end()).unwrap();
        let chain = chain.get_or_insert_with(|| chain::Chain::new(record.trail_id.to_owned()));
        let body = String::from_utf8(record.body.to_vec()).unwrap().replace("tool_1", "tool_x");
        let start = forged.len();
        forged.extend_from_slice(body.as_bytes());
        chain.seal(&mut forged, start, None);
    }
    std::fs::write(&segment.path, forged).unwrap();
    assert_eq!(problem(&place.path), (4, 4, Fault::Contradicted(Witness::Sidecar)));
}

#[test]
fn a_rewritten_record_with_a_right_hash_breaks_the_next_link() {
    let place = place();
    let segment = written(&place.path, 3);
    let mut all = lines(&segment);
    let second = chain::open(all[1].trim_ascii_end()).unwrap();
    let mut forged =
        String::from_utf8(second.body.to_vec()).unwrap().replace("tool_1", "tool_9").into_bytes();
    let mut end =
        chain::Chain { seq: 1, head: second.prev, ..chain::Chain::new(second.trail_id.to_owned()) };
    end.seal(&mut forged, 0, None);
    all[1] = forged;
    rewrite(&segment, &all);
    assert_eq!(problem(&place.path), (3, 3, Fault::Unlinked));
}

#[test]
fn segments_that_are_exchanged_removed_or_cut_are_found() {
    let place = place();
    let one = written(&place.path, 3);
    let two = written(&place.path, 3);
    let three = written(&place.path, 3);
    consistent(&place.path);
    let (a, b) = (std::fs::read(&one.path).unwrap(), std::fs::read(&two.path).unwrap());
    std::fs::remove_file(&two.path).unwrap();
    let missing = Fault::Missing(Range { first: 4, last: 6 });
    assert_eq!(problem(&place.path), (4, 1, missing));
    std::fs::write(&two.path, &a).unwrap();
    assert_eq!(problem(&place.path), (4, 1, Fault::Repeated(1)));
    std::fs::write(&two.path, &b[..b.len() - 1]).unwrap();
    assert_eq!(problem(&place.path), (6, 3, Fault::Unterminated));
    std::fs::write(&two.path, &b).unwrap();
    std::fs::remove_file(&one.path).unwrap();
    assert_eq!(problem(&place.path), (1, 1, Fault::Missing(Range { first: 1, last: 3 })));
    std::fs::write(&one.path, &a).unwrap();
    std::fs::remove_file(&three.path).unwrap();
    assert_eq!(problem(&place.path).2, Fault::Cut(9, Witness::Sidecar));
}

#[test]
fn a_gap_admits_nothing_but_what_it_names() {
    let place = place();
    let one = written(&place.path, 3);
    std::fs::remove_file(Layout::new(&place.path).unwrap().head()).unwrap();
    written(&place.path, 1);
    consistent(&place.path);
    let all = lines(&one);
    rewrite(&one, &all[..2]);
    assert_eq!(problem(&place.path), (3, 1, Fault::Missing(Range { first: 3, last: 3 })));
}

#[test]
fn a_file_of_mxcps_is_counted_and_a_live_trail_is_verified() {
    let place = place();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    std::fs::write(&place.path, "{\"schema_name\": \"mxcp.endpoints\"}\n{}\n").unwrap();
    append(&trail, "t").unwrap();
    let report = consistent(&place.path);
    assert_eq!((report.unchained, report.records), (2, 1));
    let live = segments(&place.path).pop().unwrap();
    let mut bytes = std::fs::read(&live.path).unwrap();
    bytes.extend_from_slice(b"{\"schema_name\":\"mxcp.end");
    std::fs::write(&live.path, &bytes).unwrap();
    consistent(&place.path);
    drop(trail);
    assert_eq!(problem(&place.path), (2, 2, Fault::Unterminated));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever bytes are replaced, the first record that they touch is named.
    #[test]
    fn any_replacement_is_found(from in 0.0..1.0_f64, bytes in prop::collection::vec(any::<u8>(), 1..40), keep in 0..40_usize) {
        let place = place();
        let segment = written(&place.path, 5);
        let good = std::fs::read(&segment.path).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "any place in the range will do")]
        let from = (good.len() as f64 * from) as usize;
        let to = (from + keep).min(good.len());
        let changed = [&good[..from], &bytes, &good[to..]].concat();
        prop_assume!(changed != good);
        std::fs::write(&segment.path, &changed).unwrap();
        let same = good.iter().zip(&changed).take_while(|(a, b)| a == b).count();
        let whole = memchr::memchr_iter(b'\n', &good[..same]).count() as u64;
        let (seq, _, fault) = problem(&place.path);
        prop_assert_eq!(seq, whole + 1);
        let known = matches!(fault, Fault::Flaw(Flaw::Unsealed | Flaw::Changed)
            | Fault::Unterminated | Fault::Repeated(_) | Fault::Missing(_) | Fault::Cut(..));
        prop_assert!(known, "{:?}", fault);
    }
}
