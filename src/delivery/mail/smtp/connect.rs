//! Connects to the relay's host.

use std::net::SocketAddr;

use tokio::net::{TcpStream, lookup_host};

use super::options::Relay;
use super::refusal::StepFailure;
use super::step::{NoReply, Step, within};
use crate::delivery::mail::SendFailure;
use crate::outgoing::silent;

/// Connects to the address of the relay that answers first.
pub(super) async fn connect(relay: &Relay) -> Result<TcpStream, StepFailure> {
    let connecting = async {
        let addresses: Vec<SocketAddr> = match lookup_host((&*relay.host, relay.port)).await {
            Ok(addresses) => addresses.collect(),
            Err(error) => return Ok(Err(unresolved(&error.to_string()))),
        };
        match silent::connect(&addresses, &relay.silent, TcpStream::connect).await {
            Ok(tcp) => Ok(Ok(tcp)),
            Err(Some(error)) => Err(NoReply::Io(error)),
            Err(None) => Ok(Err(unresolved("it has no address"))),
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

fn unresolved(error: &str) -> StepFailure {
    let reason = format!("cannot resolve the host of the relay: {error}");
    StepFailure::other(SendFailure::transient(reason))
}
