//! A page for people whose browser does not get what it asked for. Other clients see a clean end.

use super::admit::{Refusal, RefusalKind};
use crate::pipe::PATIENCE;
use symbolon_provider::crypto;
use symbolon_record::{Alert, Outgoing, TlsSession};
use symbolon_store::{App, Protocol};
use symbolon_tls::Accepted;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Tells the client what the matter is, as far as it speaks HTTP, and closes.
pub(super) async fn show(accepted: Accepted<TcpStream>, app: &App, refusal: &Refusal) {
    let Accepted { mut stream, state, alpn, .. } = accepted;
    let mut session = TlsSession::resume(crypto(), &state);
    let mut out = Vec::new();
    // Of ALPN only HTTP/1.1 and its absence are ours to answer; a client of HTTP/2 sees the end.
    let speaks = app.protocol == Protocol::Http && alpn.as_deref().is_none_or(|alpn| alpn == b"http/1.1");
    let told = speaks
        .then(|| answer(app, refusal))
        .map_or(Ok(()), |answer| session.send(Outgoing::Data, answer.as_bytes(), &mut out))
        .and_then(|()| session.send(Outgoing::Alert(Alert::CloseNotify), &[], &mut out));
    if let Err(e) = told {
        tracing::debug!("the page was not sent: {e}");
    }
    let farewell = async {
        stream.write_all(&out).await?;
        stream.shutdown().await?;
        // A socket with unread bytes is reset when it is closed, and the page may be lost with it.
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    let _ = tokio::time::timeout(PATIENCE, farewell).await;
}

fn answer(app: &App, refusal: &Refusal) -> String {
    let (status, title, text) = match refusal.kind {
        RefusalKind::NoCertificate => (
            "403 Forbidden",
            "A certificate is needed",
            "This application is for people with a certificate. Your browser showed none: import yours, and \
             choose it when you are asked.",
        ),
        RefusalKind::NotPermitted => (
            "403 Forbidden",
            "Not permitted",
            "Your certificate does not count here, or you may not reach this application now, or not from where \
             you are. An administrator can say why.",
        ),
        RefusalKind::Failed => (
            "500 Internal Server Error",
            "The gateway cannot do it now",
            "Something is wrong with the gateway, not with you. Try again in a minute.",
        ),
        RefusalKind::Full => (
            "503 Service Unavailable",
            "The gateway is full",
            "There are as many connections as there may be, in all or from where you are. Try again in a minute.",
        ),
        RefusalKind::Unreachable => (
            "502 Bad Gateway",
            "The application does not answer",
            "The gateway works, but the application behind it does not answer. Try again in a minute.",
        ),
        RefusalKind::Distrusted => (
            "502 Bad Gateway",
            "The application is not trusted",
            "The gateway reached the application, which did not prove who it is, and sent it nothing. Whoever runs it \
             can put that right.",
        ),
    };
    let why = match refusal.kind {
        RefusalKind::Distrusted => format!("<p>{}</p>", escaped(&refusal.reason)),
        _ => String::new(),
    };
    // The name is letters, digits, dots and hyphens: nothing in it means anything in HTML.
    let body = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n\
         <style>body{{font:1.05rem/1.6 system-ui,sans-serif;max-width:34rem;margin:16vh auto;padding:0 1.5rem;\
         color:#1d2733;background:#f6f7f9}}h1{{font-size:1.5rem}}code{{background:#e8ebef;padding:.1em .4em;\
         border-radius:.3em}}</style></head>\n<body><h1>{title}</h1><p>{text}</p>{why}<p><code>{}</code></p></body></html>\n",
        app.name
    );
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Text that means nothing in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
