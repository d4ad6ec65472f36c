//! Wrapped messages (A8) against the cipher alone.

use crate::bare;
use crate::clock::{micros_each, spent};
use crate::measure::{Cost, Subject, interleaved};
use crate::parties::any_key;
use crate::report::{Report, Target};
use anyhow::Result;
use aws_lc_rs::aead::{Aad, Nonce};
use std::hint::black_box;
use symbolon_provider::crypto;
use symbolon_record::{WRAP_OVERHEAD, Wrapper};

/// The share of the cipher's own speed that must be left, by the length of the message.
const LENGTHS: [(usize, f64, &str); 3] = [(64, 0.70, "64 B"), (1024, 0.80, "1 KiB"), (16384, 0.90, "16 KiB")];
/// Bytes that a batch goes through: a millisecond or more for each length.
const BATCH_BYTES: usize = 16 << 20;
/// Messages in a batch at most.
const BATCH: usize = 20_000;

/// Wrapping in place, at three lengths.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    for (length, target, name) in LENGTHS {
        let batch = BATCH.min(BATCH_BYTES / length);
        let [wrapped, raw] = interleaved([wrapping(length, batch), sealing(length, batch)?])?;
        let share = raw.server.over(&wrapped.server);
        report.median(
            format!("wrap in place ÷ raw AES-256-GCM speed, {name}"),
            &share,
            "×",
            Target::AtLeast(target),
        );
        report.median(format!("wrap in place, {name}"), &wrapped.server, "µs", Target::None);
    }
    Ok(())
}

fn wrapping(length: usize, batch: usize) -> Subject<'static> {
    let mut buffer = vec![7; length + WRAP_OVERHEAD];
    Box::new(move || {
        // A fresh key each round, so that no round meets the change of keys.
        let mut wrapper = Wrapper::new(crypto(), any_key());
        let (took, result) =
            spent(|| (0..batch).try_for_each(|_| wrapper.wrap_in_place(black_box(&mut buffer))));
        result?;
        Ok(Cost { server: micros_each(took, batch), client: 0.0 })
    })
}

fn sealing(length: usize, batch: usize) -> Result<Subject<'static>> {
    let key = bare::gcm(any_key().expose())?;
    let mut buffer = vec![7; length];
    let mut sequence = 0u64;
    Ok(Box::new(move || {
        let (took, result) = spent(|| {
            (0..batch).try_for_each(|_| {
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&sequence.to_be_bytes());
                sequence += 1;
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.seal_in_place_separate_tag(nonce, Aad::empty(), black_box(&mut buffer)).map(|tag| {
                    black_box(tag.as_ref());
                })
            })
        });
        result.map_err(|_| anyhow::anyhow!("sealing failed"))?;
        Ok(Cost { server: micros_each(took, batch), client: 0.0 })
    }))
}
