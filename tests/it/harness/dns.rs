//! A name server with the records that a test adds.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, OnceLock};

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record};
use sydent::config::Settings;

/// By name, in lower case and without the final dot.
type Zone = HashMap<String, Vec<RData>>;

/// A name server on loopback. It answers until the tests end.
#[derive(Default)]
pub struct TestDns {
    address: Option<SocketAddr>,
    zone: Arc<Mutex<Zone>>,
    /// All names that were queried.
    queries: Arc<Mutex<Vec<String>>>,
}

impl TestDns {
    /// A name server without records, which all tests share.
    pub fn empty() -> &'static Self {
        static EMPTY: OnceLock<TestDns> = OnceLock::new();
        EMPTY.get_or_init(Self::start)
    }

    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let dns = Self {
            address: Some(socket.local_addr().unwrap()),
            ..Self::default()
        };
        let (zone, queries) = (Arc::clone(&dns.zone), Arc::clone(&dns.queries));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let answer = answer(&buffer[..length], &zone, &queries);
                let _ = socket.send_to(&answer, from);
            }
        });
        dns
    }

    /// Makes it the only name server of a server.
    pub fn configure(&self, settings: &mut Settings) {
        settings.federation.dns_servers = self.address.into_iter().collect();
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
        let target = Name::from_ascii(format!("{target}.").replace("..", ".")).unwrap();
        self.add(name, RData::SRV(SRV::new(priority, 0, port, target)));
    }

    /// All names that were queried so far.
    pub fn queries(&self) -> Vec<String> {
        self.queries.lock().unwrap().clone()
    }

    /// Removes the records of a host.
    pub fn forget(&self, host: &str) {
        self.zone.lock().unwrap().remove(host);
    }

    fn add(&self, name: &str, data: RData) {
        let mut zone = self.zone.lock().unwrap();
        zone.entry(name.to_owned()).or_default().push(data);
    }
}

fn answer(question: &[u8], zone: &Mutex<Zone>, queries: &Mutex<Vec<String>>) -> Vec<u8> {
    let mut message = Message::from_vec(question).unwrap();
    message.metadata.message_type = MessageType::Response;
    message.edns = None;
    let query = message.queries[0].clone();
    let name = query.name().to_ascii().to_lowercase();
    let name = name.trim_end_matches('.').to_owned();
    queries.lock().unwrap().push(name.clone());
    match zone.lock().unwrap().get(&name) {
        Some(all) => {
            let fitting = all
                .iter()
                .filter(|data| data.record_type() == query.query_type());
            for data in fitting {
                // A TTL of 0: resolvers must not cache it.
                let record = Record::from_rdata(query.name().clone(), 0, data.clone());
                message.add_answer(record);
            }
        }
        None => message.metadata.response_code = ResponseCode::NXDomain,
    }
    message.to_vec().unwrap()
}
