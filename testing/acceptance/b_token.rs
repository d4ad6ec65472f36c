//! B, from the outside: a token with no secret in it is handed out, registered, moved and used, with real processes
//! of the binary and nothing but its command line, its files and its port.
//!
//! ```text
//! handing_out   B1 B2 B3   blank tokens, several gateways of one issuer, a gateway that is not ours
//! templates     B4         questions as data, wrong answers, a person at a terminal
//! registration  B5 B6      names, codes, paths; invitations; what breaks off in the middle
//! pin           B7         wrong PINs, locked and recovered; damaged, swapped and newer files
//! sign_in       B8 B9 B11  one round trip; place, machine, network, class and hours
//! applications  B10        odd applications, back-pressure
//! faults                   full and read-only disks, two nodes in one place, exit codes
//! stops                    a node and its people, told to stop
//! ```

#[path = "b_token/applications.rs"]
mod applications;
#[path = "b_token/faults.rs"]
mod faults;
#[path = "b_token/handing_out.rs"]
mod handing_out;
#[path = "b_token/pin.rs"]
mod pin;
#[path = "b_token/registration.rs"]
mod registration;
#[path = "b_token/sign_in.rs"]
mod sign_in;
#[path = "b_token/stage.rs"]
mod stage;
#[path = "b_token/stops.rs"]
mod stops;
#[path = "b_token/templates.rs"]
mod templates;
