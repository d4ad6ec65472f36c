//! A small page about the connection that it was reached by.
//!
//! It shows only what any server sees. The gateway passes bytes on and adds none, so the page does not know which
//! person asked; the gateway does.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::any;

/// Answers every request.
pub(crate) fn router() -> Router {
    Router::new().fallback(any(page))
}

async fn page(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let seen = Seen::new(peer, &method, &uri, &headers);
    let wants_html =
        headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).is_some_and(|a| a.contains("text/html"));
    if wants_html { Html(seen.html()).into_response() } else { seen.text().into_response() }
}

/// What the server sees of a request.
struct Seen {
    rows: Vec<(&'static str, String)>,
}

impl Seen {
    fn new(peer: SocketAddr, method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let header = |name| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("not said").to_owned();
        Self {
            rows: vec![
                ("Connection from", format!("{peer}, which is the gateway")),
                ("Request", format!("{method} {uri}")),
                ("Host", header(header::HOST)),
                ("Program", header(header::USER_AGENT)),
                (
                    "Who asked",
                    "the gateway knows; it adds nothing to the request, so this page does not".to_owned(),
                ),
            ],
        }
    }

    fn text(&self) -> String {
        let mut text = String::from("Hello from the sample application behind the gateway.\n\n");
        for (name, value) in &self.rows {
            text.push_str(&format!("{name:<16} {value}\n"));
        }
        text
    }

    fn html(&self) -> String {
        let rows: String = self
            .rows
            .iter()
            .map(|(name, value)| format!("<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escape(value)))
            .collect();
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>Behind the gateway</title><style>body{{font:1.05rem/1.6 \
             system-ui,sans-serif;max-width:42rem;margin:12vh auto;padding:0 1.5rem;color:#1d2733;background:#f6f7f4}}\
             h1{{font-weight:600;font-size:1.7rem}}table{{border-collapse:collapse;width:100%;background:#fff;\
             border-radius:.5rem}}th,td{{text-align:left;padding:.6rem 1rem;border-top:1px solid #e4e7e1;\
             vertical-align:top;font-weight:400}}th{{color:#5b6875;white-space:nowrap}}\
             tr:first-child>*{{border-top:0}}@media(prefers-color-scheme:dark){{body{{color:#dfe5ea;\
             background:#161b20}}table{{background:#1f262d}}th,td{{border-color:#323b44}}th{{color:#98a5b1}}}}</style>\
             <h1>You are behind the gateway</h1><p>This page is served by an ordinary HTTP server that listens on this \
             machine alone. You reached it by name, through your agent and the gateway.</p><table>{rows}</table></html>\n"
        )
    }
}

fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(program: &'static str) -> Seen {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, header::HeaderValue::from_static(program));
        Seen::new("127.0.0.1:9".parse().unwrap(), &Method::GET, &Uri::from_static("/a"), &headers)
    }

    #[test]
    fn the_page_says_who_connected_and_claims_to_know_no_person() {
        let text = seen("curl/8").text();
        assert!(text.contains("127.0.0.1:9, which is the gateway") && text.contains("curl/8"), "{text}");
        assert!(text.contains("the gateway knows"), "{text}");
    }

    #[test]
    fn what_a_client_sends_is_text_on_the_page() {
        let html = seen("<script>\"&").html();
        assert!(html.contains("&lt;script&gt;&quot;&amp;") && !html.contains("<script>"), "{html}");
    }
}
