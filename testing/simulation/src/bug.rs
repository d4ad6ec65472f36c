//! Faults that are planted on purpose: a simulator that finds none of them would find no others either.

/// A switch of the simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// The store lets a claim through whatever was published since its state was seen.
    NoFence,
    /// The store takes publications of the owner before the present one.
    FenceOffByOne,
    /// A claim leaves the epoch as it was.
    EpochNotRaised,
    /// A node answers an attach before the store has acknowledged its claim.
    AnswerBeforeClaim,
    /// A node counts a report as kept before the store has it.
    ReportBeforePublish,
    /// The store acknowledges what its replica does not have yet.
    AsyncReplication,
    /// Replay keys do not reach the replica.
    ReplayKeysNotReplicated,
    /// Replay keys are forgotten before the messages are too old.
    ReplayKeysForgotten,
    /// A node looks whether a ticket was spent, spends it in a second step, and goes on when its session is gone.
    TicketLookedAtThenSpent,
    /// A ticket is taken although its session was ended.
    TicketOutlivesSession,
    /// A node never reads its directory again.
    StaleDirectory,
    /// A node does not read what others did to its sessions.
    NoticesIgnored,
    /// The store gives notices away with its answer, also when that is lost.
    LostNotices,
    /// The store deals stream numbers by reading, then writing what the node made of it.
    RangeDealtTwice,
    /// A node does not mark stream numbers as used.
    NumberNotClaimed,
    /// A node takes any number below the highest after it took a session over.
    NumbersOfOthersTaken,
    /// The counter of an attach does not go into the claim.
    AttachNotCounted,
    /// A node answers streams under the same random number each time.
    AnswerNotRandom,
    /// Nodes let go of expired sessions and leave them in the store.
    ExpiryNotWritten,
    /// An attach moves the end of its session.
    AttachRenews,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::NoFence,
        Self::FenceOffByOne,
        Self::EpochNotRaised,
        Self::AnswerBeforeClaim,
        Self::ReportBeforePublish,
        Self::AsyncReplication,
        Self::ReplayKeysNotReplicated,
        Self::ReplayKeysForgotten,
        Self::TicketLookedAtThenSpent,
        Self::TicketOutlivesSession,
        Self::StaleDirectory,
        Self::NoticesIgnored,
        Self::LostNotices,
        Self::RangeDealtTwice,
        Self::NumberNotClaimed,
        Self::NumbersOfOthersTaken,
        Self::AttachNotCounted,
        Self::AnswerNotRandom,
        Self::ExpiryNotWritten,
        Self::AttachRenews,
    ];
}
