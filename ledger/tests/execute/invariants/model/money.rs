//! What is open, paid, overpaid and to be refunded, and what of it both sides have said.

use muniment_ledger::state::Record;
use serde_json::Value;

use super::{Document, int, text};

impl Document {
    pub(super) fn money(&mut self, party: u8, action: &str, input: &Value, must: &mut impl FnMut(u8, bool, &str)) {
        let amount = int(&input["amount"]);
        match action {
            "settle" => {
                let may = party == self.payee || self.agent == Some(party);
                must(9, may, "payments go to the current payee only, or to whom it has named");
                must(13, may, "only the payee and its agent say that it was paid");
                must(12, self.live() || self.state == "FullyCredited", "nothing is owed");
                must(7, amount <= self.open(), "more than is owed");
                let over = input.get("overpaid").map_or(0, int);
                must(7, amount + over > 0, "a payment of nothing");
                self.paid += amount;
                must(7, over == 0 || self.open() == 0, "overpaid while something is open");
                self.overpaid += over;
                let known = self.payments.insert(text(&input["payment"]), (amount, over, false));
                must(7, known.is_none(), "the same payment twice");
                if self.open() == 0 && self.pledged() == 0 {
                    self.pledges.clear();
                }
            }
            "confirmPayment" => {
                must(13, self.is_recipient(party), "only the other side confirms");
                let payment = self.payments.get_mut(&text(&input["payment"]));
                must(
                    7,
                    payment.as_ref().is_some_and(|(_, _, confirmed)| !confirmed),
                    "no such payment, or confirmed already",
                );
                if let Some((_, _, confirmed)) = payment {
                    *confirmed = true;
                }
                self.closed();
            }
            "refund" => {
                must(
                    13,
                    party == self.payee || party == self.issuer,
                    "only the payee or issuer refunds",
                );
                self.refund_said += amount;
                must(
                    7,
                    self.refund_said <= self.overpaid + self.refund,
                    "more than is refundable",
                );
            }
            _ => {
                must(13, self.is_recipient(party), "only who gets it says that it came back");
                must(7, amount <= self.refund_said, "nobody has said so");
                let first = amount.min(self.overpaid);
                self.overpaid -= first;
                self.refund -= amount - first;
                self.refund_said -= amount;
                self.refunded += amount;
            }
        }
    }

    /// What came in: before the document was issued, and by the payments that are on record.
    fn received(&self) -> i64 {
        let payments = self.payments.values();
        self.prepaid + payments.map(|(amount, over, _)| amount + over).sum::<i64>()
    }

    /// Takes back what only the payee before has said was paid: of what it paid for, else of what it left to be refunded.
    /// What both have said was paid beyond counts towards what is open again.
    pub(super) fn forget_unconfirmed(&mut self) {
        let paid: i64 = self.payments.values().map(|(amount, _, _)| amount).sum();
        let credited = self.prepaid + paid - self.paid;
        let said = self.payments.values().filter(|(_, _, confirmed)| !confirmed);
        let (amount, over) = said.fold((0, 0), |(a, o), (amount, over, _)| (a + amount, o + over));
        self.paid -= (amount - credited).max(0);
        self.overpaid = (self.overpaid - over).max(0);
        self.payments.retain(|_, (_, _, confirmed)| *confirmed);
        let counted = self.overpaid.min(self.open());
        self.paid += counted;
        self.overpaid -= counted;
        // Whatever is left of the money that came in.
        let left = self.received() - self.paid - self.overpaid - self.refunded;
        self.refund = self.refund.min(left.max(0));
        self.refund_said = self.refund_said.min(self.overpaid + self.refund);
    }

    /// Compares the money of a record with what is known of it, and with itself.
    pub(super) fn money_agrees(&self, record: &Record, must: &mut impl FnMut(u8, bool, &str)) {
        let field = |name: &str| record.fields.get(name).map_or(0, int);
        must(
            7,
            field("open") == self.open(),
            "open is what is neither paid nor credited",
        );
        must(
            7,
            field("open") + field("paid") + field("credited") == field("total"),
            "the buckets are the whole",
        );
        must(
            7,
            field("paid") == self.paid && field("credited") == self.credited,
            "paid and credited",
        );
        must(7, field("overpaid") == self.overpaid, "the overpaid bucket");
        must(
            7,
            field("overpaid") == 0 || field("open") == 0,
            "overpaid while something is open",
        );
        must(
            6,
            field("refundDue") == self.refund,
            "credits beyond the unpaid part are to be refunded",
        );
        let founded = self.received() - field("paid") - field("overpaid") - field("refunded");
        must(
            7,
            field("refundDue") <= founded.max(0),
            "a refund stands on money that came in",
        );
        must(
            7,
            field("refundSaid") == self.refund_said && field("refunded") == self.refunded,
            "who gets a refund has confirmed it",
        );
        must(
            7,
            self.settled().contains(&record.regions["settlement"].as_str()),
            "the settlement's state",
        );
    }

    /// What the settlement may be by the amounts alone.
    fn settled(&self) -> &'static [&'static str] {
        match (self.open(), self.overpaid, self.refund) {
            (1.., ..) if self.paid > 0 => &["PartlyPaid"],
            (1.., ..) => &["Open"],
            (_, 1.., _) => &["Overpaid"],
            (_, _, 1..) => &["Paid"],
            _ if self.refunded > 0 => &["Refunded", "Paid"],
            _ if self.paid > 0 => &["Paid"],
            _ => &["Closed"],
        }
    }
}
