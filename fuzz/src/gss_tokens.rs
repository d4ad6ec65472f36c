//! What a program brings to the GSS-API mechanism: context tokens, wrapped messages and checks, exported names and
//! contexts, and the files of a service.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use symbolon_crypto::{SecretBytes, Suite};
use symbolon_gss::admin::{self, Account};
use symbolon_gss::{
    AcceptorConfig, Context, Credential, InitiatorConfig, KeyFile, Name, Options, Token, Wanted, oid,
};
use symbolon_policy::CanonName;
use symbolon_wire::Time;

use crate::gateway::NOW;
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "gss_tokens", feed, seeds };

/// The rest is a context token.
const TOKEN: u8 = 0;
/// The rest is the answer that an initiator waits for.
const ANSWER: u8 = 1;
/// The rest is an exported context.
const STATE: u8 = 2;
/// The rest is a wrapped message, and a check.
const MESSAGE: u8 = 3;
/// The rest is a name.
const NAME: u8 = 4;
/// The rest is a key file.
const KEY_FILE: u8 = 5;

const SERVICE: &str = "fuzz@localhost";
const PASSWORD: &str = "correct horse";
const DAY: u64 = 24 * 60 * 60;

fn feed(data: &[u8]) {
    match data.split_first() {
        Some((&TOKEN, rest)) => token(rest),
        Some((&ANSWER, rest)) => answer(rest),
        Some((&STATE, rest)) => state(rest),
        Some((&MESSAGE, rest)) => message(rest),
        Some((&NAME, rest)) => name(rest),
        Some((&KEY_FILE, rest)) => key_file(rest),
        _ => {}
    }
}

fn token(data: &[u8]) {
    if let Ok(token) = Token::parse(data) {
        assert_eq!(token.to_bytes(), data, "two encodings of one token");
    }
    let Ok((mut context, _)) = Context::accept(Some(&site().service), data, None, NOW) else { return };
    if context.is_open() {
        assert_eq!(context.source().map(Name::display).as_deref(), Some("alice"));
    } else {
        assert!(context.wrap(b"early", NOW).is_err(), "nothing is wrapped before it is open");
        assert!(context.accept_next(Some(&site().service), &hello(), None, NOW).is_err(), "asked twice");
    }
}

fn answer(data: &[u8]) {
    let (mut context, _) = site().begin(true);
    if context.step(data, NOW).is_ok() {
        assert!(matches!(Token::parse(data), Ok(Token::Offer(_))), "an answer serves another exchange");
    }
    assert!(!context.is_open());
    assert!(context.step(data, NOW).is_err(), "a failed exchange goes on, or keys are offered twice");
}

fn state(data: &[u8]) {
    let Ok(mut context) = Context::import(data, NOW) else { return };
    let wrapped = context.wrap(b"m", NOW);
    drop((context.unwrap(data, NOW), context.verify_mic(data, data, NOW), context.get_mic(b"m", NOW)));
    let again = context.export().expect("what was imported is open");
    assert!(Context::import(again.expose(), NOW).is_ok(), "what was exported cannot be imported");
    drop(wrapped);
}

fn message(data: &[u8]) {
    let site = site();
    let mut acceptor = Context::import(site.acceptor.expose(), NOW).expect("it was exported just so");
    if let Ok(plain) = acceptor.unwrap(data, NOW) {
        assert_eq!(data, site.wrapped, "another message than the one that was wrapped");
        assert_eq!(plain.expose(), b"message");
    }
    if acceptor.verify_mic(b"message", data, NOW).is_ok() {
        assert_eq!(data, site.check, "another check than the one that was made");
    }
}

fn name(data: &[u8]) {
    for name_type in [oid::USER_NAME, oid::HOST_BASED_SERVICE, oid::EXPORT_NAME] {
        let Ok(name) = Name::import(data, Some(name_type)) else { continue };
        let again = Name::import(&name.export(), Some(oid::EXPORT_NAME));
        assert_eq!(again.as_ref(), Ok(&name), "an exported name is another one");
        let again = Name::import(name.display().as_bytes(), Some(name.name_type()));
        assert_eq!(again, Ok(name), "a name that is shown is another one");
    }
}

fn key_file(data: &[u8]) {
    let bytes = SecretBytes::new(data.to_vec());
    let Ok(file) = KeyFile::parse(&bytes) else { return };
    assert!(file.to_secret_bytes() == bytes, "two encodings of one key file");
    drop(file.key());
}

/// One issuer with one service, and an exported context of it.
struct Site {
    directory: PathBuf,
    service: Credential,
    user: Credential,
    acceptor: SecretBytes,
    wrapped: Vec<u8>,
    check: Vec<u8>,
}

/// The same for all inputs of a process.
fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(Site::new)
}

impl Site {
    fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("symbolon-fuzz-gss-{}", std::process::id()));
        let user = CanonName::parse("alice").expect("a name");
        let password = SecretBytes::new(PASSWORD.into());
        let made = || -> Result<(), admin::AdminError> {
            admin::init_issuer(&directory.join("issuer"), "Fuzzing", NOW)?;
            let (issuer, services) = (directory.join("issuer"), directory.join("services"));
            let suites = [Suite::X25519];
            let service =
                admin::init_acceptor(&issuer, &services, SERVICE, Account::own(), &suites, DAY, NOW)?;
            admin::publish(&[service], &directory.join("keysets"))?;
            admin::add_user(&directory.join("users"), &user, &password, None)
        };
        made().expect("a directory of our own can be filled");
        let config = AcceptorConfig {
            services: directory.join("services"),
            users: directory.join("users"),
            lifetime_secs: 3600,
            wrong_passwords: 10,
        };
        let service = Credential::of_services(config).expect("it has keys");
        let user = Credential::of_user(user, password);
        let empty = || SecretBytes::new(Vec::new());
        let mut site =
            Self { directory, service, user, acceptor: empty(), wrapped: Vec::new(), check: Vec::new() };
        let (mut initiator, first) = site.begin(true);
        let (mut acceptor, second) =
            Context::accept(Some(&site.service), &first, None, NOW).expect("the password is right");
        initiator.step(&second, NOW).expect("it is the answer");
        site.wrapped = initiator.wrap(b"message", NOW).expect("it is open");
        site.check = initiator.get_mic(b"message", NOW).expect("it is open");
        site.acceptor = acceptor.export().expect("it is open");
        site
    }

    fn begin(&self, published: bool) -> (Context, Vec<u8>) {
        let at = |name: &str| Some(self.directory.join(name));
        let config = InitiatorConfig {
            issuer: at("issuer/issuer.crt"),
            issuer_fingerprint: None,
            key_sets: if published { at("keysets") } else { None },
            revocation_list: None,
            passwords_to: vec![SERVICE.to_owned()],
            suites: vec![Suite::X25519],
            user: None,
            password_file: None,
        };
        let target = Name::service(SERVICE).expect("a name");
        let begun = Context::initiate_by(config, &self.user, &target, Wanted::default(), None, NOW);
        begun.expect("its keys are there")
    }
}

fn hello() -> Vec<u8> {
    site().begin(false).1
}

fn seeds() -> Vec<Vec<u8>> {
    let site = site();
    let (mut initiator, first) = site.begin(true);
    let (mut acceptor, second) =
        Context::accept(Some(&site.service), &first, None, NOW).expect("the password is right");
    initiator.step(&second, NOW).expect("it is the answer");
    let (_, offer) = Context::accept(Some(&site.service), &hello(), None, NOW).expect("it shows its keys");
    let unknown = Token::First(Options { in_order: true, channel: [7; 32] }, vec![0; 600]).to_bytes();
    let mut seeds = vec![by(TOKEN, &hello()), by(TOKEN, &site.begin(true).1), by(TOKEN, &unknown)];
    seeds.extend([by(ANSWER, &second), by(ANSWER, &offer)]);
    for side in [&mut initiator, &mut acceptor] {
        seeds.push(by(STATE, side.export().expect("it is open").expose()));
    }
    seeds.extend([by(MESSAGE, &site.wrapped), by(MESSAGE, &site.check)]);
    seeds.extend([&b"alice"[..], b"ldap@db.example", b"HTTP"].map(|text| by(NAME, text)));
    seeds.extend(
        [Name::service(SERVICE), Name::import(b"alice", None)]
            .map(|n| by(NAME, &n.expect("a name").export())),
    );
    for suite in Suite::ALL {
        seeds.push(by(KEY_FILE, KeyFile::generate(suite, Time::from_secs(9)).to_secret_bytes().expose()));
    }
    remove_what_is_left(&site.directory);
    seeds
}

/// The directory stays as long as the process may need it, so what earlier ones left goes now.
fn remove_what_is_left(own: &Path) {
    let Some(parent) = own.parent() else { return };
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(process) = name.strip_prefix("symbolon-fuzz-gss-") else { continue };
        if entry.path() != own && !Path::new("/proc").join(process).exists() {
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}
