//! Reads rows on a thread while others are processed.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread;

use super::super::DbError;
use super::record::Record;

/// So many pages wait until they are asked for, besides the one that is being read.
const PAGES_AHEAD: usize = 2;

/// Takes a page, and says whether to go on.
pub(super) type OnPage<'a> = dyn FnMut(Vec<Record>) -> ControlFlow<()> + 'a;

/// Passes the pages that `read` finds to `process`, in their order.
pub(super) fn read_ahead<E: From<DbError>>(
    read: impl FnOnce(&mut OnPage<'_>) -> Result<(), DbError> + Send,
    mut process: impl FnMut(&[Record]) -> Result<(), E>,
) -> Result<(), E> {
    thread::scope(|scope| {
        let (sender, pages) = mpsc::sync_channel(PAGES_AHEAD);
        let reading = scope.spawn(move || {
            read(&mut |page| match sender.send(page) {
                Ok(()) => ControlFlow::Continue(()),
                // An error of `process` has ended it.
                Err(_closed) => ControlFlow::Break(()),
            })
        });
        for page in pages {
            process(&page)?;
        }
        let read = reading.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok(read?)
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn page(number: i64) -> Vec<Record> {
        vec![Record::numbered(number)]
    }

    #[test]
    fn pages_come_in_their_order() {
        let mut seen = Vec::new();
        let read = |on_page: &mut OnPage<'_>| {
            for number in 0..10 {
                assert!(on_page(page(number)).is_continue());
            }
            Ok(())
        };
        read_ahead(read, |rows| {
            seen.extend(rows.iter().map(|row| row.row));
            Ok::<(), DbError>(())
        })
        .unwrap();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn failed_processing_ends_the_reading() {
        let read = |on_page: &mut OnPage<'_>| {
            let told_to_stop = (0..10).find(|number| on_page(page(*number)).is_break());
            assert!(told_to_stop.is_some());
            Ok(())
        };
        let result = read_ahead(read, |_rows| Err(DbError::Corrupt("page")));
        assert!(matches!(result, Err(DbError::Corrupt("page"))));
    }

    #[test]
    fn pages_before_a_failed_read_are_processed() {
        let processed = Cell::new(0);
        let read = |on_page: &mut OnPage<'_>| {
            assert!(on_page(page(0)).is_continue());
            Err(DbError::Corrupt("file"))
        };
        let result = read_ahead(read, |rows| {
            processed.set(processed.get() + rows.len());
            Ok::<(), DbError>(())
        });
        assert!(matches!(result, Err(DbError::Corrupt("file"))));
        assert_eq!(processed.get(), 1);
    }

    #[test]
    fn panic_of_the_reader_is_passed_on() {
        let read = |_: &mut OnPage<'_>| panic!("the reader");
        let passed = catch_unwind(AssertUnwindSafe(|| {
            let _ = read_ahead(read, |_rows| Ok::<(), DbError>(()));
        }));
        assert_eq!(passed.unwrap_err().downcast_ref(), Some(&"the reader"));
    }
}
