//! Results that several people share: what makes one, its record, and who vouches for it.
//!
//! Whoever has executed a task can put down for others what it left, under a key that says all that the
//! result depends on. A record is signed; what is not signed by somebody who is trusted is nobody's result.

mod address;
mod key;
mod record;
mod signer;

pub use address::{Address, BadAddress};
pub use key::{ResultKey, Terms};
pub use record::{BadRecord, MOST_OUTPUTS, Record, SharedOutput};
pub use signer::{BadKey, PublicKey, SecretKey};
