//! Operation ids: `op_` + acceptance time + transaction id, so that most operations need no row of their own. The
//! ledger itself knows how they ended, also after everything in SQL is lost.

use muniment_ledger::transaction::TransactionId;

/// An operation: one transaction, accepted at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationId {
    /// Milliseconds since the Unix epoch.
    pub created_at: i64,
    /// The transaction.
    pub transaction: TransactionId,
}

impl std::fmt::Display for OperationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "op_{:012x}{}", self.created_at, hex::encode(self.transaction.0))
    }
}

impl std::str::FromStr for OperationId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let rest = text
            .strip_prefix("op_")
            .filter(|rest| rest.len() == 76 && rest.is_ascii())
            .ok_or(())?;
        let (time, id) = rest.split_at(12);
        let created_at = i64::from_str_radix(time, 16).map_err(|_| ())?;
        let id = Self {
            created_at,
            transaction: id.parse().map_err(|_| ())?,
        };
        if id.to_string() == text { Ok(id) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn printed_ids_are_read_back_and_nothing_else() {
        let id = OperationId {
            created_at: 1_795_000_000_123,
            transaction: TransactionId([7; 32]),
        };
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "op_",
            "op_zz",
            &id.to_string().to_uppercase(),
            &format!("{id}0"),
            &id.to_string()[1..],
        ] {
            assert!(text.parse::<OperationId>().is_err(), "{text}");
        }
    }
}
