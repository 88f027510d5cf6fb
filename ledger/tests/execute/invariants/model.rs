//! What should hold of every accepted action, kept from the accepted inputs alone: the tiny reference model.

#[path = "model/money.rs"]
mod money;

use std::collections::{BTreeMap, BTreeSet};

use muniment_ledger::state::Record;
use serde_json::Value;

use crate::invoice::world::*;

type Broken = Vec<(u8, String)>;

#[derive(Clone, Debug, Default)]
struct Pledge {
    lender: u8,
    amount: i64,
    until: i64,
    expires: i64,
    live: bool,
    consent: i64,
}

#[derive(Clone, Debug, Default)]
struct Document {
    state: &'static str,
    issuer: u8,
    issued: u64,
    total: i64,
    prepaid: i64,
    paid: i64,
    credited: i64,
    overpaid: i64,
    refund: i64,
    /// What is said to have gone back, and what the recipient has confirmed of it.
    refund_said: i64,
    refunded: i64,
    /// Base and VAT of each category and rate, and what was credited of it.
    vat: BTreeMap<(String, i64), [i64; 4]>,
    /// Amount, what was overpaid with it, and whether the recipient has confirmed it.
    payments: BTreeMap<String, (i64, i64, bool)>,
    approval: &'static str,
    payee: u8,
    /// What the payee has let be credited since it became payee.
    payee_consent: i64,
    /// Whom the payee has named since it became payee.
    agent: Option<u8>,
    /// To whom the claim is offered, and until when.
    assignee: Option<(u8, i64)>,
    holder: Option<u8>,
    pledges: BTreeMap<String, Pledge>,
    /// Who claims, so much, until then.
    lock: Option<(u8, i64, i64)>,
    reimbursed: i64,
    final_reimbursed: bool,
    reimbursers: BTreeSet<u8>,
    requested: u64,
    currency: String,
    supplier: String,
    recipient: String,
    authority: Option<u8>,
    reporting: &'static str,
    /// What the authority had said before it was asked to cancel.
    answered: &'static str,
    report_by: Option<i64>,
    secret: String,
}

#[derive(Default)]
pub struct Model {
    documents: BTreeMap<Id, Document>,
    /// Numbers of suppliers by year, credit notes apart; and documents by their digests.
    identities: BTreeSet<String>,
    /// Numbers of issuers by year, whatever supplier they are of; credit notes apart.
    numbers: BTreeSet<String>,
    contents: BTreeSet<String>,
    /// Who issued first for a supplier.
    suppliers: BTreeMap<String, u8>,
    /// Place and content of the last document by issuer and series.
    chains: BTreeMap<(u8, String), (i64, String)>,
    /// What the new record's counter and link must be.
    places: BTreeMap<Id, (i64, String)>,
    verdicts: BTreeMap<Id, Value>,
}

impl Document {
    fn open(&self) -> i64 {
        self.total - self.paid - self.credited
    }

    fn pledged(&self) -> i64 {
        self.pledges
            .values()
            .filter(|pledge| pledge.live)
            .map(|pledge| pledge.amount)
            .sum()
    }

    fn live(&self) -> bool {
        matches!(self.state, "Issued" | "PartlyCredited")
    }

    /// Pledges end without their lenders when nothing is left to pay, and not by the word of the payee alone: the recipient
    /// has confirmed every payment, or all was credited (to which each lender has consented).
    fn closed(&mut self) {
        let confirmed = self.payments.values().all(|(_, _, confirmed)| *confirmed);
        if self.open() == 0 && (confirmed || self.credited == self.total) {
            self.pledges.clear();
        }
    }

    /// Another payee: nothing that the one before has said or named binds it.
    fn passes_to(&mut self, payee: u8) {
        (self.payee, self.payee_consent, self.agent, self.assignee) = (payee, 0, None, None);
        self.pledges.clear();
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn who(value: &Value) -> u8 {
    (1..=8)
        .find(|party| value.as_str() == Some(name(*party).as_str()))
        .unwrap_or(0)
}

impl Model {
    /// Something that only the parties of a document need to know.
    pub fn secret(&self, id: &Id) -> Option<String> {
        self.documents.get(id).map(|document| document.secret.clone())
    }

    /// Takes in an accepted action; says which invariants it should have met.
    pub fn accepted(&mut self, party: u8, action: &str, input: &Value, id: Id, time: u64) -> Broken {
        let mut broken = Vec::new();
        let mut must = |invariant: u8, holds: bool, what: &str| {
            if !holds {
                broken.push((invariant, format!("{action} by {party}: {what}; {input}")));
            }
        };
        let now = i64::try_from(time).unwrap_or(i64::MAX);
        if matches!(action, "issue" | "credit" | "replace") {
            self.created(party, input, id, time, &mut must);
            let other = |name: &str| {
                hex::decode(text(&input[name]))
                    .ok()
                    .and_then(|id| Id::try_from(id).ok())
            };
            if let Some(invoice) = other("invoice").and_then(|id| self.documents.get_mut(&id)) {
                credit(invoice, party, input, &mut must);
            }
            if let Some(original) = other("original").and_then(|id| self.documents.get_mut(&id)) {
                must(13, original.issuer == party, "only the issuer replaces");
                must(
                    12,
                    original.state == "Issued" && untouched(original),
                    "something hangs on the original",
                );
                original.state = "Replaced";
            }
            return broken;
        }
        let Some(document) = self.documents.get_mut(&id) else {
            return broken;
        };
        document.act(party, action, input, now, &mut must);
        broken
    }

    fn created(&mut self, party: u8, input: &Value, id: Id, time: u64, must: &mut impl FnMut(u8, bool, &str)) {
        let issued = text(&input["issueDate"]);
        let note = input["type"] == "381";
        let number = format!("{note} {} {}", input["number"], issued.get(..4).unwrap_or(""));
        let identity = format!("{} {number}", input["supplier"]);
        must(1, self.identities.insert(identity), "this number was used");
        let own = self.numbers.insert(format!("{party} {number}"));
        must(1, own, "this number was used under another id of the supplier");
        let content = text(&input["content"]);
        must(1, self.contents.insert(content), "this document was registered");
        must(4, int(&input["verdict"]["fatal"]) == 0, "it has fatal findings");
        must(4, input["verdict"]["exact"] == true, "it isn't exact");
        self.verdicts.insert(id, input["verdict"].clone());
        must(5, exact(input), "the amounts don't add up");
        must(13, text(&input["recipient"]) != name(party), "its own recipient");
        let supplier = text(&input["supplier"]);
        let owner = *self.suppliers.entry(supplier.clone()).or_insert(party);
        must(13, party == owner, "another party issues for the supplier");
        let chain = (party, text(&input["series"]));
        let (count, last) = self.chains.entry(chain).or_default();
        *count += 1;
        let signed = &input["chain"];
        let link = signed
            .get("previous")
            .is_none_or(|previous| previous.as_str() == Some(last.as_str()));
        let place = signed.get("counter").is_none_or(|counter| int(counter) == *count);
        must(2, link && place, "signed for another place in the chain");
        self.places
            .insert(id, (*count, std::mem::replace(last, text(&input["content"]))));
        let total = |name: &str| int(&input["totals"][name]);
        let entry = |entry: &Value| {
            let key = (text(&entry["category"]), int(&entry["rate"]));
            (key, [int(&entry["base"]), int(&entry["vat"]), 0, 0])
        };
        let document = Document {
            state: if note { "CreditNote" } else { "Issued" },
            issuer: party,
            issued: time,
            total: if note { 0 } else { total("gross") + total("rounding") },
            prepaid: if note { 0 } else { total("prepaid") },
            paid: if note { 0 } else { total("prepaid") },
            agent: input.get("agent").map(who),
            supplier,
            vat: input["vat"].as_array().into_iter().flatten().map(entry).collect(),
            approval: "None",
            payee: party,
            currency: text(&input["currency"]),
            recipient: text(&input["recipient"]),
            authority: input.get("authority").map(who),
            report_by: input.get("reportBy").map(int),
            reporting: if input.get("reportBy").is_some() {
                "Due"
            } else {
                "NotDue"
            },
            secret: text(&input["content"]),
            ..Document::default()
        };
        self.documents.insert(id, document);
    }

    /// Compares a record with the model.
    pub fn agrees(&self, id: Id, record: &Record) -> Broken {
        let mut broken = Vec::new();
        let Some(document) = self.documents.get(&id) else {
            return vec![(1, "a document that nobody issued".to_owned())];
        };
        let field = |name: &str| record.fields.get(name).map_or(0, int);
        let mut must = |invariant: u8, holds: bool, what: &str| {
            if !holds {
                broken.push((invariant, format!("{what}: {document:?} but {:?}", record.fields)));
            }
        };
        document.money_agrees(record, &mut must);
        must(
            9,
            field("pledged") == document.pledged(),
            "pledges end by their lender, a confirmed payment or a credit that it agreed to",
        );
        must(
            9,
            record.fields["payee"].as_str() == Some(name(document.payee).as_str()),
            "who is owed",
        );
        let entries = record.fields.get("vat").and_then(Value::as_array).into_iter().flatten();
        let within = |entry: &Value| {
            int(&entry["creditedBase"]) <= int(&entry["base"]) && int(&entry["creditedVat"]) <= int(&entry["vat"])
        };
        must(6, entries.clone().all(within), "credited of a category");
        must(10, field("reimbursed") == document.reimbursed, "what was reimbursed");
        let clawback = (document.reimbursed - (document.total - document.credited)).max(0);
        must(10, field("clawback") == clawback, "what is to come back");
        must(
            10,
            record.fields.contains_key("lock") == document.lock.is_some(),
            "the lock",
        );
        must(12, record.regions["document"] == document.state, "the document's state");
        must(
            11,
            record.regions["approval"] == document.approval,
            "the approval's state",
        );
        must(
            11,
            record.regions["authority"] == document.reporting,
            "what the authority has said",
        );
        if let Some((count, previous)) = self.places.get(&id) {
            must(2, field("counter") == *count, "the place in the chain");
            must(
                2,
                record.fields["previous"].as_str() == Some(previous),
                "the link of the chain",
            );
        }
        must(
            4,
            self.verdicts.get(&id) == record.fields.get("verdict"),
            "the verdict is stored",
        );
        broken
    }
}

/// Nobody's right hangs on it.
fn untouched(document: &Document) -> bool {
    let money = document.paid == 0 && document.credited == 0 && document.reimbursed == 0 && document.lock.is_none();
    money && document.pledges.is_empty() && document.payee == document.issuer
}

/// EN 16931's sums, in hundredths.
fn exact(input: &Value) -> bool {
    let total = |name: &str| int(&input["totals"][name]);
    let entries = || input["vat"].as_array().into_iter().flatten();
    let rounded = |entry: &Value| {
        let exact = i128::from(int(&entry["base"])) * i128::from(int(&entry["rate"]));
        exact.div_euclid(1_000_000) + i128::from(exact.rem_euclid(1_000_000) >= 500_000)
    };
    let sum = |name: &str| entries().map(|entry| int(&entry[name])).sum::<i64>();
    total("net") == total("lines") - total("allowances") + total("charges")
        && total("gross") == total("net") + total("vat")
        && total("due") == total("gross") - total("prepaid") + total("rounding")
        && sum("vat") == total("vat")
        && sum("base") == total("net")
        && entries().all(|entry| rounded(entry) == i128::from(int(&entry["vat"])))
}

fn credit(invoice: &mut Document, party: u8, input: &Value, must: &mut impl FnMut(u8, bool, &str)) {
    let amount = int(&input["totals"]["gross"]) + int(&input["totals"]["rounding"]);
    must(13, invoice.issuer == party, "only the issuer credits");
    must(12, invoice.live(), "nothing can be credited any more");
    must(6, text(&input["supplier"]) == invoice.supplier, "another supplier");
    must(6, amount > 0, "nothing is credited");
    must(6, text(&input["currency"]) == invoice.currency, "another currency");
    must(6, text(&input["recipient"]) == invoice.recipient, "another recipient");
    must(6, invoice.credited + amount <= invoice.total, "more than the invoice");
    let consents = invoice
        .pledges
        .values()
        .filter(|pledge| pledge.live)
        .all(|pledge| amount <= pledge.consent);
    must(9, consents, "a lender has not consented");
    must(
        9,
        invoice.payee == invoice.issuer || amount <= invoice.payee_consent,
        "the payee has not consented",
    );
    for entry in input["vat"].as_array().into_iter().flatten() {
        let key = (text(&entry["category"]), int(&entry["rate"]));
        let Some([base, vat, credited, tax]) = invoice.vat.get_mut(&key) else {
            must(6, false, "a category that the invoice doesn't have");
            continue;
        };
        *credited += int(&entry["base"]);
        *tax += int(&entry["vat"]);
        // The VAT of each note is rounded by itself; what it is more by than the invoice's, the total doesn't let through.
        must(
            6,
            credited <= base && *tax <= *vat + 33,
            "more than the invoice has of a category",
        );
    }
    let unpaid = amount.min(invoice.open());
    invoice.credited += amount;
    invoice.paid -= amount - unpaid;
    invoice.refund += amount - unpaid;
    invoice.payee_consent = 0;
    invoice.pledges.values_mut().for_each(|pledge| pledge.consent = 0);
    invoice.state = if invoice.credited == invoice.total {
        "FullyCredited"
    } else {
        "PartlyCredited"
    };
    invoice.closed();
}

impl Document {
    fn act(&mut self, party: u8, action: &str, input: &Value, now: i64, must: &mut impl FnMut(u8, bool, &str)) {
        let issuer = self.issuer;
        match action {
            "respond" => self.respond(party, input, must),
            "settle" | "confirmPayment" | "refund" | "confirmRefund" => self.money(party, action, input, must),
            "appointAgent" => {
                must(13, party == self.payee, "only the payee names its agent");
                self.agent = input.get("agent").map(who);
            }
            "offerPledge" | "acceptPledge" | "declinePledge" | "releasePledge" | "enforcePledge"
            | "acknowledgePledge" | "expireOffer" | "consent" => self.pledge(party, action, input, now, must),
            "offerAssignment" => {
                must(13, party == self.payee, "only the payee assigns");
                must(11, int(&input["expires"]) > now, "an offer that is over");
                self.assignee = Some((who(&input["assignee"]), int(&input["expires"])));
            }
            "declineAssignment" => {
                let offered = self.assignee.take().is_some_and(|(assignee, _)| party == assignee);
                must(13, offered || party == self.payee, "an offer of others");
            }
            "expireAssignment" => {
                let over = self.assignee.take().is_some_and(|(_, until)| now > until);
                must(11, over, "the offer is not over");
            }
            "acceptAssignment" => {
                let (assignee, until) = self.assignee.unwrap_or_default();
                must(13, assignee == party, "only the assignee accepts");
                must(11, now <= until, "the offer is over");
                let whole = int(&input["open"]) == self.open();
                must(9, whole, "the assignee takes another claim than it signed for");
                let own = self.pledges.values().all(|pledge| pledge.lender == party);
                must(9, own, "it is pledged to somebody else");
                self.passes_to(party);
            }
            "appoint" => {
                must(13, self.is_recipient(party), "only the recipient appoints");
                self.holder = Some(who(&input["holder"]));
            }
            "claimReimbursement" | "settleReimbursement" | "releaseReimbursement" | "expireLock" | "settleClawback" => {
                self.reimbursement(party, action, input, now, must);
            }
            "cancel" => {
                must(13, party == issuer, "only the issuer cancels");
                let window = now - i64::try_from(self.issued).unwrap_or(0) <= 86_400_000 && self.approval == "None";
                must(
                    12,
                    self.state == "Issued" && untouched(self) && window,
                    "no consent and no window",
                );
                self.state = "Void";
            }
            "requestVoid" => {
                must(13, party == issuer, "only the issuer asks");
                must(
                    12,
                    self.state == "Issued" && untouched(self),
                    "somebody's right hangs on it",
                );
                (self.state, self.requested) = ("VoidRequested", u64::try_from(now).unwrap_or(0));
            }
            "withdrawVoid" | "answerVoid" | "lapseVoid" => {
                must(12, self.state == "VoidRequested", "nobody asked");
                must(
                    13,
                    action != "withdrawVoid" || party == issuer,
                    "only the issuer withdraws",
                );
                must(
                    13,
                    action != "answerVoid" || self.is_recipient(party),
                    "only the recipient answers",
                );
                let due = now > i64::try_from(self.requested).unwrap_or(0) + 259_200_000;
                must(11, action != "lapseVoid" || due, "the deadline has not passed");
                let agreed = action == "answerVoid" && input["accept"] == true;
                must(12, !agreed || untouched(self), "somebody's right hangs on it");
                self.state = if agreed { "Void" } else { "Issued" };
            }
            "submitToAuthority" | "sendCancellation" | "answerAuthority" | "reportOverdue" => {
                self.report(party, action, input, now, must);
            }
            other => must(13, false, &format!("{other} is no action")),
        }
    }

    /// What the authority is told and asked, and what it says.
    fn report(&mut self, party: u8, action: &str, input: &Value, now: i64, must: &mut impl FnMut(u8, bool, &str)) {
        match action {
            "answerAuthority" => {
                must(13, self.authority == Some(party), "only the authority answers");
                let cancelling = self.reporting == "CancelSent";
                self.reporting = match input["answer"].as_str() {
                    Some("cleared") => "Cleared",
                    Some("reported") => "Reported",
                    Some("cancelled") => "Cancelled",
                    _ if cancelling => self.answered,
                    _ => "Refused",
                };
            }
            "reportOverdue" => {
                let over = self.report_by.is_some_and(|by| now > by);
                must(11, over, "the deadline has not passed");
                self.reporting = "Overdue";
            }
            "submitToAuthority" => {
                must(13, party == self.issuer, "only the issuer reports");
                self.reporting = "Submitted";
            }
            _ => {
                must(13, party == self.issuer, "only the issuer asks to cancel");
                (self.answered, self.reporting) = (self.reporting, "CancelSent");
            }
        }
    }

    fn is_recipient(&self, party: u8) -> bool {
        self.recipient == name(party)
    }

    fn respond(&mut self, party: u8, input: &Value, must: &mut impl FnMut(u8, bool, &str)) {
        let order = [
            "None",
            "Received",
            "InProcess",
            "UnderQuery",
            "ConditionallyAccepted",
            "Accepted",
            "Rejected",
            "PaidReported",
        ];
        let code = text(&input["code"]);
        let rank = ["", "AB", "IP", "UQ", "CA", "AP", "RE", "PD"]
            .iter()
            .position(|one| *one == code)
            .unwrap_or(0);
        let before = order.iter().position(|one| *one == self.approval).unwrap_or(0);
        must(13, self.is_recipient(party), "only the recipient answers");
        must(11, before < 6, "rejected and paid are final");
        must(
            11,
            before != 5 || rank == 7,
            "after acceptance only the payment is reported",
        );
        must(11, rank > before || rank == 3 && before == 3, "responses go forward");
        self.approval = order[rank];
    }

    fn pledge(&mut self, party: u8, action: &str, input: &Value, now: i64, must: &mut impl FnMut(u8, bool, &str)) {
        let id = text(&input["pledge"]);
        let free = self.open() - self.pledged();
        if action == "offerPledge" {
            must(13, party == self.payee, "only the payee pledges");
            let pledge = Pledge {
                lender: who(&input["lender"]),
                amount: int(&input["amount"]),
                until: int(&input["until"]),
                expires: int(&input["expires"]),
                ..Pledge::default()
            };
            must(8, self.live() && self.open() > 0, "nothing is left to pledge");
            must(11, self.approval != "Rejected", "a rejection bars pledges");
            must(8, pledge.amount <= free, "it is pledged already");
            must(8, self.pledges.insert(id, pledge).is_none(), "two pledges of one name");
            return;
        }
        if action == "consent" && input.get("pledge").is_none() {
            must(13, party == self.payee, "only the payee consents");
            must(9, self.payee != self.issuer, "the issuer consents to itself");
            self.payee_consent = int(&input["amount"]);
            return;
        }
        let (live, open, approval, payee) = (self.live(), self.open(), self.approval, self.payee);
        let recipient = self.is_recipient(party);
        let others = self.pledged();
        let Some(pledge) = self.pledges.get_mut(&id) else {
            must(8, false, "there is no such pledge");
            return;
        };
        let lender = pledge.lender == party;
        match action {
            "acceptPledge" => {
                must(13, lender, "only the lender accepts");
                must(8, !pledge.live && live && open > 0, "nothing is left to pledge");
                must(11, approval != "Rejected", "a rejection bars pledges");
                must(
                    8,
                    approval == "Accepted" || input["waiver"] == true,
                    "neither accepted nor waived",
                );
                must(8, pledge.amount <= free, "it is pledged already");
                must(11, now <= pledge.expires, "the offer is over");
                must(11, now < pledge.until, "the pledge itself is over");
                pledge.live = true;
                return;
            }
            "consent" => {
                must(13, lender, "only the lender consents");
                pledge.consent = int(&input["amount"]);
                return;
            }
            "acknowledgePledge" => return must(13, recipient, "only the debtor acknowledges"),
            "declinePledge" => must(13, !pledge.live && (lender || party == payee), "an offer of others"),
            "expireOffer" => must(11, !pledge.live && now > pledge.expires, "the offer is not over"),
            "releasePledge" => must(9, pledge.live && lender, "only the lender releases"),
            _ => {
                must(9, pledge.live && lender && now > pledge.until, "the loan is not over");
                must(8, pledge.amount == others, "there are other pledges");
                let lent = pledge.amount;
                self.forget_unconfirmed();
                must(9, self.open() <= lent, "the lender takes more than was pledged to it");
                self.passes_to(party);
                return;
            }
        }
        self.pledges.remove(&id);
    }

    fn reimbursement(
        &mut self,
        party: u8,
        action: &str,
        input: &Value,
        now: i64,
        must: &mut impl FnMut(u8, bool, &str),
    ) {
        let amount = int(&input["amount"]);
        let most = self.total - self.credited;
        match action {
            "claimReimbursement" => {
                must(
                    13,
                    self.is_recipient(party) || self.holder == Some(party),
                    "only the holder claims",
                );
                must(10, self.lock.is_none(), "a second claim");
                must(10, !self.final_reimbursed, "it is reimbursed for good");
                must(10, self.live() && self.reimbursed + amount <= most, "more than is left");
                must(11, self.approval != "Rejected", "a rejection bars reimbursement");
                let until = int(&input["until"]);
                must(10, now < until && until <= now + 90 * 86_400_000, "a lock without end");
                self.lock = Some((party, amount, until));
            }
            "settleReimbursement" => {
                must(13, party == EMPLOYER, "only the employer settles");
                let lock = self.lock.take();
                must(
                    10,
                    lock.is_some_and(|(_, locked, until)| amount <= locked && now <= until),
                    "not what was locked",
                );
                must(11, self.approval != "Rejected", "a rejection bars reimbursement");
                self.reimbursed += amount;
                must(10, self.reimbursed <= most, "more than the invoice");
                self.final_reimbursed = self.reimbursed == most;
                self.reimbursers.insert(party);
            }
            "releaseReimbursement" => {
                let lock = self.lock.take();
                must(10, lock.is_some(), "nothing is locked");
                let may = party == EMPLOYER || lock.is_some_and(|(claimant, _, _)| claimant == party);
                must(13, may, "only the employer and the claimant release");
            }
            "expireLock" => {
                let lock = self.lock.take();
                must(
                    11,
                    lock.is_some_and(|(_, _, until)| now > until),
                    "the deadline has not passed",
                );
            }
            _ => {
                must(13, self.reimbursers.contains(&party), "only who reimbursed takes back");
                must(10, amount <= self.reimbursed - most, "more than is to come back");
                self.reimbursed -= amount;
            }
        }
    }
}
