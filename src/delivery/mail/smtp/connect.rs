//! Connects to the relay's host.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::net::TcpStream;

use super::options::Relay;
use super::refusal::StepFailure;
use super::step::{NoReply, Step, within};
use crate::delivery::mail::SendFailure;
use crate::outgoing::{Names, silent};

/// The time limit of each question to the name servers. What they do not answer, the
/// system's resolver may know.
const DNS_LIMIT: Duration = Duration::from_secs(5);

/// Connects to the address of the relay that answers first.
pub(super) async fn connect(relay: &Relay) -> Result<TcpStream, StepFailure> {
    let limit = relay.timeout.min(DNS_LIMIT);
    let ips = relay.dns.addresses(&relay.host, Names::Configured, limit);
    let addresses = ips.map(|ip| SocketAddr::new(ip, relay.port));
    let connecting = async {
        match silent::connect(addresses, &relay.silent, TcpStream::connect).await {
            Ok(tcp) => Ok(Ok(tcp)),
            Err(Some(error)) => Err(NoReply::Io(error)),
            Err(None) => Ok(Err(unresolved())),
        }
    };
    let tcp = within(relay.timeout, connecting)
        .await
        .map_err(|error| StepFailure::unanswered(Step::Connection, &error))??;
    // Otherwise the end of every message waits 40 ms for a delayed acknowledgement.
    tcp.set_nodelay(true)
        .map_err(|error| StepFailure::unanswered(Step::Connection, &NoReply::Io(error)))?;
    Ok(tcp)
}

fn unresolved() -> StepFailure {
    let reason = "cannot resolve the host of the relay: it has no address";
    StepFailure::other(SendFailure::transient(reason))
}
