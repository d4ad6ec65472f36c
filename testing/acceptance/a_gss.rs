//! Row A9 as an administrator can see it: programs of the distribution, unmodified, that load Symbolon's mechanism by
//! one line of configuration. `docs/gss.md` has the same commands.

#[path = "a_gss/ldap.rs"]
mod ldap;
#[path = "a_gss/samples.rs"]
mod samples;
#[path = "a_gss/sasl.rs"]
mod sasl;
#[path = "a_gss/site.rs"]
mod site;
#[path = "a_gss/valgrind.rs"]
mod valgrind;
#[path = "a_gss/web.rs"]
mod web;
