//! A mail relay that takes everything at once, or after a delay, and remembers the tokens.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A running relay. Clones are the same one.
#[derive(Clone, Default)]
pub struct Relay(Arc<Shared>);

#[derive(Default)]
struct Shared {
    delay_ms: AtomicU64,
    // The token by the recipient, which is removed when it is taken.
    tokens: Mutex<HashMap<String, String>>,
    arrived: Condvar,
}

const WAIT: Duration = Duration::from_secs(30);

impl Relay {
    /// Starts one; returns it and its port.
    pub fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
        let port = listener.local_addr().expect("an address").port();
        let relay = Self::default();
        let started = relay.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let relay = relay.clone();
                // An error means that the server hung up.
                std::thread::spawn(move || stream.and_then(|stream| relay.talk(stream)));
            }
        });
        (started, port)
    }

    /// From now on a mail is taken after that time.
    pub fn delay(&self, ms: u64) {
        self.0.delay_ms.store(ms, Ordering::Relaxed);
    }

    /// The token in the mail to that address, which may be on its way.
    pub fn take_token(&self, address: &str) -> String {
        let tokens = self.0.tokens.lock();
        let tokens = tokens.unwrap_or_else(PoisonError::into_inner);
        let is_missing = |tokens: &mut HashMap<String, String>| !tokens.contains_key(address);
        let arrived = self.0.arrived.wait_timeout_while(tokens, WAIT, is_missing);
        let (mut tokens, _) = arrived.unwrap_or_else(PoisonError::into_inner);
        tokens.remove(address).expect("a mail")
    }

    fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let (mut line, mut recipient) = (String::new(), String::new());
        stream.get_mut().write_all(b"220 relay ESMTP\r\n")?;
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let verb = line.split([' ', '\r']).next().unwrap_or_default();
            let reply = match verb.to_ascii_uppercase().as_str() {
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                    address.clone_into(&mut recipient);
                    "250 ok\r\n"
                }
                "DATA" => {
                    stream.get_mut().write_all(b"354 go on\r\n")?;
                    let mail = read_mail(&mut stream)?;
                    let delay = self.0.delay_ms.load(Ordering::Relaxed);
                    if delay > 0 {
                        std::thread::sleep(Duration::from_millis(delay));
                    }
                    self.store(&recipient, &mail);
                    "250 ok\r\n"
                }
                "EHLO" => "250-relay\r\n250 8BITMIME\r\n",
                "QUIT" => return stream.get_mut().write_all(b"221 bye\r\n"),
                _ => "250 ok\r\n",
            };
            stream.get_mut().write_all(reply.as_bytes())?;
        }
    }

    /// Remembers the token of the link in a mail, of those that [`flow`](super::flow) sends.
    fn store(&self, recipient: &str, mail: &str) {
        // Quoted-printable.
        let mail = mail.replace("=\r\n", "").replace("=3D", "=");
        let Some((_, rest)) = mail.split_once("token=") else {
            return;
        };
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let token: String = rest.chars().take_while(|c| is_part(*c)).collect();
        if recipient.starts_with("flow") {
            let tokens = self.0.tokens.lock();
            let mut tokens = tokens.unwrap_or_else(PoisonError::into_inner);
            tokens.insert(recipient.to_owned(), token);
            self.0.arrived.notify_all();
        }
    }
}

fn read_mail(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut mail = String::new();
    while !mail.ends_with("\r\n.\r\n") {
        if stream.read_line(&mut mail)? == 0 {
            break;
        }
    }
    Ok(mail)
}
