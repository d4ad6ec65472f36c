#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| symbolon_fuzz::feed("template_and_policy", data));
