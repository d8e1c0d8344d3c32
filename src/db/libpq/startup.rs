//! What the server says before it has authenticated the client (`PostgreSQL`
//! documentation, sections "Message Flow" and "SASL Authentication").

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The type of the messages about authentication, and of the one about the version of
/// the protocol, which may come before.
const AUTHENTICATION: u8 = b'R';
const PROTOCOL_VERSION: u8 = b'v';

/// The type of errors, which end the session here.
const ERROR: u8 = b'E';

/// The code of the message that lists SASL mechanisms.
const SASL: [u8; 4] = [0, 0, 0, 10];

/// Longer messages of these types do not exist.
const MAX_LENGTH: usize = 16 * 1024;

/// Carries what comes up to the first message about authentication. From its list of
/// mechanisms, those with channel binding are removed: libpq, which sees no TLS, would
/// take them for the trick of an attacker and end the connection. They add to a verified
/// certificate only what it says already. Calls `on_temporary` if the server says that it
/// may accept sessions later, before libpq gets to know it.
pub(super) async fn carry(
    from_server: &mut (impl AsyncRead + Unpin),
    to_client: &mut (impl AsyncWrite + Unpin),
    on_temporary: impl Fn(),
) -> io::Result<()> {
    loop {
        let kind = from_server.read_u8().await?;
        if !matches!(kind, AUTHENTICATION | PROTOCOL_VERSION | ERROR) {
            return to_client.write_all(&[kind]).await;
        }
        let written = from_server.read_u32().await?;
        let length = usize::try_from(written).unwrap_or(usize::MAX);
        if !(4..=MAX_LENGTH).contains(&length) {
            if kind == ERROR {
                // Without a process for the session, it is a text without a length.
                to_client.write_all(&[kind]).await?;
                return to_client.write_all(&written.to_be_bytes()).await;
            }
            let message = "the server sent an invalid message";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let mut body = vec![0; length - 4];
        from_server.read_exact(&mut body).await?;
        if kind == AUTHENTICATION {
            body = without_channel_binding(body);
        }
        if kind == ERROR && is_temporary(&body) {
            on_temporary();
        }
        let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
        let message = [&[kind], &length.to_be_bytes()[..], &body].concat();
        to_client.write_all(&message).await?;
        if kind != PROTOCOL_VERSION {
            return Ok(());
        }
    }
}

/// Whether an error is `cannot_connect_now`: the server starts, stops or recovers.
fn is_temporary(body: &[u8]) -> bool {
    let mut fields = body.split(|byte| *byte == 0);
    fields.any(|field| field == b"C57P03")
}

/// The body of a message about authentication without the mechanisms whose names end
/// with `-PLUS`.
fn without_channel_binding(body: Vec<u8>) -> Vec<u8> {
    let Some(mechanisms) = body.strip_prefix(&SASL) else {
        return body;
    };
    let kept = mechanisms
        .split_inclusive(|byte| *byte == 0)
        .filter(|name| !name.ends_with(b"-PLUS\0"));
    [&SASL[..], &kept.collect::<Vec<_>>().concat()].concat()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::carry;

    async fn carried(sent: &[u8]) -> Vec<u8> {
        let (mut from_server, mut received) = (sent, Vec::new());
        let _ = carry(&mut from_server, &mut received, || {}).await;
        received.extend(from_server);
        received
    }

    #[tokio::test]
    async fn channel_binding_is_not_offered() {
        let offered = b"R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        let left = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
        assert_eq!(carried(offered).await, left);
        let version = b"v\0\0\0\x0c\0\x03\0\0\0\0\0\0";
        let both = [&version[..], offered].concat();
        assert_eq!(carried(&both).await, [&version[..], left].concat());
        // The certificate, a password, errors.
        for other in [
            &b"R\0\0\0\x08\0\0\0\0R"[..],
            b"R\0\0\0\x0c\0\0\0\x05salt",
            b"E\0\0\0\x08FATA",
            b"Ecannot fork\0",
            b"",
        ] {
            assert_eq!(carried(other).await, other);
        }
    }

    #[tokio::test]
    async fn starting_server_is_recognized() {
        for (code, is_temporary) in [("57P03", true), ("28P01", false)] {
            let fields = format!("SFATAL\0C{code}\0Mwait\0\0");
            let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
            let sent = [b"E", &length[..], fields.as_bytes()].concat();
            let (mut from_server, mut received) = (&sent[..], Vec::new());
            let noted = Cell::new(false);
            let carried = carry(&mut from_server, &mut received, || noted.set(true));
            carried.await.unwrap();
            assert_eq!((noted.get(), received), (is_temporary, sent));
        }
    }
}
