/// A file of `name = hex` lines, with comments after `#`.
pub(crate) struct Vector(&'static str);

impl Vector {
    /// From the content of a file under `vectors/`.
    pub(crate) const fn new(text: &'static str) -> Self {
        Self(text)
    }

    /// The bytes under `name`.
    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        let line = self.0.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(" = "));
        let digits = line.unwrap_or_else(|| panic!("no {name} in the vector")).as_bytes();
        digits.chunks(2).map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap()).collect()
    }
}
