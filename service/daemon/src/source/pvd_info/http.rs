//! One request: GET, redirections followed, a small document of the right type or a reason why there is none.

use super::connector::{Connector, Inside};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, LOCATION};
use hyper::{Request, Response, client};
use hyper_util::rt::TokioIo;
use mif_core::fetch::{Fetch, FetchAnswer, FetchFailure, HttpsUrl, MAX_DOCUMENT, MAX_REDIRECTIONS};

/// The most bytes of a response's head.
const MAX_HEAD: usize = 16 << 10;

/// Carries `fetch` out inside its provisioning domain.
pub(super) async fn get(
    connector: &Connector,
    inside: Inside<'_>,
    fetch: &Fetch,
) -> Result<FetchAnswer, FetchFailure> {
    let mut url = fetch.url().map_err(|_| FetchFailure::NoAddress)?;
    for _ in 0..=MAX_REDIRECTIONS {
        let stream = connector.connect(inside, &url).await?;
        let (response, _driver) = ask(TokioIo::new(stream), fetch, &url).await?;
        let status = response.status();
        if status.is_redirection() {
            url = redirected(fetch, &url, response.headers())?;
            continue;
        }
        if !status.is_success() {
            return Err(FetchFailure::Status(status.as_u16()));
        }
        return read(fetch, response).await;
    }
    Err(FetchFailure::Redirection)
}

/// Drives the connection while its response is read, and ends with it.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends a request that says nothing of this host: no cookie, no user agent (RFC 8801 4.1).
async fn ask<Io>(io: Io, fetch: &Fetch, url: &HttpsUrl) -> Result<(Response<Incoming>, Driver), FetchFailure>
where
    Io: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let not_http = |error: hyper::Error| {
        tracing::debug!(%url, %error, "HTTP failed");
        FetchFailure::Http
    };
    let handshake = client::conn::http1::Builder::new().max_buf_size(MAX_HEAD).handshake(io);
    let (mut sender, connection) = handshake.await.map_err(not_http)?;
    // What breaks the connection breaks the response, which tells of it.
    let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
    let request = Request::get(url.target())
        .header(HOST, url.authority())
        .header(ACCEPT, fetch.subject.kind().media_type())
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchFailure::Http)?;
    let response = sender.send_request(request).await.map_err(not_http)?;
    Ok((response, driver))
}

fn redirected(fetch: &Fetch, url: &HttpsUrl, headers: &HeaderMap) -> Result<HttpsUrl, FetchFailure> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).ok_or(FetchFailure::Http)?;
    let next = url.redirected(location).and_then(|next| fetch.admit(next));
    next.map_err(|why| {
        tracing::debug!(%url, %why, "a redirection is not followed");
        FetchFailure::Redirection
    })
}

async fn read(fetch: &Fetch, response: Response<Incoming>) -> Result<FetchAnswer, FetchFailure> {
    let (head, body) = response.into_parts();
    if !is_of_type(&head.headers, fetch.subject.kind().media_type()) {
        return Err(FetchFailure::MediaType);
    }
    let body = Limited::new(body, MAX_DOCUMENT).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { FetchFailure::TooLarge } else { FetchFailure::Http }
    })?;
    let text = String::from_utf8(body.to_bytes().into()).map_err(|_| FetchFailure::NotText)?;
    Ok(FetchAnswer::Document { text, max_age: max_age(&head.headers) })
}

/// Whether the media type, parameters left out of account, is `wanted` (RFC 9110 8.3.1).
fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

/// How long the answer may be kept, in seconds, if the server says so (RFC 9111 5.2.2): what must not be kept may be
/// kept for no time at all.
fn max_age(headers: &HeaderMap) -> Option<u32> {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives =
        lines.flat_map(|line| line.split(',')).map(|directive| directive.trim().to_ascii_lowercase());
    let age = |directive: String| match directive.as_str() {
        "no-cache" | "no-store" => Some(0),
        directive => directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok(),
    };
    directives.filter_map(age).min()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn headers(name: hyper::header::HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn media_types_are_compared_without_parameters() {
        let is = |given| is_of_type(&headers(CONTENT_TYPE, given), "application/pvd+json");
        assert!(is(&["application/pvd+json"]) && is(&["Application/PvD+JSON ; charset=utf-8"]));
        assert!(!is(&["application/json"]) && !is(&["text/html; application/pvd+json"]) && !is(&[]));
    }

    #[test]
    fn how_long_an_answer_may_be_kept() {
        let age = |given: &[&'static str]| max_age(&headers(CACHE_CONTROL, given));
        assert_eq!(age(&["private, max-age=60"]), Some(60));
        assert_eq!(age(&["max-age=60", "No-Store"]), Some(0));
        assert_eq!(age(&["Max-Age=\"5\""]), Some(5));
        assert_eq!(age(&["private"]), None);
        assert_eq!(age(&["max-age=soon"]), None);
        assert_eq!(age(&[]), None);
    }
}
