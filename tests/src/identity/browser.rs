//! A browser without a window: cookies by origin, forms, redirects one by one.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use mxcp_runtime::auth::fetch::{Fetcher, Rules};
use url::{Url, form_urlencoded};

/// Redirects that are followed.
const MAX_STEPS: usize = 16;

/// A browser of one person.
#[derive(Debug, Clone)]
pub struct Browser {
    fetcher: Fetcher,
    cookies: HashMap<String, HashMap<String, String>>,
}

/// What a place answered.
#[derive(Debug, Clone)]
pub struct Page {
    /// where
    pub url: Url,
    /// its status
    pub status: u16,
    /// its header fields
    pub headers: HeaderMap,
    /// its body
    pub body: String,
}

impl Page {
    /// Where it leads.
    pub fn location(&self) -> Option<Url> {
        let to = self.headers.get(header::LOCATION)?.to_str().expect("a place");
        Some(self.url.join(to).expect("a place"))
    }

    /// Where its first link leads.
    pub fn link(&self) -> Option<Url> {
        let (_, link) = self.body.split_once("href=\"")?;
        let (link, _) = link.split_once('"')?;
        Some(Url::parse(&link.replace("&amp;", "&")).expect("a place"))
    }

    /// The value of a hidden field of its form.
    pub fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let rest = self.body.split_once(&start).unwrap_or_else(|| {
            panic!("no `{name}` on {} ({}):\n{}", self.url, self.status, self.body)
        });
        rest.1.split('"').next().unwrap_or_default().to_owned()
    }
}

impl Default for Browser {
    fn default() -> Self {
        let fetcher = Fetcher::new(Rules::default()).expect("a client");
        Self { fetcher, cookies: HashMap::new() }
    }
}

impl Browser {
    /// Goes to a place.
    pub async fn get(&mut self, url: &str) -> Page {
        self.send(Method::GET, url, &[], Vec::new()).await
    }

    /// Sends a form.
    pub async fn post(&mut self, url: &str, fields: &[(&str, &str)]) -> Page {
        self.post_with(url, fields, &[]).await
    }

    /// Sends a form with more header fields.
    pub async fn post_with(
        &mut self,
        url: &str,
        fields: &[(&str, &str)],
        headers: &[(&'static str, &str)],
    ) -> Page {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.send(Method::POST, url, &all, form.into_bytes()).await
    }

    /// Follows redirects from a place until one leads to what begins with `until`; that place is not
    /// asked.
    pub async fn follow(&mut self, from: &str, until: &str) -> Url {
        let mut place = Url::parse(from).expect("a URL");
        for _ in 0..MAX_STEPS {
            if place.as_str().starts_with(until) {
                return place;
            }
            let page = self.get(place.as_str()).await;
            place = page.location().unwrap_or_else(|| {
                panic!("{place} leads nowhere ({}):\n{}", page.status, page.body)
            });
        }
        panic!("no end of redirects at {place}");
    }

    /// The cookies for an origin.
    pub fn cookies(&mut self, url: &str) -> &mut HashMap<String, String> {
        self.cookies.entry(origin(&Url::parse(url).expect("a URL"))).or_default()
    }

    /// Sends anything.
    pub async fn send(
        &mut self,
        method: Method,
        url: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Page {
        let place = Url::parse(url).expect("a URL");
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = place.as_str().parse().expect("a URI");
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).expect("a header value");
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
        let kept = self.cookies.entry(origin(&place)).or_default();
        if !kept.is_empty() {
            let sent: Vec<String> =
                kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let sent = HeaderValue::try_from(sent.join("; ")).expect("cookies");
            request.headers_mut().insert(header::COOKIE, sent);
        }
        let answer = self.fetcher.send(request).await.expect("an answer");
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().expect("a cookie").split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie has a value");
            kept.insert(name.to_owned(), value.to_owned());
        }
        let (head, body) = answer.into_parts();
        let body = String::from_utf8_lossy(&body).into_owned();
        Page { url: place, status: head.status.as_u16(), headers: head.headers, body }
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}
