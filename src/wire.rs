//! Pure: what a run and its workers elsewhere say to each other, and the bytes of it.
//!
//! The same bytes pass through a pipe to a child, through `ssh` and through `srun`: so there is no port and no
//! secret, whoever starts the worker says who it is, and the end of the stream says that the other is gone.
//! What is to be said fits in frames ([`frame`]); what they mean is in [`message`].

pub(crate) mod frame;
pub(crate) mod message;
