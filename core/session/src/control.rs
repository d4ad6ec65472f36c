//! What client and node say to each other within a session.

use crate::{EndReason, IssuedTicket, Line, Opaque, Report, StreamRange};
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// A signed configuration of room B (B9), at most 900 KiB: 4,096 destinations, and with what goes
/// around it still within one frame.
pub type ConfigurationBytes = Opaque<{ 900 * 1024 }>;

/// A message of a challenge and response of room B (B8), by which a session is renewed.
pub type RenewalBytes = Opaque<{ 16 * 1024 }>;

/// A certificate, or what is asked or answered about one, in the encoding of the issuer.
pub type CertificateBytes = Opaque<{ 16 * 1024 }>;

/// A revocation list of the issuer (RFC 5280 §5), DER, at most 128 KiB: some three thousand entries. It goes
/// to every client at once, so a longer one is left to directories.
pub type RevocationListBytes = Opaque<{ 128 * 1024 }>;

/// Who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The side that opened the context.
    Client,
    /// The side that accepted it.
    Node,
    /// Both may.
    Either,
}

/// A control message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlMessage {
    /// Client: where and what I am (B9): at sign-in, after a change, on request.
    Report(Report),
    /// Client: send me my configuration.
    RequestConfiguration,
    /// Client: the configuration of this version is in effect.
    ConfigurationApplied {
        /// Its version.
        version: u64,
    },
    /// Client: the session is over; nothing follows.
    Logout,
    /// Client: are you there?
    Ping(u64),
    /// Client: tell me your number for the next sign-in (B8).
    NumberRequest,
    /// Client: my stream numbers run out.
    StreamsRequest,

    /// Client: give me a ticket for my next session (A5).
    TicketRequest,
    /// Client: certify my key (a request of PKCS #10, or a renewal).
    CertificateRequest(CertificateBytes),
    /// Client: I opened the envelope in which the certificate came.
    CertificateConfirm(CertificateBytes),

    /// Either: first message of a challenge and response that renews the session (B8).
    RenewFirst(RenewalBytes),
    /// Either: the answer to it.
    RenewSecond(RenewalBytes),
    /// Either: the confirmation.
    RenewThird(RenewalBytes),

    /// Node: apply this (B9).
    Configuration(ConfigurationBytes),
    /// Node: you may open streams under these numbers at this node.
    StreamsGranted(StreamRange),
    /// Node: this stream was ended, for the case that its own record does not arrive.
    StreamEnded {
        /// Which.
        number: u64,
        /// Why.
        reason: EndReason,
        /// More about it, or nothing.
        detail: Line,
    },
    /// Node: the session is over; nothing follows.
    SessionEnded {
        /// Why.
        reason: EndReason,
        /// More about it, or nothing.
        detail: Line,
    },
    /// Node: my number for your next sign-in (B8).
    NextNumber([u8; 32]),
    /// Node: I am here.
    Pong(u64),
    /// Node: tell me again where and what you are (B9).
    ReportRequest,
    /// Node: a ticket, good for one sign-in at any node.
    Ticket(IssuedTicket),
    /// Node: a certificate, as it is or in an envelope to its key.
    Certificate(CertificateBytes),
    /// Node: what was asked about a certificate is not done.
    CertificateRefused {
        /// Why.
        detail: Line,
    },
    /// Node: another issuer follows the one that you trust, which says so itself.
    IssuerChange(CertificateBytes),
    /// Node: these certificates of the issuer count no more, gateways' among them.
    RevocationList(RevocationListBytes),
    /// Node: I stop soon; come to another node, or later.
    Stopping {
        /// What the operator says about it, or nothing.
        detail: Line,
    },
}

impl ControlMessage {
    /// Who may send it.
    #[must_use]
    pub const fn sender(&self) -> Sender {
        match self {
            Self::Report(_)
            | Self::RequestConfiguration
            | Self::ConfigurationApplied { .. }
            | Self::Logout
            | Self::Ping(_)
            | Self::NumberRequest
            | Self::StreamsRequest
            | Self::TicketRequest
            | Self::CertificateRequest(_)
            | Self::CertificateConfirm(_) => Sender::Client,
            Self::RenewFirst(_) | Self::RenewSecond(_) | Self::RenewThird(_) => Sender::Either,
            Self::Configuration(_)
            | Self::StreamsGranted(_)
            | Self::StreamEnded { .. }
            | Self::SessionEnded { .. }
            | Self::NextNumber(_)
            | Self::Pong(_)
            | Self::ReportRequest
            | Self::Ticket(_)
            | Self::Certificate(_)
            | Self::CertificateRefused { .. }
            | Self::IssuerChange(_)
            | Self::RevocationList(_)
            | Self::Stopping { .. } => Sender::Node,
        }
    }

    /// Whether its sender sends nothing after it, so that a cut can be told from the end.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Logout | Self::SessionEnded { .. })
    }

    const fn tag(&self) -> u8 {
        match self {
            Self::Report(_) => 0x01,
            Self::RequestConfiguration => 0x02,
            Self::ConfigurationApplied { .. } => 0x03,
            Self::Logout => 0x04,
            Self::Ping(_) => 0x05,
            Self::NumberRequest => 0x06,
            Self::StreamsRequest => 0x07,
            Self::TicketRequest => 0x08,
            Self::CertificateRequest(_) => 0x09,
            Self::CertificateConfirm(_) => 0x0a,
            Self::RenewFirst(_) => 0x41,
            Self::RenewSecond(_) => 0x42,
            Self::RenewThird(_) => 0x43,
            Self::Configuration(_) => 0x81,
            Self::StreamsGranted(_) => 0x82,
            Self::StreamEnded { .. } => 0x83,
            Self::SessionEnded { .. } => 0x84,
            Self::NextNumber(_) => 0x85,
            Self::Pong(_) => 0x86,
            Self::ReportRequest => 0x87,
            Self::Stopping { .. } => 0x88,
            Self::Ticket(_) => 0x89,
            Self::Certificate(_) => 0x8a,
            Self::CertificateRefused { .. } => 0x8b,
            Self::IssuerChange(_) => 0x8c,
            Self::RevocationList(_) => 0x8d,
        }
    }
}

impl Encode for ControlMessage {
    fn encode(&self, w: &mut Writer) {
        w.u8(self.tag());
        match self {
            Self::RequestConfiguration
            | Self::Logout
            | Self::NumberRequest
            | Self::StreamsRequest
            | Self::TicketRequest
            | Self::ReportRequest => {}
            Self::Report(report) => report.encode(w),
            Self::ConfigurationApplied { version } => w.u64(*version),
            Self::Ping(number) | Self::Pong(number) => w.u64(*number),
            Self::RenewFirst(bytes) | Self::RenewSecond(bytes) | Self::RenewThird(bytes) => bytes.encode(w),
            Self::Configuration(bytes) => bytes.encode(w),
            Self::StreamsGranted(range) => range.encode(w),
            Self::StreamEnded { number, reason, detail } => {
                w.u64(*number);
                reason.encode(w);
                detail.encode(w);
            }
            Self::SessionEnded { reason, detail } => {
                reason.encode(w);
                detail.encode(w);
            }
            Self::NextNumber(number) => w.fixed(number),
            Self::Stopping { detail } | Self::CertificateRefused { detail } => detail.encode(w),
            Self::Ticket(ticket) => ticket.encode(w),
            Self::CertificateRequest(bytes)
            | Self::CertificateConfirm(bytes)
            | Self::Certificate(bytes)
            | Self::IssuerChange(bytes) => bytes.encode(w),
            Self::RevocationList(bytes) => bytes.encode(w),
        }
    }
}

impl Decode for ControlMessage {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match r.u8()? {
            0x01 => Self::Report(Report::decode(r)?),
            0x02 => Self::RequestConfiguration,
            0x03 => Self::ConfigurationApplied { version: r.u64()? },
            0x04 => Self::Logout,
            0x05 => Self::Ping(r.u64()?),
            0x06 => Self::NumberRequest,
            0x07 => Self::StreamsRequest,
            0x08 => Self::TicketRequest,
            0x09 => Self::CertificateRequest(CertificateBytes::decode(r)?),
            0x0a => Self::CertificateConfirm(CertificateBytes::decode(r)?),
            0x41 => Self::RenewFirst(RenewalBytes::decode(r)?),
            0x42 => Self::RenewSecond(RenewalBytes::decode(r)?),
            0x43 => Self::RenewThird(RenewalBytes::decode(r)?),
            0x81 => Self::Configuration(ConfigurationBytes::decode(r)?),
            0x82 => Self::StreamsGranted(StreamRange::decode(r)?),
            0x83 => Self::StreamEnded {
                number: r.u64()?,
                reason: EndReason::decode(r)?,
                detail: Line::decode(r)?,
            },
            0x84 => Self::SessionEnded { reason: EndReason::decode(r)?, detail: Line::decode(r)? },
            0x85 => Self::NextNumber(r.fixed()?),
            0x86 => Self::Pong(r.u64()?),
            0x87 => Self::ReportRequest,
            0x88 => Self::Stopping { detail: Line::decode(r)? },
            0x89 => Self::Ticket(IssuedTicket::decode(r)?),
            0x8a => Self::Certificate(CertificateBytes::decode(r)?),
            0x8b => Self::CertificateRefused { detail: Line::decode(r)? },
            0x8c => Self::IssuerChange(CertificateBytes::decode(r)?),
            0x8d => Self::RevocationList(RevocationListBytes::decode(r)?),
            _ => return Err(WireError::BadValue("control message")),
        })
    }
}
