//! What a stranger sends first: a frame.

use symbolon_wire::{FRAME_HEADER, Frame, FrameHeader, FrameKind, Reader};

use crate::Target;

pub(crate) const TARGET: Target = Target { name: "context_first_message", feed, seeds };

fn feed(data: &[u8]) {
    let mut r = Reader::new(data);
    let Ok(header) = r.fixed::<FRAME_HEADER>() else { return };
    let Ok(parsed) = FrameHeader::parse(header) else { return };
    assert!(parsed.length <= parsed.kind.max_body(), "a body is bounded before it is read");
    assert_eq!(parsed.to_bytes(), header, "a header has one encoding");
}

fn seeds() -> Vec<Vec<u8>> {
    FrameKind::ALL.map(|kind| Frame::new(kind, vec![0; 40]).to_bytes()).to_vec()
}
