//! Signed notes, verifier keys, proofs and policies: other people's cases and our own.

use muniment_receipts::checkpoint::Checkpoint;
use muniment_receipts::encoding::from_base64;
use muniment_receipts::note::{MAX_SIGNATURES, Note, NoteError, VerifierKey};
use muniment_receipts::policy::{Policy, PolicyError, quorum};
use muniment_receipts::tlog_proof::TlogProof;

use crate::vectors;
use crate::world::World;

#[test]
fn vkey_vectors() {
    let Some(cases) = vectors::json("signed-note/vkeys.json") else {
        return;
    };
    for case in cases.as_array().unwrap() {
        let text = case["vkey"].as_str().unwrap();
        let parsed = text.parse::<VerifierKey>();
        assert_eq!(parsed.is_ok(), case["ok"] == true, "{text}: {parsed:?}");
        if let Ok(vkey) = parsed {
            assert_eq!(vkey.to_string(), text);
        }
    }
}

#[test]
fn note_vectors() {
    let Some(cases) = vectors::json("signed-note/notes.json") else {
        return;
    };
    assert_eq!(cases.as_array().unwrap().len(), 8);
    for case in cases.as_array().unwrap() {
        let bytes = match case["note_b64"].as_str() {
            Some(text) => from_base64(text).unwrap(),
            None => case["note"].as_str().unwrap().as_bytes().to_vec(),
        };
        let vkeys: Vec<VerifierKey> = case["vkeys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|vkey| vkey.as_str().unwrap().parse().unwrap())
            .collect();
        let verified = std::str::from_utf8(&bytes)
            .map_err(|_| NoteError::Form("not UTF-8"))
            .and_then(|text| Note::parse(text)?.verify(&vkeys));
        let counts = verified
            .as_ref()
            .ok()
            .map(|(known, unknown)| (*known as u64, *unknown as u64));
        let known = case["verified"].as_u64();
        assert_eq!(verified.is_ok(), case["ok"] == true, "{}: {verified:?}", case["name"]);
        // Upstream keeps unknown signatures that share name and id but not the bytes apart; we count signers.
        if let (Some((known_found, _)), Some(known)) = (counts, known) {
            assert_eq!(known_found, known, "{}", case["name"]);
        }
    }
}

#[test]
fn proof_vectors() {
    let Some(cases) = vectors::json("signed-note/tlog_proofs.json") else {
        return;
    };
    for case in cases.as_array().unwrap() {
        let text = case["text"].as_str().map_or_else(
            || {
                let part = |name: &str| case[name].as_str().unwrap();
                let body = part("repeat").repeat(case["count"].as_u64().unwrap() as usize);
                format!("{}{body}{}", part("text_prefix"), part("text_suffix"))
            },
            str::to_owned,
        );
        let parsed = TlogProof::parse(&text);
        assert_eq!(parsed.is_ok(), case["ok"] == true, "{}: {parsed:?}", case["name"]);
        if let Ok(proof) = parsed {
            assert_eq!(proof.text(), text);
            assert_eq!(
                (proof.index, proof.path.len() as u64),
                (case["index"].as_u64().unwrap(), case["hashes"].as_u64().unwrap())
            );
        }
    }
}

#[test]
fn policy_vectors() {
    let Some(cases) = vectors::json("signed-note/policies.json") else {
        return;
    };
    for case in cases.as_array().unwrap() {
        let parsed = Policy::parse(case["policy"].as_str().unwrap());
        assert_eq!(parsed.is_ok(), case["ok"] == true, "{}: {parsed:?}", case["name"]);
        if let Ok(policy) = parsed {
            assert_eq!(policy.witnesses.len() as u64, case["n"].as_u64().unwrap());
            assert!(policy.satisfied(|_| true) && !policy.satisfied(|name| name == "w1"));
        }
    }
}

#[test]
fn a_proof_has_one_spelling() {
    let good = "c2sp.org/tlog-proof@v1\nextra AAAA\nindex 12\nrzFuy5Go7nrpkhBwKy1HWPMM3eO/YePY54fXRoH5Cm4=\n\nbody\n";
    assert_eq!(TlogProof::parse(good).unwrap().text(), good);
    for bad in [
        good.replace("@v1", "@v2"),
        good.replace("index 12", "index 012"),
        good.replace("index 12", "index +12"),
        good.replace("index 12", "index 12 "),
        good.replace("index 12", "index 18446744073709551616"),
        good.replace("index 12\n", ""),
        good.replace("extra AAAA", "extra AAAB="),
        good.replace("extra AAAA", "extra"),
        good.replace("Cm4=", "Cm5="),
        good.replace("Cm4=", "Cm4"),
        good.replace('\n', "\r\n"),
        good.replace("\n\n", "\n"),
        good.replace(
            "\n\n",
            &format!("\n{}\n", "rzFuy5Go7nrpkhBwKy1HWPMM3eO/YePY54fXRoH5Cm4=\n".repeat(64)),
        ),
    ] {
        assert!(TlogProof::parse(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_checkpoint_has_one_spelling() {
    let good = Checkpoint::new(&[1; 32], 12, [2; 32]);
    assert_eq!(Checkpoint::parse(&good.text()).unwrap(), good);
    let text = good.text();
    for bad in [
        text.replace("\n12\n", "\n012\n"),
        text.replace("\n12\n", "\n\n"),
        format!("{text}extension\n"),
        text.trim_end().to_owned(),
        text.replace('=', ""),
        text.replace("muniment.dev", "\nmuniment.dev"),
        format!("\n{}", text.split_once('\n').unwrap().1),
    ] {
        assert!(Checkpoint::parse(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_note_with_too_much_is_refused() {
    let line = "— name AAAAAAAA\n";
    let note = |count: usize| format!("text\n\n{}", line.repeat(count));
    assert!(Note::parse(&note(16)).is_ok(), "the format asks for 16 at least");
    assert!(Note::parse(&note(MAX_SIGNATURES)).is_ok());
    assert!(Note::parse(&note(MAX_SIGNATURES + 1)).is_err());
    for bad in [
        "",
        "\n\n",
        "text\n\n",
        "text\n\n— name AAAAAAAA",
        "te\txt\n\n— name AAAAAAAA\n",
        "text\n\n- name AAAAAAAA\n",
        "text\n\n— na+me AAAAAAAA\n",
        "text\n\n— name AAAA\n",
        "text\n\n—  AAAAAAAA\n",
        "text\n\n— name AAAAAAAA \n",
    ] {
        assert!(Note::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn quorum_is_more_than_two_thirds() {
    let quorums: Vec<usize> = (1..=10).map(quorum).collect();
    assert_eq!(quorums, [1, 2, 3, 3, 4, 5, 5, 6, 7, 7]);
    for n in 1..200 {
        assert!(3 * quorum(n) > 2 * n && 3 * (quorum(n) - 1) <= 2 * n);
    }
}

#[test]
fn the_derived_policy_means_the_quorum() {
    for validators in [1, 2, 4, 7] {
        let world = World::new(validators);
        let text = world.trust.newest().policy();
        let policy = Policy::parse(text).unwrap();
        assert_eq!(policy.witnesses.len(), validators);
        let enough = |count: usize| {
            policy.satisfied(|name| name.strip_prefix("validator-").unwrap().parse::<usize>().unwrap() < count)
        };
        let quorum = quorum(validators);
        assert!(enough(quorum) && !enough(quorum - 1), "{text}");
    }
}

#[test]
fn policy_rules_of_the_format() {
    let world = World::new(2);
    let text = world.trust.newest().policy();
    let lines: Vec<&str> = text.lines().collect();
    let [one, two, ..] = lines.as_slice() else {
        unreachable!()
    };
    let both = format!("{one}\n{two}\n");
    for good in [
        format!("{both}group g any validator-0 validator-1\nquorum g\n"),
        format!("{both}group g 2 validator-0 validator-1\ngroup h all g\nquorum h\n"),
        format!("# comment\n\n \t{both}\t quorum \t validator-1 \n"),
        "quorum none\n".to_owned(),
        format!("log {}\nquorum none\n", one.rsplit(' ').next().unwrap()),
    ] {
        assert!(Policy::parse(&good).is_ok(), "{good}: {:?}", Policy::parse(&good));
    }
    assert!(Policy::parse("quorum none\n").unwrap().satisfied(|_| false));
    for bad in [
        String::new(),
        "quorum none".to_owned(),
        "quorum validator-0\n".to_owned(),
        "quorum none\nquorum none\n".to_owned(),
        format!("quorum validator-0\n{both}"),
        format!("{both}quorum g\ngroup g any validator-0\n"),
        format!("{both}group g 0 validator-0\nquorum g\n"),
        format!("{both}group g 2 validator-0\nquorum g\n"),
        format!("{both}group g any\nquorum g\n"),
        format!("{both}group g all validator-0 validator-0\nquorum g\n"),
        format!("{both}group g all validator-0\ngroup h all validator-0 validator-1\nquorum h\n"),
        format!("{both}group none all validator-0\nquorum none\n"),
        format!("{both}group validator-0 all validator-1\nquorum validator-0\n"),
        format!(
            "{one}\n{}\nquorum validator-0\n",
            one.replace("witness validator-0", "witness other")
        ),
        format!("{both}weight 3\nquorum validator-0\n"),
        format!("{both}quorum validator-0\r\n"),
    ] {
        assert!(Policy::parse(&bad).is_err(), "{bad}");
    }
    let error = Policy::parse("quorum none\nnonsense\n").unwrap_err();
    assert!(matches!(error, PolicyError::Line { line: 2, .. }), "{error}");
}
