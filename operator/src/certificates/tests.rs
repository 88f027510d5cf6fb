//! Renewal over years, and what is healed.

use proptest::prelude::*;

use super::*;

fn owner(unit: &str) -> Owner {
    Owner {
        organisation: "acme".into(),
        unit: unit.into(),
    }
}

fn parties() -> Vec<Party> {
    let party = |name: &str, hosts: &[&str]| Party {
        name: name.into(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
    };
    vec![
        party("validator-0", &["c-validator-0.c-nodes.acme.svc", "c-api.acme.svc"]),
        party("client", &[]),
    ]
}

fn begin() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn after(hours: i64) -> Timestamp {
    begin() + SignedDuration::from_hours(hours)
}

fn at(kept: &Certificates, now: Timestamp) -> Certificates {
    next(kept, &owner("contracts"), &parties(), now).unwrap()
}

fn fresh() -> Certificates {
    at(&Certificates::default(), begin())
}

fn accepted(by: &Certificates, certificate: &Pair, now: Timestamp) -> bool {
    is_good(&by.trusted, &certificate.certificate, &[], now)
}

#[test]
fn two_thirds_of_a_life_is_when_it_is_due() {
    let moment = |second| Timestamp::from_second(second).unwrap();
    let validity = Validity {
        from: moment(1_000),
        until: moment(1_900),
    };
    assert_eq!(validity.renewal(), moment(1_600));
    assert!(!validity.is_due(moment(1_599)) && validity.is_due(moment(1_600)));
    assert!(!validity.is_over(moment(1_900)) && validity.is_over(moment(1_901)));
}

#[test]
fn everything_is_made_once_and_stays_until_it_is_due() {
    let first = fresh();
    assert_eq!((first.authorities.len(), first.parties.len()), (1, 2));
    let outlook = first.outlook().unwrap();
    assert_eq!(outlook.next.from, after(-1), "clocks differ");
    assert_eq!(outlook.next.until, after(90 * 24));
    assert_eq!(outlook.authority.until, after(3650 * 24));
    let due = outlook.next.renewal();
    let just_before = due - SignedDuration::from_secs(1);
    assert_eq!(at(&first, just_before), first);
    let renewed = at(&first, due);
    assert_eq!(renewed.authorities, first.authorities);
    for (name, pair) in &renewed.parties {
        assert_eq!(pair.key, first.parties[name].key, "{name} keeps its key");
        assert_ne!(pair.certificate, first.parties[name].certificate, "{name}");
        assert!(accepted(&first, pair, due) && accepted(&renewed, &first.parties[name], due));
    }
    assert_eq!(renewed.outlook().unwrap().next.until, due + LIFE);
}

#[test]
fn a_server_is_known_by_its_names_and_a_client_is_no_server() {
    let (made, now) = (fresh(), begin());
    let good = |party: &str, host: &str| {
        let certificate = &made.parties[party].certificate;
        is_good(&made.trusted, certificate, &[host.to_owned()], now)
    };
    assert!(good("validator-0", "c-validator-0.c-nodes.acme.svc") && good("validator-0", "c-api.acme.svc"));
    assert!(!good("validator-0", "c-validator-1.c-nodes.acme.svc"));
    assert!(!good("client", "c-api.acme.svc"));
    let other = next(&Certificates::default(), &owner("other"), &parties(), now).unwrap();
    assert!(
        !accepted(&other, &made.parties["client"], now),
        "another network's is worth nothing"
    );
    assert!(
        !accepted(&made, &made.parties["client"], after(91 * 24)),
        "nor an expired one"
    );
    assert!(
        !accepted(&made, &made.parties["client"], after(-2)),
        "nor one that isn't good yet"
    );
}

#[test]
fn what_is_damaged_is_made_anew_and_a_good_key_stays() {
    let first = fresh();
    let key_of = |made: &Certificates| made.parties["validator-0"].key.clone();
    let mut damaged = first.clone();
    damaged.parties.get_mut("validator-0").unwrap().certificate = "edited by hand".into();
    let healed = at(&damaged, after(1));
    assert_eq!(key_of(&healed), key_of(&first));
    assert_eq!(
        healed.parties["client"], first.parties["client"],
        "nobody else is touched"
    );
    damaged.parties.get_mut("validator-0").unwrap().key = "edited by hand".into();
    let healed = at(&damaged, after(1));
    assert_ne!(key_of(&healed), key_of(&first));
    assert_eq!(at(&healed, after(2)), healed);
    let foreign = next(&Certificates::default(), &owner("other"), &parties(), begin()).unwrap();
    let mut swapped = first.clone();
    swapped.parties = foreign.parties;
    let healed = at(&swapped, after(1));
    assert!(healed.parties.values().all(|pair| accepted(&first, pair, after(1))));
}

#[test]
fn another_name_is_another_certificate_and_who_left_has_none() {
    let first = fresh();
    let mut wanted = parties();
    wanted[0].hosts.push("c-validator-0.elsewhere.svc".into());
    wanted.pop();
    let changed = next(&first, &owner("contracts"), &wanted, after(1)).unwrap();
    assert_eq!(changed.parties.len(), 1);
    assert_eq!(changed.parties["validator-0"].key, first.parties["validator-0"].key);
    assert_ne!(changed.parties["validator-0"], first.parties["validator-0"]);
}

#[test]
fn an_authority_whose_key_is_gone_is_followed_by_another_without_a_gap() {
    let first = fresh();
    let mut lost = first.clone();
    lost.authorities.clear();
    let now = after(48);
    let second = at(&lost, now);
    assert_eq!(
        second.parties, first.parties,
        "what is good stays: nobody knows the new authority yet"
    );
    assert_eq!(read::bundle(&second.trusted).len(), 2);
    assert_eq!(at(&second, now + SignedDuration::from_hours(23)), second);
    let day_after = now + SignedDuration::from_hours(25);
    let third = at(&second, day_after);
    for (name, pair) in &third.parties {
        assert_eq!(pair.key, first.parties[name].key);
        assert!(
            accepted(&second, pair, day_after) && !accepted(&first, pair, day_after),
            "by the new one"
        );
    }
    assert_eq!(
        read::bundle(&third.trusted).len(),
        2,
        "the old ones are still shown for a while"
    );
    let later = day_after + SignedDuration::from_hours(25);
    let fourth = at(&third, later);
    assert_eq!(fourth.parties, third.parties);
    assert_eq!(read::bundle(&fourth.trusted).len(), 1, "and then it is forgotten");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// Whoever looks at any time, however seldom within a certificate's last third: every certificate is accepted by
    /// those who haven't read the last change, and the other way round.
    #[test]
    fn nobody_ever_meets_a_certificate_it_cant_know(steps in prop::collection::vec(1_i64..=20, 40), leaps in prop::collection::vec(0_usize..40, 3)) {
        let mut before = fresh();
        let mut now = begin();
        for (index, days) in steps.into_iter().enumerate() {
            // Years in which nothing but the usual happens, looked at only where it gets interesting.
            if leaps.contains(&index) {
                let due = before.outlook().unwrap().authority.renewal();
                while now < due - SignedDuration::from_hours(30 * 24) {
                    now += SignedDuration::from_hours(29 * 24);
                    before = at(&before, now);
                }
            }
            now += SignedDuration::from_hours(days * 24);
            let after = at(&before, now);
            for pair in after.parties.values() {
                prop_assert!(accepted(&before, pair, now) && accepted(&after, pair, now));
            }
            for pair in before.parties.values() {
                prop_assert!(accepted(&after, pair, now));
            }
            prop_assert_eq!(&at(&after, now), &after, "and then nothing is left to do");
            before = after;
        }
    }
}
