//! A homeserver: it serves the endpoints that identity servers use, over TLS with
//! a certificate of the tests' authority. It responds as Synapse does, or in the
//! wrong ways that a test asks for.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Map, Value, json};
use sydent::config::Settings;
use sydent::domain::ids::{KeyId, ServerName};
use sydent::domain::public_key::PublicKey;
use sydent::domain::signing::KeyPair;

use super::TestCa;
use super::homeserver_http::{self, Behaviour, Request};

pub const USER_INFO: &str = "/_matrix/federation/v1/openid/userinfo";
pub const SERVER_KEYS: &str = "/_matrix/key/v2/server";
pub const ONBIND: &str = "/_matrix/federation/v1/3pid/onbind";
pub const WELL_KNOWN: &str = "/.well-known/matrix/server";

/// The end of the validity of its keys, ms: later than the clock of any test.
const KEYS_VALID_UNTIL: i64 = 4_102_444_800_000;

/// A homeserver on loopback. It serves until the tests end.
pub struct Homeserver {
    /// Its server name.
    pub name: ServerName,
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

/// The data of a homeserver, and the requests that it received.
pub(super) struct State {
    name: ServerName,
    tokens: Mutex<HashMap<String, String>>,
    key: Mutex<KeyPair>,
    onbind_method: Mutex<&'static str>,
    behaviours: Mutex<HashMap<String, Behaviour>>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicU32,
}

impl Homeserver {
    /// A homeserver with a unique name, `hsN.test`.
    pub fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        Self::named(&format!("hs{count}.test"))
    }

    /// A homeserver with that server name.
    pub fn named(name: &str) -> Self {
        let host = ServerName::parse(name).unwrap().host().to_owned();
        let host = host.trim_matches(['[', ']']).to_owned();
        Self::with_certificate(name, &host, "127.0.0.1:0", shared_ca())
    }

    /// A homeserver with a certificate for another name or of another authority,
    /// or with another address on loopback.
    pub fn with_certificate(name: &str, certified: &str, listen: &str, ca: &TestCa) -> Self {
        Self::with_tls(name, listen, ca.server_config(certified))
    }

    /// A homeserver with these TLS settings.
    pub fn with_tls(name: &str, listen: &str, tls: Arc<rustls::ServerConfig>) -> Self {
        let name = ServerName::parse(name).unwrap();
        let state = Arc::new(State {
            name: name.clone(),
            tokens: Mutex::default(),
            key: Mutex::new(key_pair("ed25519:hs", 7)),
            onbind_method: Mutex::new("POST"),
            behaviours: Mutex::default(),
            requests: Mutex::default(),
            connections: AtomicU32::new(0),
        });
        let address = homeserver_http::serve(listen, tls, Arc::clone(&state));
        Self {
            name,
            address,
            state,
        }
    }

    /// Makes a server find it and trust it.
    pub fn configure(&self, settings: &mut Settings) {
        trust(settings);
        let hosts = &mut settings.federation.hosts;
        hosts.insert(self.name.to_string(), self.address);
    }

    /// The user id of one of its users.
    pub fn user(&self, localpart: &str) -> String {
        format!("@{localpart}:{}", self.name)
    }

    /// An `OpenID` token of one of its users.
    pub fn openid_token(&self, localpart: &str) -> String {
        let mut tokens = self.state.tokens.lock().unwrap();
        let token = format!("token-{}-{localpart}", tokens.len());
        tokens.insert(token.clone(), self.user(localpart));
        token
    }

    /// The body of a registration with a fresh token of that user.
    pub fn open_id(&self, localpart: &str) -> Value {
        json!({
            "access_token": self.openid_token(localpart),
            "token_type": "Bearer",
            "matrix_server_name": self.name,
            "expires_in": 3600,
        })
    }

    /// Changes how it responds to requests for that path.
    pub fn behave(&self, path: &str, behaviour: Behaviour) {
        let mut behaviours = self.state.behaviours.lock().unwrap();
        behaviours.insert(path.to_owned(), behaviour);
    }

    /// Responds to requests for that path normally again.
    pub fn behave_normally(&self, path: &str) {
        self.state.behaviours.lock().unwrap().remove(path);
    }

    /// Makes onbind accept that method only, `POST` or `PUT`.
    pub fn set_onbind_method(&self, method: &'static str) {
        *self.state.onbind_method.lock().unwrap() = method;
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> u32 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// All requests so far, the oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    /// The requests for that path so far.
    pub fn requests_to(&self, path: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.path == path);
        requests
    }

    /// The bodies of the onbind notifications that it accepted, the oldest first.
    pub fn onbinds(&self) -> Vec<Value> {
        let method = *self.state.onbind_method.lock().unwrap();
        let requests = self.requests_to(ONBIND);
        let taken = requests.iter().filter(|request| request.method == method);
        taken.map(Request::json).collect()
    }

    /// Its signing key's id and public half.
    pub fn key(&self) -> (KeyId, PublicKey) {
        let key = self.state.key.lock().unwrap();
        (key.id().clone(), key.public())
    }

    /// Replaces its signing key; the old one is no longer published.
    pub fn rotate_key(&self, id: &str, seed: u8) {
        *self.state.key.lock().unwrap() = key_pair(id, seed);
    }

    /// What it publishes about its keys, without the signature.
    pub fn unsigned_keys(&self) -> Value {
        self.state.unsigned_keys()
    }

    /// An object with this server's signature.
    pub fn signed(&self, object: Value) -> Value {
        self.state.signed(object)
    }

    /// The `Authorization` header of a request that it sends to `destination`
    /// (Server-Server API, "Request Authentication"). `uri` is path and query.
    pub fn authorization(
        &self,
        method: &str,
        uri: &str,
        destination: &str,
        content: Option<&Value>,
    ) -> String {
        let mut request = json!({
            "method": method,
            "uri": uri,
            "origin": self.name,
            "destination": destination,
        });
        if let Some(content) = content {
            request["content"] = content.clone();
        }
        let signed = self.signed(request);
        let (id, _) = self.key();
        let signature = &signed["signatures"][self.name.as_str()][id.as_str()];
        format!(
            "X-Matrix origin=\"{}\",destination=\"{destination}\",key=\"{id}\",sig={signature}",
            self.name
        )
    }
}

/// Makes a server trust the homeservers of the tests.
pub fn trust(settings: &mut Settings) {
    settings.federation.ca_file = Some(shared_ca().file());
}

/// The certificate authority of all homeservers.
pub fn shared_ca() -> &'static TestCa {
    static SHARED: OnceLock<TestCa> = OnceLock::new();
    SHARED.get_or_init(TestCa::new)
}

fn key_pair(id: &str, seed: u8) -> KeyPair {
    KeyPair::from_seed(KeyId::parse(id).unwrap(), &[seed; 32])
}

impl State {
    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::SeqCst);
    }

    /// Records a request and chooses the response.
    pub(super) fn answer(&self, request: &Request) -> Behaviour {
        self.requests.lock().unwrap().push(request.clone());
        if let Some(behaviour) = self.behaviours.lock().unwrap().get(&request.path) {
            return behaviour.clone();
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", USER_INFO) => self.user_info(request),
            ("GET", SERVER_KEYS) => Behaviour::json(200, &self.signed(self.unsigned_keys())),
            (method, ONBIND) => {
                if method == *self.onbind_method.lock().unwrap() {
                    Behaviour::json(200, &json!({}))
                } else {
                    refusal(405, "M_UNRECOGNIZED")
                }
            }
            _ => refusal(404, "M_UNRECOGNIZED"),
        }
    }

    fn user_info(&self, request: &Request) -> Behaviour {
        let Some(token) = request.query("access_token") else {
            return refusal(401, "M_MISSING_TOKEN");
        };
        match self.tokens.lock().unwrap().get(&token) {
            Some(user) => Behaviour::json(200, &json!({"sub": user})),
            None => refusal(401, "M_UNKNOWN_TOKEN"),
        }
    }

    fn unsigned_keys(&self) -> Value {
        let key = self.key.lock().unwrap();
        let mut keys = Map::new();
        let public = key.public().to_base64();
        keys.insert(key.id().to_string(), json!({"key": public}));
        json!({
            "server_name": self.name,
            "valid_until_ts": KEYS_VALID_UNTIL,
            "verify_keys": keys,
            "old_verify_keys": {},
        })
    }

    fn signed(&self, mut object: Value) -> Value {
        let key = self.key.lock().unwrap();
        key.sign(&self.name, object.as_object_mut().unwrap())
            .unwrap();
        object
    }
}

fn refusal(status: u16, errcode: &str) -> Behaviour {
    Behaviour::json(status, &json!({"errcode": errcode, "error": errcode}))
}
