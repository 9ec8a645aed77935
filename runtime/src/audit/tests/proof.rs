//! Proofs that stand without the trail.

use super::signed::{age, lines, signed, signer, write};
use super::*;
use crate::audit::proof::{
    Proof, ProofError, ProveError, Wanted, checkpoints, prove_consistency, prove_inclusion,
};

/// A signed trail of a few closed runs, each of which ends in a checkpoint.
fn runs(path: &Path, counts: &[usize]) {
    for count in counts {
        write(&signed(path, &signer("07")), *count);
    }
}

fn trusted() -> [PublicKey; 1] {
    [signer("07").public()]
}

#[test]
fn every_record_is_proved_by_every_checkpoint_that_speaks_of_it() {
    let place = place();
    runs(&place.path, &[3, 1, 6, 2]);
    let kept = checkpoints(&place.path).unwrap();
    assert_eq!(kept.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [4, 6, 13, 16]);
    let other = signer("08").public();
    for (i, record) in records(&place.path).iter().enumerate() {
        let seq = i as u64 + 1;
        for (of, line) in &kept {
            let proof = prove_inclusion(&place.path, &Wanted::Seq(seq), Some(line));
            if seq >= *of {
                assert!(matches!(proof, Err(ProveError::NoCheckpoint)), "{seq} of {of}");
                continue;
            }
            let proof = proof.unwrap();
            let shown = proof.check(&trusted()).unwrap();
            assert!(shown.statement.starts_with(&format!("record {seq} is in")), "{shown:?}");
            assert_eq!(proof.check(&[other]), Err(ProofError::Unsigned(*of)));
            let text = serde_json::to_string(&proof).unwrap();
            assert_eq!(serde_json::from_str::<Proof>(&text).unwrap(), proof);
        }
        if seq < 16 {
            let id = record["record_id"].as_str().unwrap().to_owned();
            let by_id = prove_inclusion(&place.path, &Wanted::Id(id), None).unwrap();
            assert_eq!(by_id, prove_inclusion(&place.path, &Wanted::Seq(seq), None).unwrap());
        }
    }
    let none = prove_inclusion(&place.path, &Wanted::Seq(99), None);
    assert!(matches!(none, Err(ProveError::NoRecord)));
}

#[test]
fn a_proof_that_was_changed_shows_nothing() {
    let place = place();
    runs(&place.path, &[5, 4]);
    let proof = prove_inclusion(&place.path, &Wanted::Seq(2), None).unwrap();
    let Proof::Inclusion { record, checkpoint, path } = proof else { panic!() };
    let altered = |record: &str, checkpoint: &str, path: &[String]| {
        let proof = Proof::Inclusion {
            record: record.to_owned(),
            checkpoint: checkpoint.to_owned(),
            path: path.to_owned(),
        };
        proof.check(&trusted()).unwrap_err()
    };
    let forged = record.replace("tool_1", "tool_9");
    assert!(matches!(altered(&forged, &checkpoint, &path), ProofError::Record(_)));
    let another = String::from_utf8(lines(&place.path)[2].clone()).unwrap();
    assert_eq!(altered(another.trim_end(), &checkpoint, &path), ProofError::Root);
    assert!(matches!(altered(&record, &record, &path), ProofError::Checkpoint(_)));
    let mut reversed = path.clone();
    reversed.reverse();
    assert_eq!(altered(&record, &checkpoint, &reversed), ProofError::Root);
    assert_eq!(altered(&record, &checkpoint, &["x".to_owned()]), ProofError::Hash);
    let elsewhere = super::place();
    runs(&elsewhere.path, &[9]);
    let foreign = String::from_utf8(lines(&elsewhere.path)[1].clone()).unwrap();
    assert_eq!(altered(foreign.trim_end(), &checkpoint, &path), ProofError::Strange);
}

#[test]
fn later_checkpoints_extend_earlier_ones() {
    let place = place();
    runs(&place.path, &[1, 2, 4, 1, 7]);
    let kept = checkpoints(&place.path).unwrap();
    for (i, (_, one)) in kept.iter().enumerate() {
        for (_, other) in kept.iter().skip(i) {
            let proof = prove_consistency(&place.path, other, one).unwrap();
            let shown = proof.check(&trusted()).unwrap();
            assert!(shown.statement.contains("speaks of everything"), "{shown:?}");
        }
    }
    let elsewhere = super::place();
    runs(&elsewhere.path, &[1, 2, 4, 1, 7]);
    let theirs = checkpoints(&elsewhere.path).unwrap();
    let Ok(Proof::Consistency { later, path, .. }) =
        prove_consistency(&place.path, &kept[1].1, &kept[4].1)
    else {
        panic!()
    };
    let earlier = String::from_utf8(theirs[1].1.clone()).unwrap();
    let spliced = Proof::Consistency { earlier, later, path };
    assert_eq!(spliced.check(&trusted()), Err(ProofError::Strange));
    let mixed = prove_consistency(&place.path, &theirs[1].1, &theirs[4].1);
    assert!(matches!(mixed, Err(ProveError::Inconsistent(_))), "{mixed:?}");
}

/// Whoever trusts both keys is shown that nothing was lost when one replaced the other.
#[test]
fn proofs_lead_across_a_change_of_keys() {
    let (place, old, new) = (place(), signer("07"), signer("08"));
    write(&signed(&place.path, &old), 3);
    let mut config = signed(&place.path, &new);
    config.signing.as_mut().unwrap().previous = Some(old.clone());
    write(&config, 3);
    let kept = checkpoints(&place.path).unwrap();
    let (first, last) = (&kept[0], &kept[kept.len() - 1]);
    let proof = prove_consistency(&place.path, &first.1, &last.1).unwrap();
    let both = [new.public(), old.public()];
    assert_eq!(proof.check(&both).unwrap().public_keys, [old.public(), new.public()]);
    assert_eq!(proof.check(&both[..1]), Err(ProofError::Unsigned(first.0)));
    assert_eq!(proof.check(&both[1..]), Err(ProofError::Unsigned(last.0)));
    assert_eq!(proof.check(&[]).unwrap().public_keys, []);
}

#[test]
fn proofs_outlive_what_retention_deletes_and_do_not_cross_a_gap() {
    let place = place();
    runs(&place.path, &[2, 2, 2, 2]);
    let kept = checkpoints(&place.path).unwrap();
    for (segment, days) in segments(&place.path).iter().zip([200, 150, 120, 70]) {
        age(&place.path, segment, days);
    }
    let layout = Layout::new(&place.path).unwrap();
    std::fs::remove_file(layout.head()).unwrap();
    let config = Config { retention_days: Some(90), ..signed(&place.path, &signer("07")) };
    write(&config, 1);
    assert_eq!(segments(&place.path)[0].first_seq, 7);
    let deleted = prove_inclusion(&place.path, &Wanted::Seq(2), None);
    assert!(matches!(deleted, Err(ProveError::NoRecord)), "{deleted:?}");
    let old = &kept[3].1;
    for seq in 7..=11 {
        let proof = prove_inclusion(&place.path, &Wanted::Seq(seq), Some(old)).unwrap();
        proof.check(&trusted()).unwrap();
    }
    let proof = prove_consistency(&place.path, &kept[2].1, &kept[3].1).unwrap();
    proof.check(&trusted()).unwrap();
    let within = prove_consistency(&place.path, &kept[0].1, &kept[3].1);
    assert!(matches!(within, Err(ProveError::Deleted)), "{within:?}");

    // The sidecar was gone, so the last run began the tree anew.
    let now = checkpoints(&place.path).unwrap().pop().unwrap().1;
    let across = prove_consistency(&place.path, &kept[3].1, &now);
    assert!(matches!(across, Err(ProveError::Gap(13))), "{across:?}");
}
