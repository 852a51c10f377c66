//! An emulator of AWS that runs real containers, and the pipeline in front of it.

pub mod aws;
mod checkout;
mod world;

pub use self::{
    aws::Aws,
    checkout::Checkout,
    world::{Finished, Running, SECRETS, World, files},
};
