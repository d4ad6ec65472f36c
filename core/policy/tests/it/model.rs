//! What an entitlement means, written down a second time without Cedar, and how to draw the facts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use symbolon_policy::{
    AccessPath, AccessRequest, AppName, Assurance, CanonName, Conditions, DailyWindow, Entitlement,
    EntitlementId, Grantee, GroupName, Network, Standing, Subject, TokenClass, Weekday,
};
use symbolon_wire::Time;

/// 2026-03-02T00:00:00Z, a Monday.
pub(crate) const MONDAY: u64 = 1_772_409_600;

/// A request that owns what it names.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) subject: Subject,
    pub(crate) app: AppName,
    pub(crate) now: Time,
    pub(crate) source: IpAddr,
    pub(crate) token_class: TokenClass,
    pub(crate) machine: String,
    pub(crate) place: String,
}

impl Asked {
    pub(crate) fn request(&self) -> AccessRequest<'_> {
        AccessRequest {
            subject: &self.subject,
            app: &self.app,
            now: self.now,
            source: self.source,
            token_class: self.token_class,
            machine: &self.machine,
            place: &self.place,
        }
    }
}

pub(crate) fn grants(e: &Entitlement, asked: &Asked) -> bool {
    e.app == asked.app && grantee_matches(e, asked) && conditions_hold(&e.conditions, asked)
}

pub(crate) fn grantee_matches(e: &Entitlement, asked: &Asked) -> bool {
    match &e.grantee {
        Grantee::User(name) => *name == asked.subject.name,
        Grantee::Group(group) => asked.subject.groups.contains(group),
        Grantee::Path(path) => asked.subject.path.starts_with(path),
    }
}

fn conditions_hold(c: &Conditions, asked: &Asked) -> bool {
    c.time_holds(asked.now)
        && (c.networks.is_empty() || c.networks.iter().any(|n| n.contains(asked.source)))
        && (c.token_classes.is_empty() || c.token_classes.contains(&asked.token_class))
        && c.assurance.is_none_or(|least| least <= asked.token_class.assurance())
        && (c.machines.is_empty() || c.machines.contains(&asked.machine))
        && (c.places.is_empty() || c.places.contains(&asked.place))
}

const NAMES: [&str; 3] = ["alice", "bob", "анна"];
const GROUPS: [&str; 3] = ["staff", "ops", "user"];
const PATHS: [&str; 5] = ["/", "/people", "/people/staff", "/peoples", "/people/alice"];
const APPS: [&str; 2] = ["db", "db.office"];
const NETWORKS: [&str; 6] = ["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "::/0", "2001:db8::/32", "192.0.2.7"];

/// Labels that are policy text, JSON, or escapes of either, should anybody ever parse them.
const LABELS: [&str; 8] = [
    "laptop",
    "",
    "\"]) || true || [\"",
    "*",
    "{\"__entity\":{\"type\":\"User\",\"id\":\"alice\"}}",
    "\\u{0}",
    "principal",
    "ip(\"0.0.0.0/0\")",
];

pub(crate) fn pick<T>(texts: &'static [&'static str]) -> impl Strategy<Value = T>
where
    T: std::str::FromStr + std::fmt::Debug + 'static,
    T::Err: std::fmt::Debug,
{
    prop::sample::select(texts).prop_map(|t| t.parse().unwrap())
}

pub(crate) fn label() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(&LABELS[..]).prop_map(str::to_owned), 1 => any::<String>()]
}

fn tokens() -> impl Strategy<Value = TokenClass> {
    prop::sample::select(&TokenClass::ALL[..])
}

/// Instants of two weeks, half of them on a minute, where windows begin and end.
pub(crate) fn time() -> impl Strategy<Value = Time> {
    let minute = (0u64..14 * 24 * 60).prop_map(|m| Time::from_secs(MONDAY + m * 60));
    prop_oneof![minute.clone(), (minute, 0u64..60_000_000).prop_map(|(t, us)| Time(t.0 + us))]
}

pub(crate) fn window() -> impl Strategy<Value = DailyWindow> {
    let days = prop::sample::subsequence(&Weekday::ALL[..], 1..=7);
    (days, 0u16..1440, 1u16..=1440)
        .prop_filter_map("an empty window", |(days, from, to)| DailyWindow::new(&days, from..to).ok())
}

pub(crate) fn conditions() -> impl Strategy<Value = Conditions> {
    (
        prop::option::weighted(0.3, window()),
        prop::option::weighted(0.2, time()),
        prop::option::weighted(0.2, time()),
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(pick::<Network>(&NETWORKS), 1..3)],
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(tokens(), 1..3)],
        prop::option::weighted(0.2, prop::sample::select(&Assurance::ALL[..])),
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(label(), 1..3)],
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(label(), 1..3)],
    )
        .prop_map(
            |(hours, not_before, not_after, networks, token_classes, assurance, machines, places)| {
                Conditions {
                    hours,
                    not_before,
                    not_after,
                    networks,
                    token_classes,
                    assurance,
                    machines,
                    places,
                }
            },
        )
}

pub(crate) fn entitlements() -> impl Strategy<Value = Vec<Entitlement>> {
    let grantee = prop_oneof![
        pick(&NAMES).prop_map(Grantee::User),
        pick(&GROUPS).prop_map(Grantee::Group),
        pick(&PATHS).prop_map(Grantee::Path),
    ];
    prop::collection::vec((grantee, pick(&APPS), conditions()), 0..6).prop_map(|drawn| {
        let numbered = drawn.into_iter().enumerate();
        numbered
            .map(|(n, (grantee, app, conditions))| Entitlement {
                id: EntitlementId([n as u8; 16]),
                grantee,
                app,
                conditions,
            })
            .collect()
    })
}

pub(crate) fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        prop::sample::select(
            &["10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "2001:db8::1", "::1", "::10.1.2.3"][..]
        )
        .prop_map(|a| a.parse().unwrap()),
        any::<u32>().prop_map(|a| Ipv4Addr::from_bits(a).into()),
        any::<u128>().prop_map(|a| Ipv6Addr::from_bits(a).into()),
    ]
}

pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    let standing =
        prop_oneof![8 => Just(Standing::Active), 1 => Just(Standing::Pending), 1 => Just(Standing::Locked)];
    let subject = (pick(&NAMES), pick(&PATHS), prop::collection::vec(pick(&GROUPS), 0..3), standing)
        .prop_map(|(name, path, groups, standing)| Subject { name, path, groups, standing });
    (subject, pick(&APPS), time(), address(), tokens(), label(), label()).prop_map(
        |(subject, app, now, source, token_class, machine, place)| Asked {
            subject,
            app,
            now,
            source,
            token_class,
            machine,
            place,
        },
    )
}

/// Alice of the staff, on a Monday at noon.
pub(crate) fn alice_asks(app: &str) -> Asked {
    Asked {
        subject: Subject {
            name: CanonName::parse("alice").unwrap(),
            path: AccessPath::parse("/people/alice").unwrap(),
            groups: vec![GroupName::parse("staff").unwrap()],
            standing: Standing::Active,
        },
        app: AppName::parse(app).unwrap(),
        now: Time::from_secs(MONDAY + 12 * 3600),
        source: "192.0.2.7".parse().unwrap(),
        token_class: TokenClass::Software,
        machine: "laptop".into(),
        place: "home".into(),
    }
}

pub(crate) fn entitlement(id: u8, grantee: &str, app: &str, pieces: &[&str]) -> Entitlement {
    Entitlement {
        id: EntitlementId([id; 16]),
        grantee: grantee.parse().unwrap(),
        app: app.parse().unwrap(),
        conditions: Conditions::from_pieces(pieces.iter().copied()).unwrap(),
    }
}
