//! What the server does in one piece: one Lua script for each operation (`lua/`).

/// What a script may do, in the server's own words (Redis 7, Valkey).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Changes nothing: it may be asked again, and is answered when the memory is full.
    Reads,
    /// Is refused when the memory is full.
    Writes,
    /// Makes room, or nearly none is needed: what ends a session must not need room.
    MakesRoom,
}

macro_rules! scripts {
    ($($name:ident $file:literal $kind:ident,)*) => {
        /// An operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Script { $($name,)* }

        impl Script {
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];

            fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }

            fn body(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!("lua/", $file, ".lua")),)* }
            }
        }
    };
}

scripts! {
    Welcome "welcome" MakesRoom,
    Open "open" Writes,
    Claim "claim" Writes,
    Publish "publish" Writes,
    Renew "renew" Writes,
    Deal "deal" Writes,
    Skip "skip" Writes,
    Look "look" Reads,
    Live "live" Reads,
    Describe "describe" Reads,
    OfUser "of_user" Reads,
    Count "count" Reads,
    End "end" MakesRoom,
    EndOf "end_of" MakesRoom,
    Notices "notices" Reads,
    Forget "forget" MakesRoom,
    Put "put" Writes,
    Sweep "sweep" MakesRoom,
}

impl Script {
    /// Whether it changes nothing, so that it may run twice.
    pub(super) fn only_reads(self) -> bool {
        self.kind() == Kind::Reads
    }

    /// Whether its answer may be lost with the server: forgetting and sweeping are done again.
    pub(super) fn may_be_lost(self) -> bool {
        self.only_reads() || matches!(self, Self::Welcome | Self::Forget | Self::Sweep)
    }

    /// The text for the server.
    pub(super) fn text(self) -> String {
        let first = match self.kind() {
            Kind::Reads => "#!lua flags=no-writes",
            Kind::Writes => "#!lua",
            Kind::MakesRoom => "#!lua flags=allow-oom",
        };
        let common = if self == Self::Welcome { "" } else { include_str!("lua/common.lua") };
        format!("{first}\n{common}\n{}", self.body())
    }
}
