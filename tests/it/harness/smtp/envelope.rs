//! The envelope of a message, as MAIL and RCPT give it.

use super::command::Path;
use super::data::MAX_SIZE;

type Refusal = &'static str;

const UNKNOWN_PARAMETER: Refusal = "555 5.5.4 unknown parameter";
const NOT_ASCII: Refusal = "553 5.6.7 address is not ASCII, and SMTPUTF8 was not requested";

pub struct Envelope {
    pub from: String,
    pub to: Vec<String>,
    /// Whether MAIL announced 8-bit data.
    pub eight_bit: bool,
    /// Whether MAIL announced addresses and headers that are not ASCII.
    pub utf8: bool,
}

impl Envelope {
    /// Of the path in MAIL. An error is the reply.
    pub fn new(path: Path) -> Result<Self, Refusal> {
        let mut envelope = Self {
            from: path.address,
            to: Vec::new(),
            eight_bit: false,
            utf8: false,
        };
        for (name, value) in &path.parameters {
            match (name.as_str(), value.as_str()) {
                ("BODY", "7BIT") => {}
                ("BODY", "8BITMIME") => envelope.eight_bit = true,
                ("SMTPUTF8", "") => envelope.utf8 = true,
                ("SIZE", size) => match size.parse::<usize>() {
                    Ok(0..=MAX_SIZE) => {}
                    Ok(_) => return Err("552 5.3.4 message too big"),
                    Err(_not_a_number) => return Err(UNKNOWN_PARAMETER),
                },
                _ => return Err(UNKNOWN_PARAMETER),
            }
        }
        envelope.check(&envelope.from)?;
        Ok(envelope)
    }

    /// Checks the path in RCPT and returns its address.
    pub fn recipient(&self, path: Path) -> Result<String, Refusal> {
        if !path.parameters.is_empty() {
            return Err(UNKNOWN_PARAMETER);
        }
        self.check(&path.address)?;
        Ok(path.address)
    }

    fn check(&self, address: &str) -> Result<(), Refusal> {
        if address.is_ascii() || self.utf8 {
            Ok(())
        } else {
            Err(NOT_ASCII)
        }
    }
}
