//! The options of an SMTP server, in the form of command-line arguments.

/// How an SMTP server encrypts its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    None,
    /// By STARTTLS.
    Upgraded,
    /// From the first byte.
    Implicit,
}

/// The name and password of the only account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user: String,
    pub password: String,
}

#[derive(Debug)]
pub struct Options {
    pub tls: Tls,
    /// `--port`: 0 lets the system choose.
    pub port: u16,
    /// `--require-starttls`: refuses mail on an unencrypted connection.
    pub require_starttls: bool,
    /// `--accept-bare-lf`: accepts messages with bare line feeds, which the Python
    /// Sydent sends.
    pub accept_bare_lf: bool,
    /// `--user` and `--password`: refuses mail before a login.
    pub account: Option<Account>,
}

impl Options {
    pub fn parse(tls: Tls, arguments: &[&str]) -> Self {
        let mut options = Self {
            tls,
            port: 0,
            require_starttls: false,
            accept_bare_lf: false,
            account: None,
        };
        let (mut user, mut password) = (None, None);
        let mut arguments = arguments.iter();
        while let Some(&name) = arguments.next() {
            let mut value = || (*arguments.next().expect("an argument has a value")).to_owned();
            match name {
                "--port" => options.port = value().parse().unwrap(),
                "--require-starttls" => options.require_starttls = true,
                "--accept-bare-lf" => options.accept_bare_lf = true,
                "--user" => user = Some(value()),
                "--password" => password = Some(value()),
                _ => panic!("unknown argument {name}"),
            }
        }
        assert!(!options.require_starttls || tls == Tls::Upgraded);
        assert_eq!(user.is_some(), password.is_some());
        options.account = user
            .zip(password)
            .map(|(user, password)| Account { user, password });
        options
    }
}
