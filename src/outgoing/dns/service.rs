//! SRV records in the order in which to try them.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;

use super::{Dns, fqdn};
use crate::random;

/// How much longer than another question that was asked at the same time one may take
/// before it counts as unanswered: some name servers never answer some questions.
const LATE_ANSWER: Duration = Duration::from_millis(500);

/// The longest chain of aliases that is followed.
const MAX_ALIASES: usize = 4;

/// The SRV records of a service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// There are no records.
    NoRecords,
    /// The service is not available (RFC 2782: the target is the root).
    NotAvailable,
    /// Hosts and ports in the order in which to try them (NET-07).
    Targets(Vec<(String, u16)>),
}

impl Dns {
    /// The SRV records for federation of a host: those of `_matrix-fed`, or else the
    /// deprecated ones of `_matrix` (NET-04). Both are asked for at once.
    pub(crate) async fn service(&self, host: &str) -> Service {
        let newer = pin!(self.srv_records(host, "_matrix-fed"));
        let older = pin!(self.srv_records(host, "_matrix"));
        // A failed query counts as no records: TLS verifies the fallback target.
        let records = match select(newer, older).await {
            Either::Left((newer, older)) if newer.is_empty() => {
                timeout(LATE_ANSWER, older).await.unwrap_or_default()
            }
            Either::Left((newer, _)) => newer,
            Either::Right((older, newer)) => {
                let newer = timeout(LATE_ANSWER, newer).await.unwrap_or_default();
                if newer.is_empty() { older } else { newer }
            }
        };
        if records.is_empty() {
            Service::NoRecords
        } else {
            order(records, random::fraction)
        }
    }

    async fn srv_records(&self, host: &str, service: &str) -> Vec<Srv> {
        // The name of the service may be too long for DNS.
        let Ok(mut name) = fqdn(&format!("{service}._tcp.{host}")) else {
            return Vec::new();
        };
        for _ in 0..MAX_ALIASES {
            match self.srv_or_alias(&name).await {
                SrvAnswer::Records(records) => return records,
                SrvAnswer::Alias(alias) => name = alias,
            }
        }
        Vec::new()
    }

    /// The SRV records of a name, or its alias. hickory-resolver 0.26 does not find
    /// the records of an alias: it takes the target of the record for the name to
    /// look for (`handle_noerror` in its caching client).
    async fn srv_or_alias(&self, name: &Name) -> SrvAnswer {
        let records = async {
            let answers = self.query(name, RecordType::SRV).await;
            srv_records(answers.iter())
        };
        let alias = async {
            let answers = self.query(name, RecordType::CNAME).await;
            answers.into_iter().find_map(|data| match data {
                RData::CNAME(alias) => Some(alias.0),
                _ => None,
            })
        };
        let (records, alias) = (pin!(records), pin!(alias));
        let (records, alias) = match select(records, alias).await {
            Either::Left((records, alias)) if records.is_empty() => {
                let alias = timeout(LATE_ANSWER, alias).await.unwrap_or_default();
                (records, alias)
            }
            Either::Left((records, _)) => (records, None),
            // The name of an alias has no other records.
            Either::Right((Some(alias), _)) => (Vec::new(), Some(alias)),
            Either::Right((None, records)) => (records.await, None),
        };
        match alias {
            Some(alias) => SrvAnswer::Alias(alias),
            None => SrvAnswer::Records(records),
        }
    }
}

/// What DNS has for the name of a service.
enum SrvAnswer {
    Records(Vec<Srv>),
    Alias(Name),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Srv {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

fn srv_records<'a>(answers: impl Iterator<Item = &'a RData>) -> Vec<Srv> {
    answers
        .filter_map(|data| match data {
            RData::SRV(srv) => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii().trim_end_matches('.').to_owned(),
            }),
            _ => None,
        })
        .collect()
}

/// Orders records as RFC 2782 requires: by priority, and randomly by weight within
/// a priority. `random` returns numbers from 0 to 1.
fn order(mut records: Vec<Srv>, mut random: impl FnMut() -> f64) -> Service {
    if records.iter().all(|record| record.target.is_empty()) {
        return Service::NotAvailable;
    }
    records.retain(|record| !record.target.is_empty());
    // Records of weight 0 come first: otherwise they would never be selected.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::new();
    while let Some(first) = records.first() {
        let priority = first.priority;
        let candidates = records
            .iter()
            .take_while(|record| record.priority == priority);
        let total: u32 = candidates
            .clone()
            .map(|record| u32::from(record.weight))
            .sum();
        let threshold = random() * f64::from(total + 1);
        let mut sum = 0.0;
        let selected = candidates.enumerate().find_map(|(index, record)| {
            sum += f64::from(record.weight);
            // A threshold of 0 selects a record of weight 0, if there is one.
            (sum + 1.0 > threshold).then_some(index)
        });
        let record = records.remove(selected.unwrap_or(0));
        ordered.push((record.target, record.port));
    }
    Service::Targets(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, target: &str) -> Srv {
        Srv {
            priority,
            weight,
            port: 1,
            target: target.to_owned(),
        }
    }

    fn ordered(records: &[Srv], random: f64) -> Vec<String> {
        match order(records.to_vec(), || random) {
            Service::Targets(targets) => targets.into_iter().map(|(target, _)| target).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// NET-07
    #[test]
    fn priority_comes_before_weight() {
        let records = [srv(20, 100, "c"), srv(10, 0, "a"), srv(15, 1, "b")];
        for random in [0.0, 0.5, 0.99] {
            assert_eq!(ordered(&records, random), ["a", "b", "c"]);
        }
    }

    /// NET-07
    #[test]
    fn weight_is_the_probability_among_equals() {
        let records = [srv(1, 90, "heavy"), srv(1, 10, "light"), srv(1, 0, "none")];
        assert_eq!(ordered(&records, 0.0)[0], "none");
        assert_eq!(ordered(&records, 0.05)[0], "light");
        assert_eq!(ordered(&records, 0.5)[0], "heavy");
        assert_eq!(ordered(&records, 0.999)[0], "heavy");
        for random in [0.0, 0.3, 0.999] {
            assert_eq!(ordered(&records, random).len(), 3, "all are tried");
        }
    }

    /// NET-07
    #[test]
    fn root_target_means_no_service() {
        assert_eq!(order(vec![srv(0, 0, "")], || 0.0), Service::NotAvailable);
        assert_eq!(ordered(&[srv(0, 0, ""), srv(1, 0, "a")], 0.0), ["a"]);
    }
}
