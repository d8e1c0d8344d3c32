//! Sydent's rate limits: a burst and a rate in messages per second.

use super::ConfError;
use super::config_draft::ConfigDraft;
use super::sydent_settings::SydentSettings;

/// A rate limit of Sydent, with its default.
pub(super) struct Limit {
    /// The table of this server.
    pub(super) table: &'static str,
    /// The section of Sydent.
    pub(super) section: &'static str,
    /// What Sydent's keys begin with.
    pub(super) prefix: &'static str,
    pub(super) burst: i64,
    pub(super) every_ms: i64,
}

impl Limit {
    pub(super) fn convert(
        &self,
        sydent: &SydentSettings,
        draft: &mut ConfigDraft,
    ) -> Result<(), ConfError> {
        self.convert_burst(sydent, draft)?;
        self.convert_rate(sydent, draft)
    }

    fn convert_burst(
        &self,
        sydent: &SydentSettings,
        draft: &mut ConfigDraft,
    ) -> Result<(), ConfError> {
        let key = format!("{}.burst", self.prefix);
        let Some(setting) = sydent.get_optional(self.section, &key)? else {
            draft.set_with_comment(self.table, "burst", self.burst, &self.default_comment(&key));
            return Ok(());
        };
        let value = setting.as_int()?;
        let burst = value.clamp(1, 1_000_000);
        if burst != value {
            draft.add_remark(format!(
                "{}.burst is {burst} instead of {value} ({}): it must be from 1 to 1000000, since 0 \
                 would switch the limit off.",
                self.table, setting.origin
            ));
        }
        draft.set(self.table, "burst", burst, &setting);
        Ok(())
    }

    fn convert_rate(
        &self,
        sydent: &SydentSettings,
        draft: &mut ConfigDraft,
    ) -> Result<(), ConfError> {
        let key = format!("{}.rate_hz", self.prefix);
        let Some(setting) = sydent.get_optional(self.section, &key)? else {
            let every = format_period(self.every_ms);
            draft.set_with_comment(self.table, "every", every, &self.default_comment(&key));
            return Ok(());
        };
        let every_ms = (1000.0 / setting.as_positive()?)
            .round()
            .clamp(1.0, LONGEST_MS);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the value was clamped to the range of an i64"
        )]
        draft.set(
            self.table,
            "every",
            format_period(every_ms as i64),
            &setting,
        );
        Ok(())
    }

    fn default_comment(&self, key: &str) -> String {
        format!("[{}] {key} (Sydent's default)", self.section)
    }
}

/// 366 days.
const LONGEST_MS: f64 = 31_622_400_000.0;

/// The period in the longest unit in which it is a whole number.
fn format_period(ms: i64) -> String {
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ];
    let unit = units.into_iter().find(|(length, _)| ms % length == 0);
    unit.map_or_else(
        || format!("{ms}ms"),
        |(length, unit)| format!("{}{unit}", ms / length),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_use_the_largest_exact_unit() {
        for (ms, text) in [
            (300_000, "5m"),
            (3_600_000, "1h"),
            (86_400_000, "1d"),
            (1500, "1500ms"),
            (2000, "2s"),
        ] {
            assert_eq!(format_period(ms), text);
        }
    }
}
