//! Asking homeservers, through the door that every flow uses.

mod calls;

use sydent::actor::federation::UserInfoError;
use sydent::domain::ids::ServerName;

use crate::harness::{Homeserver, TestServer};

/// A server that can reach that homeserver.
fn reaching(homeserver: &Homeserver) -> TestServer {
    TestServer::start(|settings| homeserver.configure(settings))
}

/// Who holds a token, by the name of a server.
async fn user_info(id: &TestServer, server: &str, token: &str) -> Result<String, UserInfoError> {
    let server = ServerName::parse(server).unwrap();
    let asked = id.app.federation.user_info(&server, token).await;
    let asked = asked.expect("the door is open");
    asked.map(|mxid| mxid.to_string())
}
