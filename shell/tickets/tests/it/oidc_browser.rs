//! A person signs in at the provider with a browser, here `curl`.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use symbolon_crypto::InitiatorToken as _;
use symbolon_tickets::oidc::{BrowserSource, FetchError, JwtToken, ProviderError, SourceError, Transport};

use crate::provider::{AUDIENCE, HERE, LIMIT, Manner, NOW, TestProvider, alice, say};

/// Whoever opens addresses.
type Show = Box<dyn FnMut(&str) + Send>;

fn source(provider: &TestProvider, limit: Duration, show: Show) -> JwtToken {
    let transport = Transport::unprotected_http(LIMIT);
    JwtToken::new(Box::new(BrowserSource::new(&provider.issuer, AUDIENCE, transport, show, limit)))
}

/// Opens the address and follows it wherever it leads.
fn curl(address: &str) {
    let address = address.to_owned();
    std::thread::spawn(move || {
        Command::new("curl").args(["-sL", &address]).stdout(Stdio::null()).status().unwrap()
    });
}

/// The value of a field of an address.
fn field(address: &str, name: &str) -> String {
    let query = address.split_once('?').unwrap().1;
    let found = form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name);
    found.unwrap().1.into_owned()
}

/// Comes back to the waiting program with other fields than the provider's.
fn come_back(address: &str, fields: &str) -> String {
    let back = format!("{}?{fields}", field(address, "redirect_uri"));
    let output = Command::new("curl").args(["-s", "-o", "/dev/null", "-w", "%{http_code}", &back]).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_with_a_browser_has_a_token_for_this_exchange() {
    let provider = TestProvider::start("ES256").await;
    let mut token = source(&provider, LIMIT, Box::new(curl));
    let presented = token.present(&HERE).unwrap();
    let proved = provider.verifier().verify(presented.body.expose(), &HERE, NOW).await.unwrap();
    assert_eq!(proved.user(), &alice());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_without_the_secret_of_this_sign_in_is_sent_away() {
    let provider = TestProvider::start("ES256").await;
    let (sent_away, seen) = mpsc::channel();
    let show = move |address: &str| {
        for fields in ["", "code=stolen", "code=stolen&state=guessed", "error=access_denied&state=guessed"] {
            sent_away.send(come_back(address, fields)).unwrap();
        }
        curl(address);
    };
    let mut token = source(&provider, LIMIT, Box::new(apart(show)));
    let presented = token.present(&HERE).unwrap();
    assert!(provider.verifier().verify(presented.body.expose(), &HERE, NOW).await.is_ok());
    assert_eq!(seen.iter().collect::<Vec<_>>(), ["400"; 4]);
}

/// Lets `show` do its part beside the one that waits.
fn apart(show: impl FnOnce(&str) + Send + 'static) -> impl FnMut(&str) + Send {
    let mut show = Some(show);
    move |address| {
        if let Some(show) = show.take() {
            let address = address.to_owned();
            std::thread::spawn(move || show(&address));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_was_not_given_to_us_is_good_for_nothing() {
    let provider = TestProvider::start("ES256").await;
    let show = |address: &str| {
        let fields = format!("code=made-up&state={}", field(address, "state"));
        assert_eq!(come_back(address, &fields), "200");
    };
    let mut token = source(&provider, LIMIT, Box::new(apart(show)));
    assert!(token.present(&HERE).is_err());
    assert!(matches!(token.complaint().take(), Some(SourceError::Provider(ProviderError::Malformed(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_says_no_is_understood() {
    let provider = TestProvider::start("ES256").await;
    provider.state().says_no = true;
    let mut token = source(&provider, LIMIT, Box::new(curl));
    assert!(token.present(&HERE).is_err());
    let complaint = token.complaint().take();
    assert_eq!(complaint, Some(SourceError::Failed("the provider says access_denied".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_never_comes_back_is_not_waited_for_longer_than_the_limit() {
    let provider = TestProvider::start("ES256").await;
    let limit = Duration::from_millis(300);
    let mut token = source(&provider, limit, Box::new(|_| {}));
    let begun = Instant::now();
    assert!(token.present(&HERE).is_err());
    assert_eq!(token.complaint().take(), Some(SourceError::TimedOut));
    assert!(begun.elapsed() < limit * 10, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_errs_is_told() {
    let provider = TestProvider::start("ES256").await;
    provider.state().manner = Manner::Say(say("500 Internal Server Error", ""));
    let mut token = source(&provider, LIMIT, Box::new(curl));
    assert!(token.present(&HERE).is_err());
    let complaint = token.complaint().take();
    assert_eq!(complaint, Some(SourceError::Provider(ProviderError::Fetch(FetchError::Status(500)))));
}
