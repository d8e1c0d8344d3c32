//! Requests that client libraries do not send.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Answer, Api};

impl Api {
    /// Sends these bytes and reads until the server closes the connection; `None`
    /// if it sends no response. The bytes should contain `Connection: close`.
    pub async fn raw(&self, request: &[u8]) -> Option<Answer> {
        let address = self.base.strip_prefix("http://").unwrap();
        let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
        let mut bytes = Vec::new();
        let exchange = async {
            // A server that refuses a request closes before it has read all of it;
            // the response was sent before that.
            let _ = tokio::join!(to.write_all(request), from.read_to_end(&mut bytes));
        };
        tokio::time::timeout(Duration::from_mins(1), exchange)
            .await
            .expect("the server answers or closes");
        parse(&bytes)
    }
}

pub(super) fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Some(Answer {
        status,
        headers,
        body: bytes[end + 4..].to_vec(),
    })
}
