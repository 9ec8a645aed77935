//! The pages that people see: plain HTML that works without JavaScript and cannot be framed.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_FRAME_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

/// Characters of a name that are shown.
const NAME_CHARS_MAX: usize = 80;

/// Nothing is loaded, nothing runs, nobody frames it. `form-action` stays open: browsers apply it to
/// the redirects that follow a form too, and these lead to the identity provider and the client.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: Canvas; color: CanvasText; }
main { max-width: 34rem; margin: 10vh auto; padding: 0 1.5rem; }
h1 { font-size: 1.4rem; line-height: 1.3; }
dl { border: 1px solid color-mix(in srgb, CanvasText 25%, transparent); border-radius: .5rem; padding: 1rem; margin: 1.5rem 0; }
dt { font-size: .85rem; opacity: .75; }
dd { margin: 0 0 .75rem; overflow-wrap: anywhere; }
dd:last-child { margin-bottom: 0; }
.warning { border-left: .25rem solid #b45309; padding-left: .75rem; }
form { display: flex; gap: .75rem; }
button { font: inherit; padding: .5rem 1.25rem; border-radius: .4rem; border: 1px solid currentColor; background: transparent; color: inherit; cursor: pointer; }
button[value=allow] { background: #1d4ed8; border-color: #1d4ed8; color: #fff; }
button:focus-visible { outline: .2rem solid #f59e0b; outline-offset: .15rem; }
";

/// What a consent page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Consent<'p> {
    /// the project whose data it is about
    pub(super) project: &'p str,
    /// the identity provider where people log in
    pub(super) provider: &'p str,
    /// its host; empty where that is not known now
    pub(super) login_host: &'p str,
    /// what the client calls itself
    pub(super) client: &'p str,
    /// who vouches for that name
    pub(super) origin: Origin<'p>,
    /// where people are sent back
    pub(super) redirect_host: &'p str,
    /// whether that is a program on their own machine
    pub(super) is_loopback: bool,
    /// what it asks for
    pub(super) scopes: &'p [String],
    /// proves that the answer comes from this page
    pub(super) ticket: &'p str,
}

/// Where a client comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin<'p> {
    /// the operator configured it
    Configured,
    /// it registered itself and may call itself anything
    Registered,
    /// it describes itself under this host
    Document(&'p str),
}

/// The page that asks whether a client may act in somebody's name.
pub(super) fn consent(page: &Consent<'_>) -> Response {
    let client = shown(page.client);
    let (project, provider) = (shown(page.project), shown(page.provider));
    let host = shown(page.redirect_host);
    let origin = match page.origin {
        Origin::Configured => "known to the operator of this server".to_owned(),
        Origin::Registered => "registered itself; nobody has checked this name".to_owned(),
        Origin::Document(host) => format!("described at <strong>{}</strong>", shown(host)),
    };
    let back = if page.is_loopback {
        format!(
            "a program on your own computer (<strong>{host}</strong>)</dd></dl>\
             <p class=\"warning\">Any program on your computer can claim this name. Go on only if \
             you started this yourself just now."
        )
    } else {
        format!("<strong>{host}</strong></dd></dl><p>If you do not know this host, cancel.")
    };
    let login = match page.login_host {
        "" => provider,
        host => format!("{provider} at <strong>{}</strong>", shown(host)),
    };
    let asked: Vec<String> = page.scopes.iter().map(|scope| shown(scope)).collect();
    let asked = if asked.is_empty() {
        "to use the tools, resources and prompts of this server as you".to_owned()
    } else {
        format!(
            "to use the tools, resources and prompts of this server as you, within: \
             <strong>{}</strong>",
            asked.join("</strong>, <strong>")
        )
    };
    let body = format!(
        "<h1>Let <strong>{client}</strong> use <strong>{project}</strong> in your name?</h1>\
         <dl><dt>Who asks</dt><dd><strong>{client}</strong>, {origin}</dd>\
         <dt>What it asks for</dt><dd>{asked}</dd>\
         <dt>Where you are sent afterwards</dt><dd>{back}</p>\
         <p>Next you log in with {login}.</p>\
         <form method=\"post\" action=\"{action}\">\
         <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\
         <button name=\"decision\" value=\"allow\">Allow</button>\
         <button name=\"decision\" value=\"deny\">Cancel</button></form>",
        action = super::CONSENT_NAME,
        ticket = escape(page.ticket),
    );
    html(StatusCode::OK, &format!("Allow {client}?"), &body)
}

/// A page that says why a login cannot go on.
pub(super) fn problem(status: u16, title: &str, text: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = format!("<h1>{}</h1><p>{}</p>", escape(title), escape(text));
    html(status, &escape(title), &body)
}

/// A page that says why a login came to nothing, with a link back to whoever asked for it.
pub(super) fn leave(status: u16, text: &str, host: &str, link: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let title = "This login came to nothing";
    let body = format!(
        "<h1>{title}</h1><p>{}</p>\
         <p class=\"warning\">You can close this page. If you know <strong>{host}</strong>, you can \
         <a rel=\"noreferrer\" href=\"{}\">go back to {host}</a>; nobody has checked who that is.</p>",
        escape(text),
        escape(link),
        host = shown(host),
    );
    html(status, title, &body)
}

fn html(status: StatusCode, title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    );
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    // With `no-referrer` browsers would send `Origin: null` with the form.
    headers.insert("referrer-policy", HeaderValue::from_static("same-origin"));
    response
}

/// A name that somebody chose, as a page may show it: not long, nothing invisible, nothing that
/// turns the direction of the text around it.
fn shown(name: &str) -> String {
    let mut kept: String =
        name.chars().filter(|c| !is_deceptive(*c)).take(NAME_CHARS_MAX).collect();
    if name.chars().count() > NAME_CHARS_MAX {
        kept.push('…');
    }
    escape(kept.trim())
}

fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_or_deceive() {
        let nasty = "</h1><script>alert('x')</script>\u{202e}\u{200b}&\"";
        assert_eq!(
            shown(nasty),
            "&lt;/h1&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"
        );
        assert_eq!(shown(&"a".repeat(500)).chars().count(), NAME_CHARS_MAX + 1);
        assert_eq!(shown("Ünïcode 客户"), "Ünïcode 客户");
    }

    #[tokio::test]
    async fn the_page_says_who_asks_for_what_and_cannot_be_framed() {
        let scopes = ["read".to_owned()];
        let page = consent(&Consent {
            project: "clinic",
            provider: "keycloak",
            login_host: "login.corp.example",
            client: "<b>Assistant</b>",
            origin: Origin::Registered,
            redirect_host: "client.example",
            is_loopback: false,
            scopes: &scopes,
            ticket: "t\"x",
        });
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"));
        assert_eq!(page.headers()[CACHE_CONTROL], "no-store");
        let body = axum::body::to_bytes(page.into_body(), 100_000).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        for part in [
            "&lt;b&gt;Assistant&lt;/b&gt;",
            "client.example",
            "<strong>read</strong>",
            "clinic",
            "keycloak at <strong>login.corp.example</strong>",
            "nobody has checked",
            "value=\"t&quot;x\"",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert!(!text.contains("<script") && !text.contains("<b>"));
    }
}
