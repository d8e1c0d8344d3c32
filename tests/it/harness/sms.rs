//! An SMS provider: it accepts the same requests as the real ones, and fails in the
//! ways that a test asks for.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sydent::config::{ProviderKind, ProviderSettings, Settings};

use super::{TestCa, wait_for};

/// The user name that it expects.
pub const SMS_USER: &str = "AC0123456789";
/// The password that it expects.
pub const SMS_PASSWORD: &str = "sms-password-44c1";

/// Longer than any test waits.
const NEVER: Duration = Duration::from_mins(2);

/// How it responds to the following requests.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Accepts the SMS, if the request is valid for its API.
    Accept,
    /// Responds with that status and body.
    Status(u16, String),
    /// Responds with these bytes and closes the connection.
    Bytes(String),
    /// Responds with these bytes and leaves the connection open.
    Unfinished(String),
    /// Accepts the SMS and closes the connection without a response.
    Lose,
    /// Responds like this after a while.
    Late(Duration, Box<Self>),
    /// Never responds.
    Stall,
    /// Sends a response that never ends.
    Flood,
}

/// A request that it received.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

/// An SMS that it accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentSms {
    pub to: String,
    pub from: String,
    pub body: String,
}

impl SentSms {
    /// The code in it.
    pub fn token(&self) -> String {
        let digits = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
        self.body
            .split_whitespace()
            .find(digits)
            .expect("a code")
            .to_owned()
    }
}

struct State {
    kind: ProviderKind,
    reply: Mutex<Reply>,
    requests: Mutex<Vec<Request>>,
    accepted: Mutex<Vec<SentSms>>,
}

/// A provider of one kind. It runs until the tests end.
pub struct SmsProvider {
    pub ca: Option<TestCa>,
    port: u16,
    state: Arc<State>,
}

impl SmsProvider {
    pub fn start(kind: ProviderKind) -> Self {
        Self::run(kind, None)
    }

    /// A provider with TLS and a certificate for `name`.
    pub fn with_certificate(kind: ProviderKind, name: &str) -> Self {
        let ca = TestCa::new();
        Self::run(kind, Some((ca, name)))
    }

    fn run(kind: ProviderKind, certified: Option<(TestCa, &str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            kind,
            reply: Mutex::new(Reply::Accept),
            requests: Mutex::default(),
            accepted: Mutex::default(),
        });
        let tls = certified.as_ref().map(|(ca, name)| ca.server_config(name));
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, tls) = (Arc::clone(&serving), tls.clone());
                std::thread::spawn(move || {
                    let _ = match tls {
                        None => state.serve(stream),
                        Some(tls) => {
                            let connection = ServerConnection::new(tls).unwrap();
                            state.serve(StreamOwned::new(connection, stream))
                        }
                    };
                });
            }
        });
        Self {
            ca: certified.map(|(ca, _)| ca),
            port,
            state,
        }
    }

    /// The content of `[sms.providers.NAME]` for it.
    pub fn settings(&self) -> ProviderSettings {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        let path = match self.state.kind {
            ProviderKind::OpenMarket => "/sms/v4/mt",
            ProviderKind::Gateway => "/send",
            ProviderKind::Twilio | ProviderKind::File => "",
        };
        let mut settings = ProviderSettings {
            kind: Some(self.state.kind),
            url: Some(format!("{scheme}://localhost:{}{path}", self.port)),
            username: Some(SMS_USER.to_owned()),
            password: Some(SMS_PASSWORD.to_owned().into()),
            ca_file: self.ca.as_ref().map(TestCa::file),
            ..ProviderSettings::default()
        };
        if self.state.kind == ProviderKind::Gateway {
            let body = r#"{"to": "{to}", "from": "{from}", "text": "{text}"}"#;
            settings.body = Some(body.to_owned());
        }
        settings
    }

    /// Makes a server send its SMS here.
    pub fn configure(&self, settings: &mut Settings) {
        let providers = &mut settings.sms.providers;
        providers.insert("main".to_owned(), self.settings());
        let sender = vec!["alpha:Example".to_owned()];
        settings
            .sms
            .originators
            .insert("default".to_owned(), sender);
    }

    /// Changes how it responds.
    pub fn behave(&self, reply: Reply) {
        *self.state.reply.lock().unwrap() = reply;
    }

    /// All requests so far, the oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// The SMS to a number that it accepted, the oldest first.
    pub fn all_sms_to(&self, msisdn: &str) -> Vec<SentSms> {
        let accepted = self.state.accepted.lock().unwrap();
        let to_it = accepted.iter().filter(|text| text.to == msisdn);
        to_it.cloned().collect()
    }

    /// The newest SMS to a number, as soon as there is one.
    pub async fn sms_to(&self, msisdn: &str) -> SentSms {
        wait_for("an SMS", async || self.all_sms_to(msisdn).pop()).await
    }
}

impl State {
    fn serve(&self, stream: impl Read + Write) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let request = read(&mut stream)?;
        self.requests.lock().unwrap().push(request.clone());
        let mut reply = self.reply.lock().unwrap().clone();
        if let Reply::Late(delay, then) = reply {
            pause(delay);
            reply = *then;
        }
        let out = stream.get_mut();
        match reply {
            Reply::Accept => {
                let (status, more, body) = self.accept(&request);
                answer(out, status, &more, &body)
            }
            Reply::Status(status, body) => answer(out, status, "", &body),
            Reply::Bytes(bytes) => {
                out.write_all(bytes.as_bytes())?;
                out.flush()
            }
            Reply::Unfinished(bytes) => {
                out.write_all(bytes.as_bytes())?;
                out.flush()?;
                pause(NEVER);
                Ok(())
            }
            Reply::Lose => {
                self.accept(&request);
                Ok(())
            }
            Reply::Late(..) | Reply::Stall => {
                pause(NEVER);
                Ok(())
            }
            Reply::Flood => {
                out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                loop {
                    out.write_all(b"4\r\nmore\r\n")?;
                }
            }
        }
    }

    /// Status, further headers and body of the response.
    fn accept(&self, request: &Request) -> (u16, String, String) {
        let login = format!("{SMS_USER}:{SMS_PASSWORD}");
        let login = base64::engine::general_purpose::STANDARD.encode(login);
        if request.header("authorization") != format!("Basic {login}") {
            return (401, String::new(), "{}".to_owned());
        }
        let text = match self.kind {
            ProviderKind::OpenMarket => openmarket(request),
            ProviderKind::Twilio => twilio(request),
            ProviderKind::Gateway | ProviderKind::File => gateway(request),
        };
        let Some(text) = text else {
            return (
                400,
                String::new(),
                json!({"error": "malformed"}).to_string(),
            );
        };
        self.accepted.lock().unwrap().push(text);
        match self.kind {
            ProviderKind::OpenMarket => {
                let location = "Location: http://smsc.example/sms/v4/mt/status/17-0a2b\r\n";
                (202, location.to_owned(), String::new())
            }
            ProviderKind::Twilio => {
                let body = json!({"sid": "SM17", "status": "queued", "error_code": null});
                (201, String::new(), body.to_string())
            }
            ProviderKind::Gateway | ProviderKind::File => (200, String::new(), "OK 17".to_owned()),
        }
    }
}

fn openmarket(request: &Request) -> Option<SentSms> {
    let fits = request.method == "POST"
        && request.target == "/sms/v4/mt"
        && request.header("content-type") == "application/json";
    let body: Value = serde_json::from_str(&request.body).ok().filter(|_| fits)?;
    let send = &body["mobileTerminate"];
    let (message, source) = (&send["message"], &send["source"]);
    let type_of_number = match source["ton"].as_i64()? {
        1 => "long",
        3 => "short",
        5 => "alpha",
        _ => return None,
    };
    let from = format!("{type_of_number}:{}", source["address"].as_str()?);
    (message["type"] == "text").then_some(SentSms {
        to: send["destination"]["address"].as_str()?.to_owned(),
        from,
        body: message["content"].as_str()?.to_owned(),
    })
}

fn twilio(request: &Request) -> Option<SentSms> {
    let path = format!("/2010-04-01/Accounts/{SMS_USER}/Messages.json");
    let fits = request.method == "POST"
        && request.target == path
        && request.header("content-type") == "application/x-www-form-urlencoded";
    let value = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(request.body.as_bytes());
        let found = pairs.find(|(known, _)| known == name);
        found.filter(|_| fits).map(|(_, value)| value.into_owned())
    };
    Some(SentSms {
        to: value("To")?.strip_prefix('+')?.to_owned(),
        from: value("From").or_else(|| value("MessagingServiceSid"))?,
        body: value("Body")?,
    })
}

/// Reads the body that [`SmsProvider::settings`] configures.
fn gateway(request: &Request) -> Option<SentSms> {
    let body: Value = serde_json::from_str(&request.body).ok()?;
    let value = |name: &str| Some(body[name].as_str()?.to_owned());
    Some(SentSms {
        to: value("to")?,
        from: value("from")?,
        body: value("text")?,
    })
}

fn read(stream: &mut BufReader<impl Read>) -> io::Result<Request> {
    let mut line = || -> io::Result<String> {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ').map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        headers: Vec::new(),
        body: String::new(),
    };
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(": ") else {
            break;
        };
        request.headers.push((name.to_owned(), value.to_owned()));
    }
    let length = request.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    request.body = String::from_utf8(body).map_err(io::Error::other)?;
    Ok(request)
}

fn answer(out: &mut impl Write, status: u16, more: &str, body: &str) -> io::Result<()> {
    write!(
        out,
        "HTTP/1.1 {status} Status\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    out.flush()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of the test that must not respond yet"
)]
fn pause(delay: Duration) {
    std::thread::sleep(delay);
}

/// A number that no other test uses, of a range that is reserved for fiction.
pub fn fresh_msisdn() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "447700{:06}",
        900_000 + COUNT.fetch_add(1, Ordering::SeqCst) % 1000
    )
}
