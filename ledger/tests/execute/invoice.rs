//! Electronic invoices on the executor: a day in the life, and every refusal by its code.

#[path = "invoice/codes.rs"]
mod codes;
#[path = "invoice/day.rs"]
mod day;
#[path = "invoice/world.rs"]
pub mod world;
