//! The commands of SMTP (RFC 5321 section 4.1).

/// The longest command line in octets, with its line end.
const MAX_LINE: usize = 512;
/// How much longer the parameters SIZE, BODY and SMTPUTF8 make it.
const MAX_PARAMETERS: usize = 26 + 17 + 10;
/// For AUTH (RFC 4954 section 4).
const MAX_AUTH_LINE: usize = 12288;

#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Helo,
    Ehlo,
    Mail(Path),
    Rcpt(Path),
    Data,
    Rset,
    Noop,
    Quit,
    StartTls,
    Auth(String, Option<String>),
    Help,
    Vrfy,
}

/// An address and the parameters after it, in upper case.
#[derive(Debug, PartialEq, Eq)]
pub struct Path {
    pub address: String,
    pub parameters: Vec<(String, String)>,
}

type Refusal = &'static str;

const SYNTAX: Refusal = "501 5.5.4 syntax error in the argument";

/// Parses a line with its line end. An error is the reply.
pub fn parse(line: &[u8]) -> Result<Command, Refusal> {
    let line = content(line)?;
    let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
    let verb = verb.to_ascii_uppercase();
    let limit = match verb.as_str() {
        "AUTH" => MAX_AUTH_LINE,
        "MAIL" => MAX_LINE + MAX_PARAMETERS,
        _ => MAX_LINE,
    };
    if line.len() + 2 > limit {
        return Err("500 5.5.6 line too long");
    }
    let without_argument = |command| {
        if line.contains(' ') {
            Err(SYNTAX)
        } else {
            Ok(command)
        }
    };
    match verb.as_str() {
        "HELO" => client_name(argument).map(|()| Command::Helo),
        "EHLO" => client_name(argument).map(|()| Command::Ehlo),
        "MAIL" => path(argument, "FROM:").map(Command::Mail),
        "RCPT" => match path(argument, "TO:")? {
            path if path.address.is_empty() => Err(SYNTAX),
            path => Ok(Command::Rcpt(path)),
        },
        "AUTH" => auth(argument),
        "DATA" => without_argument(Command::Data),
        "RSET" => without_argument(Command::Rset),
        "QUIT" => without_argument(Command::Quit),
        "STARTTLS" => without_argument(Command::StartTls),
        "NOOP" => Ok(Command::Noop),
        "HELP" => Ok(Command::Help),
        "VRFY" => Ok(Command::Vrfy),
        "EXPN" => Err("502 5.5.1 not implemented"),
        _ => Err("500 5.5.2 unknown command"),
    }
}

/// The text of a line, which must end in CR and LF and have no control
/// characters.
pub fn content(line: &[u8]) -> Result<&str, Refusal> {
    let line = line
        .strip_suffix(b"\r\n")
        .ok_or("500 5.5.2 line feed without carriage return")?;
    let text = str::from_utf8(line).map_err(|_not_utf8| "500 5.5.2 not UTF-8")?;
    if text.chars().any(char::is_control) {
        return Err("500 5.5.2 control character");
    }
    Ok(text)
}

/// A domain or an address literal (`[127.0.0.1]`).
fn client_name(argument: &str) -> Result<(), Refusal> {
    let bare = argument
        .strip_prefix('[')
        .and_then(|literal| literal.strip_suffix(']'))
        .unwrap_or(argument);
    let allowed = |c: char| c.is_alphanumeric() || ".:-".contains(c);
    if !bare.is_empty() && bare.chars().all(allowed) {
        Ok(())
    } else {
        Err(SYNTAX)
    }
}

fn path(argument: &str, keyword: &str) -> Result<Path, Refusal> {
    let (name, rest) = argument.split_at_checked(keyword.len()).ok_or(SYNTAX)?;
    let rest = rest.strip_prefix('<').ok_or(SYNTAX)?;
    let end = end_of_address(rest).ok_or(SYNTAX)?;
    let (address, rest) = rest.split_at(end);
    let rest = rest.strip_prefix('>').ok_or(SYNTAX)?;
    if !name.eq_ignore_ascii_case(keyword) || !is_address(address) {
        return Err(SYNTAX);
    }
    let mut parameters = Vec::new();
    for parameter in rest.split(' ').skip(1) {
        let (keyword, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if keyword.is_empty() {
            return Err(SYNTAX);
        }
        parameters.push((keyword.to_ascii_uppercase(), value.to_ascii_uppercase()));
    }
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Err(SYNTAX);
    }
    Ok(Path {
        address: address.to_owned(),
        parameters,
    })
}

/// Where the first `>` is that is not within quotes.
fn end_of_address(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether it is empty or a mailbox.
fn is_address(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return address.is_empty();
    };
    let is_quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let special = |c: char| c.is_whitespace() || "<>()[]\\,;:@\"".contains(c);
    let is_atom = !local.is_empty() && !local.contains(special);
    let is_domain = !domain.is_empty() && !domain.contains(|c: char| c == '>' || c.is_whitespace());
    (is_quoted || is_atom) && is_domain
}

fn auth(argument: &str) -> Result<Command, Refusal> {
    let mut words = argument.split(' ').map(str::to_owned);
    match (words.next(), words.next(), words.next()) {
        (Some(mechanism), initial, None) if !mechanism.is_empty() => {
            Ok(Command::Auth(mechanism.to_ascii_uppercase(), initial))
        }
        _ => Err(SYNTAX),
    }
}
