//! Who a request is about, for its line in the log: pseudonyms if `log.personal_data`
//! says so, otherwise nothing.

use std::cell::RefCell;
use std::rc::Rc;

use actix_web::{HttpMessage as _, HttpRequest};
use serde_json::{Map, Value};

use crate::app::App;
use crate::domain::ids::Mxid;
use crate::domain::msisdn::CanonicalMsisdn;
use crate::domain::phone::PhoneNumber;
use crate::domain::secret::Sid;
use crate::domain::subject_key::SubjectKey;
use crate::domain::threepid::ThreePid;

/// Who a request is about. It has no `Debug`.
#[derive(Clone, Default)]
pub struct LoggedPerson(Rc<RefCell<About>>);

#[derive(Default)]
struct About {
    user: Option<Mxid>,
    address: Option<ThreePid>,
    session: Option<Sid>,
}

/// The pseudonyms in a line of the log; empty for what a request does not say.
#[derive(Debug, Default)]
pub(super) struct LoggedNames {
    /// The user.
    pub user: String,
    /// The address.
    pub address: String,
    /// The validation session.
    pub session: String,
}

impl LoggedPerson {
    /// Finds out who a request is about, and remembers it with the request. Its values
    /// may be invalid.
    pub(super) fn note(
        app: &App,
        request: &HttpRequest,
        caller: Option<&Mxid>,
        fields: Option<&Map<String, Value>>,
    ) -> Self {
        if app.pseudonyms.is_none() {
            return Self::default();
        }
        let text = |name: &str| fields?.get(name)?.as_str();
        let user = || Mxid::parse(text("mxid").or_else(|| text("sender"))?).ok();
        let about = About {
            user: caller.cloned().or_else(user),
            address: fields.and_then(address),
            session: text("sid").and_then(|sid| Sid::parse(sid).ok()),
        };
        let person = Self(Rc::new(RefCell::new(about)));
        request.extensions_mut().insert(person.clone());
        person
    }

    /// Adds the session that a request has started.
    pub(super) fn add_session(&self, sid: &Sid) {
        self.0.borrow_mut().session = Some(sid.clone());
    }
}

/// The address in the fields of a request.
fn address(fields: &Map<String, Value>) -> Option<ThreePid> {
    let text = |name: &str| fields.get(name)?.as_str();
    if let Some(Value::Object(nested)) = fields.get("threepid") {
        return address(nested);
    }
    if let Some(email) = text("email") {
        return ThreePid::parse("email", email).ok();
    }
    if let Some(number) = text("phone_number") {
        let phone = PhoneNumber::parse(text("country").unwrap_or_default(), number).ok()?;
        let msisdn: &CanonicalMsisdn = phone.msisdn();
        return Some(ThreePid::Msisdn(msisdn.clone()));
    }
    ThreePid::parse(text("medium")?, text("address")?).ok()
}

/// The names of who a request is about, or `None` if the log has none.
pub(super) async fn names(app: &App, request: &HttpRequest) -> Option<LoggedNames> {
    let pseudonyms = app.pseudonyms.as_ref()?;
    let person = request.extensions().get::<LoggedPerson>().cloned();
    let Some(person) = person else {
        return Some(LoggedNames::default());
    };
    let key = match pseudonyms.known_key() {
        Some(key) => Some(Ok(key)),
        // The response waits for its line in the log.
        None => app.spare(pseudonyms.read_key()).await,
    };
    Some(match key {
        Some(Ok(key)) => person.named(&key),
        Some(Err(fault)) => {
            log::warn!("cannot read the key of the pseudonyms: {fault}");
            LoggedNames::default()
        }
        None => LoggedNames::default(),
    })
}

impl LoggedPerson {
    fn named(&self, key: &SubjectKey) -> LoggedNames {
        let about = self.0.borrow();
        let short = |hash: Option<String>| hash.map(|it| SubjectKey::pseudonym(&it));
        LoggedNames {
            user: short(about.user.as_ref().map(|user| key.user(user))).unwrap_or_default(),
            address: short(about.address.as_ref().map(|it| key.threepid(it))).unwrap_or_default(),
            session: short(about.session.as_ref().map(|sid| key.session(sid))).unwrap_or_default(),
        }
    }
}
