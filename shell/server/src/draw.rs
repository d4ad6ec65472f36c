use symbolon_crypto::Entropy;
use symbolon_provider::SystemEntropy;

/// A fresh number from the operating system: for ids and other values that need not stay secret.
pub(crate) fn draw<const N: usize>() -> [u8; N] {
    let entropy: &mut dyn Entropy = &mut SystemEntropy;
    entropy.number()
}
