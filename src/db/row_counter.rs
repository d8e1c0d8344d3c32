//! How far a command is that goes through many rows.

/// Called with the number of rows that are done, and of all of them.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Counts rows, and reports each step.
pub struct RowCounter<'a> {
    done: u64,
    total: u64,
    report: Progress<'a>,
}

impl<'a> RowCounter<'a> {
    /// Nothing of `total` rows is done.
    pub fn new(total: u64, report: Progress<'a>) -> Self {
        Self {
            done: 0,
            total,
            report,
        }
    }

    /// So many more are done.
    pub fn add(&mut self, rows: u64) {
        self.done += rows;
        (self.report)(self.done, self.total);
    }
}
