//! An application of two files that are on no disk: one is fetched, one is sent, and each byte follows from its place.
//!
//! Both flow at the pace of whoever sends, so that whoever receives notices every pause on the way.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::{get, put};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame, SizeHint};
use tokio::time::Sleep;

/// Bytes of each file.
pub(crate) const TOTAL: u64 = 200_000_000;

/// Bytes a second: eight seconds for a file.
const PACE: u64 = 25_000_000;

/// Bytes that are sent at once, which is whole words.
const CHUNK: u64 = 64 * 1024;

/// SHA-256 of bytes that come one after the other.
pub(crate) struct Sum(digest::Context);

impl Sum {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Takes the next bytes in.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// As people write it.
    pub(crate) fn hex(self) -> String {
        hex::encode(self.0.finish())
    }
}

/// Which file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum File {
    /// The one that is fetched.
    Fetched = 1,
    /// The one that is sent.
    Sent = 2,
}

/// What is left of a file.
#[derive(Debug)]
pub(crate) struct Content {
    file: File,
    at: u64,
    total: u64,
}

impl Content {
    /// The whole of a file.
    pub(crate) const fn of(file: File) -> Self {
        Self { file, at: 0, total: TOTAL }
    }

    /// SHA-256 of all that is left.
    pub(crate) fn sum(mut self) -> String {
        let mut sum = Sum::new();
        while let Some(bytes) = self.next() {
            sum.add(&bytes);
        }
        sum.hex()
    }

    /// The next bytes, at most [`CHUNK`]; nothing at the end.
    fn next(&mut self) -> Option<Bytes> {
        // fits: it is at most CHUNK
        let mut bytes = vec![0; CHUNK.min(self.total - self.at) as usize];
        for (place, eight) in (self.at / 8..).zip(bytes.chunks_mut(8)) {
            eight.copy_from_slice(&word(self.file as u64, place).to_le_bytes()[..eight.len()]);
        }
        self.at += bytes.len() as u64;
        (!bytes.is_empty()).then(|| bytes.into())
    }
}

/// The word at a place: the output function of SplitMix64 (Steele, Lea, Flood 2014), which sends no two places to one
/// word, so that a block that is moved, doubled or left out shows.
const fn word(file: u64, place: u64) -> u64 {
    let z = (file << 56).wrapping_add(place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A file that flows at [`PACE`], and makes up for what it lost when nobody could take it.
#[derive(Debug)]
pub(crate) struct Paced {
    content: Content,
    since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    /// All of a file, from the first time that it is asked for some.
    pub(crate) const fn new(file: File) -> Self {
        Self { content: Content::of(file), since: None, sleep: None }
    }

    /// The next bytes, when they are due; nothing at the end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let due = since + Duration::from_micros(self.content.at * 1_000_000 / PACE);
        if Instant::now() < due {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
            std::task::ready!(sleep.as_mut().poll(cx));
        }
        self.sleep = None;
        Poll::Ready(self.content.next())
    }
}

impl hyper::body::Body for Paced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().poll_next(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.total - self.content.at)
    }
}

/// Answers `GET /file` with a file and `PUT /file` with length and sum of what came; `arrived` hears how many
/// bytes each time, and at the end 0.
pub(crate) fn router(arrived: impl Fn(u64) + Send + Sync + 'static) -> Router {
    let arrived = Arc::new(arrived);
    let take = async move |body: Body| take(body, &*arrived).await;
    Router::new().route("/file", get(async || Body::new(Paced::new(File::Fetched)))).route("/file", put(take))
}

/// Takes what is sent, and says what it was; 400 when it broke off.
async fn take(mut body: Body, arrived: &(impl Fn(u64) + Send + Sync)) -> Result<String, StatusCode> {
    let (mut sum, mut all) = (Sum::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        if let Some(bytes) = frame.data_ref() {
            sum.add(bytes);
            // a length in memory fits
            all += bytes.len() as u64;
            arrived(bytes.len() as u64);
        }
    }
    arrived(0);
    Ok(format!("{all} {}\n", sum.hex()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut content: Content) -> Vec<u8> {
        std::iter::from_fn(|| content.next()).flatten().collect()
    }

    #[test]
    fn a_file_has_its_length_and_no_block_of_it_is_like_another() {
        let total = 3 * CHUNK + 5;
        let bytes = all(Content { file: File::Fetched, at: 0, total });
        assert_eq!(bytes.len() as u64, total);
        let words: std::collections::HashSet<&[u8]> = bytes.chunks_exact(8).collect();
        assert_eq!(words.len() as u64, total / 8);
        let other = all(Content { file: File::Sent, at: 0, total });
        assert!(other.chunks_exact(8).all(|word| !words.contains(word)), "the other file has other words");
    }

    #[test]
    fn what_comes_in_pieces_has_the_sum_of_the_whole() {
        let content = || Content { file: File::Sent, at: 0, total: 2 * CHUNK + 1 };
        let mut sum = Sum::new();
        all(content()).chunks(1000).for_each(|bytes| sum.add(bytes));
        assert_eq!(sum.hex(), content().sum());
    }
}
