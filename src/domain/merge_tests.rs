//! The order of statements: by examples, and as a law over all orders of arrival.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn statement(origin: &str, number: i64, ts: i64, user: Option<&str>) -> Statement {
    Statement {
        origin: origin.to_owned(),
        number,
        ts,
        counts_at: ts,
        binding: user.map(|user| Binding {
            mxid: format!("@{user}:example.org"),
            not_before: ts,
            not_after: ts + 1000,
        }),
    }
}

fn answer(statements: &[Statement]) -> Option<String> {
    let merged: Statements = statements.iter().cloned().collect();
    let binding = merged.answer()?.binding.clone()?;
    Some(binding.mxid.trim_end_matches(":example.org").to_owned())
}

/// INT-03
#[test]
fn the_newest_statement_counts() {
    let old = statement("a", 9, 5, Some("old"));
    let new = statement("b", 1, 6, Some("new"));
    assert_eq!(answer(&[old.clone(), new.clone()]).unwrap(), "@new");
    let removal = statement("c", 1, 6, None);
    assert_eq!(answer(&[old, new, removal.clone()]), None);
    let after = statement("a", 10, 7, Some("x"));
    assert_eq!(answer(&[removal, after]).unwrap(), "@x");
    assert_eq!(answer(&[]), None);
}

/// INT-03
#[test]
fn numbers_decide_within_one_origin() {
    // The clock was set back between them.
    let first = statement("a", 1, 1000, Some("first"));
    let second = statement("a", 2, 700, Some("second"));
    assert_eq!(answer(&[first.clone(), second.clone()]).unwrap(), "@second");
    let removal = statement("a", 3, 600, None);
    assert_eq!(answer(&[removal, first, second]), None);
}

/// INT-07
#[test]
fn arrival_counts_instead_of_a_time_ahead() {
    let ahead = Statement {
        counts_at: 10,
        ..statement("evil", 1, 5000, Some("evil"))
    };
    let later = statement("a", 1, 11, Some("own"));
    assert_eq!(answer(&[later.clone(), ahead.clone()]).unwrap(), "@own");
    let mut said: Statements = [ahead.clone()].into_iter().collect();
    assert_eq!(said.next_ts(9), 11);
    // The same once more, under its number or another one, counts as before.
    for (number, merged) in [(1, Merged::Known), (2, Merged::Renumbered)] {
        let again = Statement {
            number,
            counts_at: 20,
            ..ahead.clone()
        };
        assert_eq!(said.merge(again), merged);
        assert_eq!(said.by("evil").unwrap().counts_at, 10);
    }
}

/// INT-03
#[test]
fn time_decides_where_a_number_is_unknown() {
    let held = statement("a", 0, 10, Some("held"));
    for (number, ts, expected) in [(7, 9, "@held"), (7, 10, "@new"), (1, 11, "@new")] {
        let new = statement("a", number, ts, Some("new"));
        for order in [[held.clone(), new.clone()], [new, held.clone()]] {
            assert_eq!(answer(&order).unwrap(), expected, "{number} at {ts}");
        }
    }
    let late = statement("a", 7, 9, None);
    assert_eq!(answer(&[held, late]).unwrap(), "@held");
}

/// INT-03
#[test]
fn statements_at_the_same_time_have_an_order() {
    let [low, high] = ["low", "yes"].map(|user| statement(user, 1, 5, Some(user)));
    let removal = statement("a", 1, 5, None);
    assert_eq!(answer(&[high.clone(), low.clone()]).unwrap(), "@yes");
    assert_eq!(answer(&[removal, high, low]), None);
}

/// INT-03
#[test]
fn own_statements_come_after_what_they_end() {
    let held: Statements = [
        statement("a", 0, 5, Some("alice")),
        statement("b", 1, 900, Some("bob")),
    ]
    .into_iter()
    .collect();
    assert_eq!(held.next_ts(10), 901);
    assert_eq!(held.next_ts(1000), 1000);
    // It does not end the binding of Bob.
    assert_eq!(held.removal_ts("a", 1000), 5);
    assert_eq!(held.removal_ts("b", 10), 901);
    // Neither if both were made at the same time.
    let mut equal: Statements = [
        statement("a", 1, 5, Some("alice")),
        statement("b", 1, 5, Some("bob")),
    ]
    .into_iter()
    .collect();
    let ts = equal.removal_ts("a", 1000);
    assert_eq!(ts, 4);
    equal.merge(statement("a", 2, ts, None));
    assert_eq!(equal.by("a").unwrap().binding, None);
    let bob = equal.answer().and_then(|it| it.binding.clone()).unwrap();
    assert_eq!(bob.mxid, "@bob:example.org");
    assert_eq!(Statements::default().next_ts(10), 10);
    let far: Statements = [statement("b", 1, LAST_TS, None)].into_iter().collect();
    assert_eq!(far.next_ts(10), LAST_TS);
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let user = prop::option::of(prop::sample::select(vec!["x", "y", "z"]));
    (
        prop::sample::select(vec!["a", "b", "c"]),
        1..6_i64,
        0..8_i64,
        user,
    )
        .prop_map(|(origin, number, ts, user)| statement(origin, number, ts, user))
}

fn by_origin(statements: &Statements) -> BTreeMap<String, Statement> {
    let all = statements.0.iter().cloned();
    all.map(|held| (held.origin.clone(), held)).collect()
}

proptest! {
    /// INT-03
    #[test]
    fn order_and_repetition_make_no_difference(
        (said, heard) in prop::collection::vec(any_statement(), 1..12).prop_flat_map(|said| {
            let again = prop::collection::vec(prop::sample::select(said.clone()), 0..12);
            let heard = again.prop_map({
                let said = said.clone();
                move |again| [said.clone(), again].concat()
            });
            (Just(said), heard.prop_shuffle())
        }),
        split in 0..12_usize,
    ) {
        let one: Statements = said.into_iter().collect();
        let other: Statements = heard.iter().cloned().collect();
        prop_assert!(by_origin(&one) == by_origin(&other));
        prop_assert!(one.answer() == other.answer());
        // Two halves that were merged apart make the same.
        let (first, second) = heard.split_at(split.min(heard.len()));
        let mut joined: Statements = first.iter().cloned().collect();
        let rest: Statements = second.iter().cloned().collect();
        for statement in rest.0 {
            joined.merge(statement);
        }
        prop_assert!(by_origin(&one) == by_origin(&joined));
    }

    /// INT-03
    #[test]
    fn a_statement_made_now_is_the_answer(
        held in prop::collection::vec(any_statement(), 0..9),
        now in 0..9_i64,
        bound: bool,
    ) {
        let mut held: Statements = held.into_iter().collect();
        let ts = held.next_ts(now);
        let user = bound.then_some("new");
        let mut new = statement("a", 100, ts, user);
        new.number = held.by("a").map_or(0, |own| own.number) + 1;
        held.merge(new.clone());
        prop_assert!(held.answer() == Some(&new));
    }
}
