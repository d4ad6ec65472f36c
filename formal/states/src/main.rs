#![expect(clippy::print_stdout, reason = "a tool that talks to the person who called it")]
//! What a symbolic checker does not see: clocks, crashes, and two nodes that decide at once.
//!
//! Five small machines, each explored to its last state, and each again with a part left out or in a world that
//! is worse than we ask for: there the search must find what goes wrong, so we know that it looks.
//! What each step is in the product stands at the head of its file; docs/protocol/proofs.md has the table.

mod check;
mod clock;
mod invitation;
mod renewal;
mod replay;
mod streams;
mod ticket;

use check::{breaks, holds};
use clock::{Cache, World};
use replay::{Clock, Keys, Replay};
use std::process::ExitCode;
use ticket::{Memory, Ticket};

fn main() -> ExitCode {
    let held = [replays(), tickets(), invitations(), renewals(), streams()];
    if held.iter().flatten().all(|held| *held) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replays() -> Vec<bool> {
    use replay::ONCE;
    let ours = Replay {
        cache: Cache::InsertIfAbsent,
        keys: Keys::OfTheProcess,
        clock: Clock::ReadAgain,
        world: World::GOOD,
    };
    let shared = Replay { keys: Keys::OfTheDomain, ..ours };
    let forgetful = World { forgetful_store: true, ..World::GOOD };
    let apart = |ahead| World { ahead, ..World::GOOD };
    let slow = |stall| World { stall, ..World::GOOD };
    vec![
        holds("replay: as it is", ours),
        holds("replay: the store forgets, and the keys too", Replay { world: forgetful, ..ours }),
        breaks("replay: the store forgets, the keys do not", Replay { world: forgetful, ..shared }, ONCE),
        holds("replay: two nodes with one key", shared),
        holds("replay: and clocks one minute apart", Replay { world: apart(1), ..shared }),
        breaks("replay: and clocks two minutes apart", Replay { world: apart(2), ..shared }, ONCE),
        holds("replay: a node stands still for one minute", Replay { world: slow(1), ..ours }),
        holds("replay: a node stands still for two minutes", Replay { world: slow(2), ..ours }),
        breaks(
            "replay: the same, if it looked at its clock before only",
            Replay { clock: Clock::ReadBefore, world: slow(2), ..ours },
            ONCE,
        ),
        breaks("replay: look, then insert", Replay { cache: Cache::LookThenInsert, ..ours }, ONCE),
        breaks("replay: a cache for each node", Replay { cache: Cache::OfEachNode, ..shared }, ONCE),
    ]
}

fn tickets() -> Vec<bool> {
    use ticket::ONCE;
    let ours = Ticket { cache: Cache::InsertIfAbsent, memory: Memory::WithTolerance, world: World::GOOD };
    let apart = World { ahead: 1, ..World::GOOD };
    let slow = World { stall: 1, ..World::GOOD };
    let forgetful = World { forgetful_store: true, ..World::GOOD };
    let bad = World { ahead: 1, stall: 1, ..World::GOOD };
    vec![
        holds("ticket: as it is", ours),
        holds("ticket: clocks one minute apart", Ticket { world: apart, ..ours }),
        holds("ticket: a node stands still for one minute", Ticket { world: slow, ..ours }),
        holds("ticket: both", Ticket { world: bad, ..ours }),
        breaks(
            "ticket: both, if remembered until it ends only",
            Ticket { memory: Memory::UntilItEnds, world: bad, ..ours },
            ONCE,
        ),
        breaks("ticket: the store forgets", Ticket { world: forgetful, ..ours }, ONCE),
        breaks("ticket: look, then insert", Ticket { cache: Cache::LookThenInsert, ..ours }, ONCE),
        breaks("ticket: a cache for each node", Ticket { cache: Cache::OfEachNode, ..ours }, ONCE),
        breaks("ticket: forgotten too early", Ticket { memory: Memory::LikeAFirstMessage, ..ours }, ONCE),
    ]
}

fn invitations() -> Vec<bool> {
    use invitation::{BOTH, Invitation, NOBODY, ONE, Rules};
    let under = |rules| Invitation { rules };
    vec![
        holds("invitation: as it is", under(Rules::Ours)),
        breaks("invitation: a claim is not checked", under(Rules::ClaimUnchecked), ONE),
        breaks("invitation: consumption is not checked", under(Rules::ConsumeUnchecked), NOBODY),
        breaks("invitation: neither is checked", under(Rules::NothingChecked), ONE),
        breaks("invitation: no confirmation", under(Rules::NoConfirmation), BOTH),
    ]
}

fn renewals() -> Vec<bool> {
    use renewal::{FOLLOWED, LINE, RETURN, Renewal, Rules};
    let alone = |rules| Renewal { rules, thief: false };
    let with_a_thief = |rules| Renewal { rules, thief: true };
    vec![
        holds("renewal: as it is", alone(Rules::Ours)),
        holds("renewal: a thief copies the key at any moment", with_a_thief(Rules::Ours)),
        breaks("renewal: no confirmation", alone(Rules::NoConfirmation), RETURN),
        breaks("renewal: what was followed is renewed again", alone(Rules::FollowedAgain), FOLLOWED),
        breaks("renewal: a confirmation is not checked", with_a_thief(Rules::ConfirmUnchecked), LINE),
        breaks("renewal: use does not confirm", alone(Rules::UseIsNothing), RETURN),
    ]
}

fn streams() -> Vec<bool> {
    use streams::{ONCE, Rules, Streams};
    let under = |rules| Streams { rules };
    vec![
        holds("streams: as it is", under(Rules::Ours)),
        breaks("streams: a range is not dealt anew", under(Rules::RangeNotDealtAnew), ONCE),
        breaks("streams: nothing is left out at a start", under(Rules::NothingSkipped), ONCE),
        breaks("streams: read, then write", under(Rules::ReadThenWrite), ONCE),
    ]
}
