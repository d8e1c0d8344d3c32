use proptest::prelude::*;

use super::*;

const BOUND: Millis = 1000;

const HERE: Identity = Identity {
    system: 7,
    database: 5,
};

const OTHER: Identity = Identity { system: 8, ..HERE };

fn at(position: i64) -> LogPosition {
    LogPosition {
        identity: HERE,
        timeline: 1,
        position,
    }
}

fn later(position: i64) -> LogPosition {
    LogPosition {
        timeline: 2,
        ..at(position)
    }
}

/// Asks both at that time.
fn ask(freshness: &mut Freshness, now: Millis, primary: i64, standby: i64) -> Source {
    freshness.primary_answered(now, FromPrimary::At(at(primary)));
    freshness.standby_answered(FromStandby::At(at(standby)));
    freshness.source(now)
}

fn lose_primary(freshness: &mut Freshness) {
    for _ in 0..MISSES {
        freshness.primary_answered(0, FromPrimary::Silent);
    }
}

#[test]
fn standby_is_used_once_it_has_caught_up() {
    let mut freshness = Freshness::new(BOUND);
    assert_eq!(freshness.source(0), Source::Primary(Unfit::Stale));
    let behind = ask(&mut freshness, 100, 50, 49);
    assert_eq!(behind, Source::Primary(Unfit::Stale));
    // It has reached the first position, and not the second.
    let source = ask(&mut freshness, 200, 60, 50);
    assert_eq!(source, Source::Standby { until: 1100 });
    assert_eq!(freshness.staleness(200), Some(100));
    assert_eq!(
        freshness.source(1101),
        Source::Primary(Unfit::Stale),
        "nothing is known since"
    );
    let source = ask(&mut freshness, 1200, 70, 70);
    assert_eq!(source, Source::Standby { until: 2200 });
}

#[test]
fn standby_that_lags_beyond_the_bound_is_left() {
    let mut freshness = Freshness::new(BOUND);
    ask(&mut freshness, 0, 50, 50);
    for now in 1..=10 {
        let source = ask(&mut freshness, now * 100, 60, 50);
        assert_eq!(source, Source::Standby { until: 1000 });
    }
    let source = ask(&mut freshness, 1100, 60, 50);
    assert_eq!(source, Source::Primary(Unfit::Stale));
}

#[test]
fn fresh_standby_goes_on_without_the_primary() {
    let mut freshness = Freshness::new(BOUND);
    ask(&mut freshness, 100, 50, 50);
    freshness.primary_answered(200, FromPrimary::Silent);
    assert_eq!(freshness.source(300), Source::Standby { until: 1100 });
    freshness.primary_answered(400, FromPrimary::Silent);
    freshness.standby_answered(FromStandby::At(at(50)));
    assert_eq!(freshness.source(1_000_000), Source::StandbyAlone);
    freshness.standby_answered(FromStandby::Silent);
    assert_eq!(freshness.source(1_000_000), Source::StandbyAlone);
    freshness.standby_answered(FromStandby::Silent);
    assert_eq!(freshness.source(1_000_000), Source::Neither);
    freshness.standby_answered(FromStandby::At(at(50)));
    assert_eq!(freshness.source(1_000_000), Source::StandbyAlone);
    // It is back, and has gone on.
    let source = ask(&mut freshness, 1_000_000, 51, 50);
    assert_eq!(source, Source::Primary(Unfit::Stale));
}

#[test]
fn stale_standby_is_not_used_without_primary() {
    let mut freshness = Freshness::new(BOUND);
    ask(&mut freshness, 0, 50, 50);
    ask(&mut freshness, 2000, 60, 50);
    lose_primary(&mut freshness);
    assert_eq!(freshness.source(2000), Source::Nowhere(Unfit::Stale));
    freshness.standby_answered(FromStandby::At(at(60)));
    assert_eq!(freshness.source(9000), Source::StandbyAlone, "caught up");
    let mut unknown = Freshness::new(BOUND);
    lose_primary(&mut unknown);
    unknown.standby_answered(FromStandby::At(at(60)));
    assert_eq!(unknown.source(0), Source::Nowhere(Unfit::Stale));
}

#[test]
fn primary_that_refuses_to_answer_is_not_away() {
    let mut freshness = Freshness::new(BOUND);
    ask(&mut freshness, 0, 50, 50);
    for _ in 0..9 {
        freshness.primary_answered(100, FromPrimary::Silent);
        freshness.primary_answered(100, FromPrimary::Unclear);
    }
    assert!(!freshness.is_primary_away());
    assert_eq!(freshness.source(1001), Source::Primary(Unfit::Stale));
}

#[test]
fn promoted_standby_is_never_used_again() {
    let mut freshness = Freshness::new(BOUND);
    ask(&mut freshness, 0, 50, 50);
    freshness.standby_answered(FromStandby::Promoted);
    assert_eq!(freshness.source(0), Source::Primary(Unfit::Promoted));
    let source = ask(&mut freshness, 100, 50, 50);
    assert_eq!(source, Source::Primary(Unfit::Promoted));
    lose_primary(&mut freshness);
    assert_eq!(freshness.source(100), Source::Nowhere(Unfit::Promoted));
}

#[test]
fn other_servers_are_not_used() {
    let other_database = Identity {
        database: 6,
        ..HERE
    };
    for (standby, unfit) in [
        (later(50), Unfit::OtherTimeline),
        (
            LogPosition {
                identity: OTHER,
                ..at(50)
            },
            Unfit::Foreign,
        ),
        (
            LogPosition {
                identity: other_database,
                ..at(50)
            },
            Unfit::Foreign,
        ),
    ] {
        let mut freshness = Freshness::new(BOUND);
        ask(&mut freshness, 0, 50, 50);
        freshness.standby_answered(FromStandby::At(standby));
        assert_eq!(freshness.source(0), Source::Primary(unfit));
        let source = ask(&mut freshness, 0, 50, 50);
        assert_eq!(source, Source::Standby { until: BOUND });
    }
}

#[test]
fn new_primary_must_be_followed_first() {
    let mut freshness = Freshness::new(BOUND);
    ask(&mut freshness, 0, 50, 50);
    freshness.primary_answered(100, FromPrimary::At(later(50)));
    freshness.standby_answered(FromStandby::At(at(50)));
    assert_eq!(freshness.source(100), Source::Primary(Unfit::OtherTimeline));
    freshness.standby_answered(FromStandby::At(later(50)));
    assert_eq!(freshness.source(100), Source::Standby { until: 1100 });
}

#[test]
fn standby_that_goes_back_must_catch_up() {
    let mut freshness = Freshness::new(BOUND);
    ask(&mut freshness, 0, 50, 50);
    let source = ask(&mut freshness, 100, 50, 49);
    assert_eq!(source, Source::Primary(Unfit::Stale));
    let source = ask(&mut freshness, 200, 50, 50);
    assert_eq!(source, Source::Standby { until: 1200 });
    lose_primary(&mut freshness);
    for lost in [
        at(49),
        later(50),
        LogPosition {
            identity: OTHER,
            ..at(50)
        },
    ] {
        freshness.standby_answered(FromStandby::At(lost));
        assert!(
            matches!(freshness.source(9000), Source::Nowhere(_)),
            "{lost:?}"
        );
        for _ in 0..3 {
            freshness.standby_answered(FromStandby::Silent);
            assert!(
                matches!(freshness.source(9000), Source::Nowhere(_)),
                "{lost:?}"
            );
        }
        freshness.standby_answered(FromStandby::At(at(50)));
        assert_eq!(freshness.source(9000), Source::StandbyAlone, "{lost:?}");
    }
}

#[test]
fn only_a_primary_accepts_changes() {
    let mut freshness = Freshness::new(BOUND);
    for (answer, expected) in [
        (FromPrimary::At(at(50)), true),
        (FromPrimary::Unclear, false),
        (FromPrimary::At(at(50)), true),
        (FromPrimary::Silent, false),
    ] {
        freshness.primary_answered(0, answer);
        assert_eq!(freshness.accepts_changes(), expected, "{answer:?}");
    }
}

proptest! {
    /// Whatever is asked when, and however far the standby is behind: all that was committed
    /// before the bound is visible where lookups are answered from the standby.
    #[test]
    fn answers_are_never_older_than_the_bound(
        steps in prop::collection::vec((0..400_u64, 0..30_i64, -30..60_i64, 0..10_u8), 1..60),
    ) {
        let mut freshness = Freshness::new(BOUND);
        let (mut now, mut committed, mut replayed) = (0, 0, 0);
        // What was committed before each time.
        let mut history = vec![(0, 0)];
        for (waited, written, replays, event) in steps {
            now += waited;
            if event > 1 {
                committed += written;
                history.push((now, committed));
                freshness.primary_answered(now, FromPrimary::At(at(committed)));
            } else if event == 1 {
                committed += written;
                history.push((now, committed));
                freshness.primary_answered(now, FromPrimary::Unclear);
            }
            // One that crashed goes back.
            replayed = (replayed + replays).clamp(0, committed);
            freshness.standby_answered(FromStandby::At(at(replayed)));
            for later in [now, now + 300, now + 3000] {
                if let Source::Standby { until } = freshness.source(later) {
                    prop_assert!(later <= until);
                    let due = later.saturating_sub(BOUND);
                    let before = history.iter().rev().find(|(time, _)| *time < due);
                    let must_see = before.map_or(0, |(_, position)| *position);
                    prop_assert!(replayed >= must_see);
                }
            }
        }
    }

    /// Whatever the servers answer, there is no panic, and the primary is asked or away.
    #[test]
    fn any_answers_give_a_source(
        answers in prop::collection::vec((0..3_u8, 0..3_u8, 0..5_i64, 0..5_i64, 1..3_i64), 0..40),
    ) {
        let mut freshness = Freshness::new(BOUND);
        for (index, (primary, standby, here, there, timeline)) in answers.into_iter().enumerate() {
            let now = 100 * index as u64;
            freshness.primary_answered(now, match primary {
                0 => FromPrimary::At(LogPosition { timeline, ..at(here) }),
                1 => FromPrimary::Unclear,
                _ => FromPrimary::Silent,
            });
            freshness.standby_answered(match standby {
                0 => FromStandby::At(at(there)),
                1 => FromStandby::Silent,
                _ => FromStandby::Promoted,
            });
            let is_asked = matches!(
                freshness.source(now),
                Source::Standby { .. } | Source::Primary(_)
            );
            prop_assert_ne!(is_asked, freshness.is_primary_away());
        }
    }
}
