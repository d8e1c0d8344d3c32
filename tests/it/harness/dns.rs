//! A name server with the records that a test adds, and the faults that it asks for.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, OnceLock};

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use sydent::config::Settings;

/// By name, in lower case and without the final dot.
type Zone = HashMap<String, Vec<RData>>;

/// How a name server answers some questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsFault {
    /// Never.
    Silent,
    /// With that code.
    Code(ResponseCode),
    /// Over UDP with an empty, truncated message; over TCP completely.
    Truncated,
    /// With an alias alone, without the records of its target.
    BareAlias,
}

/// A name server on loopback. It answers until the tests end.
#[derive(Default)]
pub struct TestDns {
    address: Option<SocketAddr>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    zone: Mutex<Zone>,
    /// For questions whose name begins with that text, of a type or of all types.
    faults: Mutex<Vec<(String, Option<RecordType>, DnsFault)>>,
    /// All names that were queried.
    queries: Mutex<Vec<String>>,
}

impl TestDns {
    /// A name server without records, which all tests share.
    pub fn empty() -> &'static Self {
        static EMPTY: OnceLock<TestDns> = OnceLock::new();
        EMPTY.get_or_init(Self::start)
    }

    pub fn start() -> Self {
        let (udp, tcp) = sockets();
        let dns = Self {
            address: Some(udp.local_addr().unwrap()),
            ..Self::default()
        };
        let state = Arc::clone(&dns.state);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                if let Some(answer) = state.answer(&buffer[..length], true) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        let state = Arc::clone(&dns.state);
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || -> std::io::Result<()> {
                    loop {
                        let mut length = [0; 2];
                        stream.read_exact(&mut length)?;
                        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                        stream.read_exact(&mut question)?;
                        if let Some(answer) = state.answer(&question, false) {
                            let length = u16::try_from(answer.len()).unwrap();
                            stream.write_all(&length.to_be_bytes())?;
                            stream.write_all(&answer)?;
                        }
                    }
                });
            }
        });
        dns
    }

    /// Makes it the only name server of a server.
    pub fn configure(&self, settings: &mut Settings) {
        settings.federation.dns_servers = self.address.into_iter().collect();
    }

    /// Where it listens.
    pub fn listens_at(&self) -> SocketAddr {
        self.address.unwrap()
    }

    /// Adds an address record of a host.
    pub fn address(&self, host: &str, ip: &str) {
        let data = match ip.parse().unwrap() {
            IpAddr::V4(ip) => RData::A(ip.into()),
            IpAddr::V6(ip) => RData::AAAA(ip.into()),
        };
        self.add(host, data);
    }

    /// Adds an SRV record, for example of `_matrix._tcp.hs.test`.
    pub fn service(&self, name: &str, priority: u16, port: u16, target: &str) {
        self.add(
            name,
            RData::SRV(SRV::new(priority, 0, port, absolute(target))),
        );
    }

    /// Makes a name an alias of another one.
    pub fn alias(&self, name: &str, target: &str) {
        self.add(name, RData::CNAME(CNAME(absolute(target))));
    }

    /// Answers questions wrongly whose name begins with that text, of a type or of all.
    pub fn fail(&self, prefix: &str, kind: Option<RecordType>, fault: DnsFault) {
        let mut faults = self.state.faults.lock().unwrap();
        faults.insert(0, (prefix.to_owned(), kind, fault));
    }

    /// Ends all faults.
    pub fn recover(&self) {
        self.state.faults.lock().unwrap().clear();
    }

    /// All names that were queried so far.
    pub fn queries(&self) -> Vec<String> {
        self.state.queries.lock().unwrap().clone()
    }

    /// Removes the records of a host.
    pub fn forget(&self, host: &str) {
        self.state.zone.lock().unwrap().remove(host);
    }

    fn add(&self, name: &str, data: RData) {
        let mut zone = self.state.zone.lock().unwrap();
        zone.entry(name.to_owned()).or_default().push(data);
    }
}

/// Sockets with the same port.
fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

fn absolute(name: &str) -> Name {
    Name::from_ascii(format!("{name}.").replace("..", ".")).unwrap()
}

impl State {
    /// The answer to a question; `None` if there is none.
    fn answer(&self, question: &[u8], over_udp: bool) -> Option<Vec<u8>> {
        let mut message = Message::from_vec(question).unwrap();
        message.metadata.message_type = MessageType::Response;
        message.edns = None;
        let query = message.queries[0].clone();
        let name = query.name().to_ascii().to_lowercase();
        let name = name.trim_end_matches('.').to_owned();
        self.queries.lock().unwrap().push(name.clone());
        let fault = self.fault(&name, query.query_type());
        match fault {
            Some(DnsFault::Silent) => return None,
            Some(DnsFault::Code(code)) => message.metadata.response_code = code,
            Some(DnsFault::Truncated) if over_udp => message.metadata.truncation = true,
            _ => {
                let follows = fault != Some(DnsFault::BareAlias);
                self.add_records(&mut message, query.name().clone(), follows);
            }
        }
        Some(message.to_vec().unwrap())
    }

    fn fault(&self, name: &str, kind: RecordType) -> Option<DnsFault> {
        let faults = self.faults.lock().unwrap();
        let mut matching = faults.iter().filter(|(prefix, of_kind, _)| {
            name.starts_with(prefix.as_str()) && of_kind.is_none_or(|of_kind| of_kind == kind)
        });
        matching.next().map(|(_, _, fault)| *fault)
    }

    /// Adds the records of a name, and those of the name that it is an alias of.
    fn add_records(&self, message: &mut Message, mut name: Name, follows: bool) {
        let kind = message.queries[0].query_type();
        let zone = self.zone.lock().unwrap();
        for _ in 0..10 {
            let key = name.to_ascii().to_lowercase();
            let Some(all) = zone.get(key.trim_end_matches('.')) else {
                message.metadata.response_code = ResponseCode::NXDomain;
                return;
            };
            let mut alias = None;
            for data in all {
                if let RData::CNAME(target) = data {
                    alias = Some(target.0.clone());
                } else if data.record_type() != kind {
                    continue;
                }
                // A TTL of 0: resolvers must not cache it.
                message.add_answer(Record::from_rdata(name.clone(), 0, data.clone()));
            }
            match alias.filter(|_| follows && kind != RecordType::CNAME) {
                Some(target) => name = target,
                None => return,
            }
        }
    }
}
