use super::*;
use crate::domain::counter::Payer;
use crate::domain::rate::Rate;

fn limit(counted: &str) -> Limit {
    Limit {
        counted: counted.to_owned(),
        rate: Rate {
            burst: 60 * PARTS_LENT,
            every_ms: 1000,
        },
        payer: Payer::Sender,
        name: "limits.a",
        period_end: None,
    }
}

fn claim(ledger: &Arc<Ledger>, payers: &[&str], entries: std::ops::Range<u32>, now: i64) -> Claim {
    let payers = payers.iter().map(|counted| limit(counted)).collect();
    ledger.claim(payers, entries, now)
}

/// What each payer misses.
fn missing(claim: &Claim) -> Vec<(String, u32)> {
    let shortages = claim.pay().err().unwrap_or_default();
    let missing = shortages
        .into_iter()
        .map(|shortage| (shortage.limit.counted, shortage.missing));
    missing.collect()
}

fn lease(ledger: &Ledger, counted: &str, addresses: u32) {
    let shortage = Shortage {
        limit: limit(counted),
        owed: 0,
        missing: 0,
    };
    ledger.add_lease(&shortage, addresses);
}

/// LKP-18
#[test]
fn only_new_addresses_cost() {
    let ledger: Arc<Ledger> = Arc::default();
    let first = claim(&ledger, &["a"], 0..10, 0);
    assert_eq!(missing(&first), [("a".to_owned(), 10)]);
    lease(&ledger, "a", 15);
    assert_eq!(first.pay(), Ok(()));
    assert_eq!(claim(&ledger, &["a"], 5..15, 1).pay(), Ok(()));
    assert_eq!(
        missing(&claim(&ledger, &["a"], 0..16, 1)),
        [("a".to_owned(), 1)]
    );
    for now in [2, REMEMBERED_MS + 2, 2 * REMEMBERED_MS + 4] {
        assert_eq!(claim(&ledger, &["a"], 0..15, now).pay(), Ok(()), "{now}");
    }
    // An entry that occurs twice costs once, and nothing costs nothing.
    let twice = ledger.claim(vec![limit("b")], [1, 2, 1], 2);
    assert_eq!(missing(&twice), [("b".to_owned(), 2)]);
    assert_eq!(claim(&ledger, &["b"], 0..0, 2).pay(), Ok(()));
    assert_eq!(claim(&ledger, &[], 0..9, 2).pay(), Ok(()));
}

#[test]
fn refused_lookup_costs_no_payer_anything() {
    let ledger: Arc<Ledger> = Arc::default();
    lease(&ledger, "a", 10);
    let both = claim(&ledger, &["a", "b"], 0..10, 0);
    assert_eq!(missing(&both), [("b".to_owned(), 10)]);
    // Nothing was remembered either.
    assert_eq!(claim(&ledger, &["a"], 0..10, 0).pay(), Ok(()));
    assert_eq!(
        missing(&claim(&ledger, &["a"], 0..11, 0)),
        [("a".to_owned(), 1)]
    );
}

#[test]
fn forgotten_addresses_and_leases_are_lost() {
    let ledger: Arc<Ledger> = Arc::default();
    lease(&ledger, "a", 15);
    assert_eq!(claim(&ledger, &["a"], 0..10, 1).pay(), Ok(()));
    for turns in 1..=2 {
        let now = 1 + turns * REMEMBERED_MS;
        assert_eq!(claim(&ledger, &["other"], 0..0, now).pay(), Ok(()));
    }
    assert_eq!(
        missing(&claim(&ledger, &["a"], 0..10, 2 * REMEMBERED_MS + 2)),
        [("a".to_owned(), 10)]
    );
}

/// OPS-02
#[test]
fn memory_is_bounded() {
    let bounds = Bounds {
        hashes: 1000,
        pages: 50,
    };
    let ledger = Arc::new(Ledger::with_bounds(bounds));
    for number in 0..200 {
        let counted = number.to_string();
        lease(&ledger, &counted, 1);
        assert_eq!(claim(&ledger, &[&counted], 0..1, 0).pay(), Ok(()));
        let state = ledger.lock();
        assert!(state.current.len() <= 51 && state.older.len() <= 51);
    }
    for turn in 0..10 {
        lease(&ledger, "a", 700);
        let entries = turn * 700..(turn + 1) * 700;
        assert_eq!(claim(&ledger, &["a"], entries, 0).pay(), Ok(()));
        assert!(ledger.lock().hashes < 1700);
    }
}

#[test]
fn payers_owe_a_part_of_a_burst() {
    let ledger: Arc<Ledger> = Arc::default();
    let first = claim(&ledger, &["a"], 0..60, 0);
    assert!(ledger.lend(&first.pay().unwrap_err()));
    assert_eq!(first.pay(), Ok(()));
    let second = claim(&ledger, &["a", "b"], 60..120, 0);
    assert!(!ledger.lend(&second.pay().unwrap_err()));
    // Debts are not forgotten.
    for turns in 1..=3 {
        let now = 1 + turns * REMEMBERED_MS;
        assert_eq!(claim(&ledger, &["other"], 0..0, now).pay(), Ok(()));
    }
    let shortage = claim(&ledger, &["a"], 200..201, 3 * REMEMBERED_MS + 2).pay();
    let shortage = shortage.unwrap_err().remove(0);
    assert_eq!((shortage.owed, shortage.missing), (60, 1));
    ledger.add_payment(&shortage);
    let shortage = claim(&ledger, &["a"], 200..201, 3 * REMEMBERED_MS + 2).pay();
    assert_eq!(shortage.unwrap_err()[0].owed, 0);
}
