//! The commands, one file each.

pub mod api;
pub mod apply;
pub mod bench;
pub mod dev;
pub mod governance;
pub mod invoice;
pub mod member;
pub mod network;
pub mod node;
pub mod notarize;
pub mod operator;
pub mod party;
pub mod proposal;
pub mod ready;
pub mod receipt;
pub mod records;
pub mod template;
pub mod verify;
